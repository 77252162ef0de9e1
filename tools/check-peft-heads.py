"""Lets PEFT open classification adapters that SoftPrompt wrote, of sequences and of tokens, and compares the scores.

    python tools/check-peft-heads.py

Runs the tests that write the adapters of Tests/PromptTuningTests/Fixtures/head-*, prefix-* and token-* again (which PEFT
made), loads both with PEFT on the same checkpoints, and compares with `expected.safetensors`. Exit status 1 where a score
differs by more than the tolerance.
Requires: torch transformers peft safetensors
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))

import torch
import transformers
from heads import CASES
from peft import PeftModel
from token_heads import CASES as TOKEN_CASES

from peft_adapters import compare


def outputs(directory, adapter, _, settings, expected):
    kind = getattr(transformers, settings["model"])
    base = kind.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", num_labels=settings["config"]["num_labels"])
    model = PeftModel.from_pretrained(base, adapter).eval()
    values = {}
    for name in [name for name in expected if name.startswith("ids.")]:
        ids = expected[name].long()[None]
        with torch.no_grad():
            scores = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        # PEFT scores the virtual tokens of a prompt too.
        values[name.replace("ids", "scores")] = scores[-ids.shape[1]:] if scores.dim() == 2 else scores
    return values


if __name__ == "__main__":
    compare(__doc__, "HeadFixtureTests", ".", CASES | TOKEN_CASES, outputs)
