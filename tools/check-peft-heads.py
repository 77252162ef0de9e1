"""Lets PEFT open sequence-classification adapters that SoftPrompt wrote, and compares the scores.

    python tools/check-peft-heads.py

Runs the test that writes the adapters of Tests/PromptTuningTests/Fixtures/head-* and prefix-* again (which PEFT made), loads both with
PEFT on the same checkpoints, which have no classifier of their own, and compares with `expected.safetensors`. Exit status
1 where a score differs by more than the tolerance.
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
from heads import CASES
from peft import PeftModel
from safetensors.torch import load_file
from transformers.utils import logging


def worst_difference(directory, adapter, settings, expected):
    kind = getattr(transformers, settings["model"])
    base = kind.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", num_labels=settings["config"]["num_labels"])
    model = PeftModel.from_pretrained(base, adapter).eval()
    worst = 0.0
    for name in [name for name in expected if name.startswith("ids.")]:
        ids = expected[name].long()[None]
        scores = expected[name.replace("ids", "scores")]
        with torch.no_grad():
            got = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        worst = max(worst, ((got - scores).abs().max() / scores.abs().max()).item())
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the largest score (default 1e-4)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    root = Path(__file__).resolve().parent.parent
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["swift", "test", "--filter", "HeadFixtureTests"], cwd=root, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"SOFTPROMPT_WRITTEN_ADAPTERS": folder})
        for name, settings in CASES.items():
            directory = root / "Tests/PromptTuningTests/Fixtures" / name
            expected = load_file(directory / "expected.safetensors")
            for label, adapter in (("PEFT", directory / "adapter"), ("softprompt", Path(folder) / name)):
                worst = worst_difference(directory, adapter, settings, expected)
                print(f"{name}: adapter by {label}, worst relative difference {worst:.1e}")
                passed &= worst <= arguments.tolerance
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
