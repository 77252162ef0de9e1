"""Lets PEFT open adapters of encoders and encoder-decoders that SoftPrompt wrote, and compares what it computes.

    python tools/check-peft-families.py

Runs the test that writes the adapters of Tests/PromptTuningTests/Fixtures again (which were made by PEFT), loads both
with PEFT on the same checkpoints, and compares scores, hidden states and losses with `expected.safetensors`. Exit status
1 where one differs by more than the tolerance.
Requires: torch transformers peft safetensors
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))

import torch
import transformers
from peft import PeftModel
from peft_families import CASES

from peft_adapters import compare


def outputs(directory, adapter, _, settings, expected):
    """What PEFT's model gives for the inputs of `expected`, in its order of names."""
    kind = getattr(transformers, settings["model"])
    base = kind.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, adapter).eval()
    values = {}
    for name in [name for name in expected if name.startswith("ids.")]:
        number = name.split(".")[1]
        ids = expected[name].long()[None]
        mask = torch.ones_like(ids)
        with torch.no_grad():
            if settings["task"] == "SEQ_2_SEQ_LM":
                target = expected[f"target.{number}"].long()
                logits = model(input_ids=ids, attention_mask=mask, labels=target[None]).logits[0]
                values[f"losses.{number}"] = torch.nn.functional.cross_entropy(logits, target, reduction="none")
            elif settings["task"] == "SEQ_CLS":
                values[f"classes.{number}"] = model(input_ids=ids, attention_mask=mask).logits[0]
            else:
                values[f"hidden.{number}"] = model(input_ids=ids, attention_mask=mask).last_hidden_state[0]
    return values


if __name__ == "__main__":
    compare(__doc__, "PEFTFamilyTests", ".", CASES, outputs)
