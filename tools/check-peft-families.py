"""Lets PEFT open adapters of encoders and encoder-decoders that SoftPrompt wrote, and compares what it computes.

    python tools/check-peft-families.py

Runs the test that writes the adapters of Tests/PromptTuningTests/Fixtures again (which were made by PEFT), loads both
with PEFT on the same checkpoints, and compares scores, hidden states and losses with `expected.safetensors`. Exit status
1 where one differs by more than the tolerance.
Requires: torch transformers peft safetensors
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))

import torch
import transformers
from peft import PeftModel
from peft_families import CASES
from safetensors.torch import load_file
from transformers.utils import logging


def outputs(directory, adapter, settings, expected):
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the largest value (default 1e-4)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    root = Path(__file__).resolve().parent.parent
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["swift", "test", "--filter", "PEFTFamilyTests"], cwd=root, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"SOFTPROMPT_WRITTEN_ADAPTERS": folder})
        for name, settings in CASES.items():
            directory = root / "Tests/PromptTuningTests/Fixtures" / name
            expected = load_file(directory / "expected.safetensors")
            for label, adapter in (("PEFT", directory / "adapter"), ("softprompt", Path(folder) / name)):
                values = outputs(directory, adapter, settings, expected)
                worst = max(
                    ((value - expected[key]).abs().max() / expected[key].abs().max()).item()
                    for key, value in values.items())
                print(f"{name}: adapter by {label}, {len(values)} outputs, worst relative difference {worst:.1e}")
                passed &= worst <= arguments.tolerance
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
