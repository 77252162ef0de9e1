"""Lets PEFT open P-tuning, prefix and multitask adapters that SoftPrompt wrote, and compares what it computes.

    python tools/check-peft-prompts.py

Runs the test that writes the adapters of Tests/PromptTuningTests/Fixtures/prompts again, with the rows that our own
networks give, loads them and PEFT's own with PEFT on the same checkpoints, and compares the losses with
`expected.safetensors`. Exit status 1 where one differs by more than the tolerance.
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
from peft import PeftModel
from prompts import MULTITASK_CASES, PEFT_CASES, read_model, result_of
from safetensors.torch import load_file
from transformers.utils import logging


def losses(directory, name, model_name, adapter, expected):
    model = PeftModel.from_pretrained(read_model(directory / "models" / model_name), adapter).eval()
    count = sum(key.startswith("ids.") for key in expected)
    tasks = expected.get("tasks", torch.ones(count, dtype=torch.int32)).long()
    rest = [dict(task_ids=task[None]) if name.startswith("multitask") else {} for task in tasks]
    with torch.no_grad():
        return torch.cat([
            result_of(model, model_name, expected[f"ids.{n}"].long(), expected[f"target.{n}"].long(), **rest[n])
            for n in range(count)
        ])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of the largest value (default 1e-4)")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    root = Path(__file__).resolve().parent.parent
    directory = root / "Tests/PromptTuningTests/Fixtures/prompts"
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["swift", "test", "--filter", "PromptFixtureTests"], cwd=root, check=True, stdout=subprocess.DEVNULL,
            env=os.environ | {"SOFTPROMPT_WRITTEN_ADAPTERS": folder})
        for name, (model_name, *_) in (PEFT_CASES | MULTITASK_CASES).items():
            expected = load_file(directory / name / "expected.safetensors")
            for label, adapter in (("PEFT", directory / name / "adapter"), ("softprompt", Path(folder) / name)):
                got = losses(directory, name, model_name, adapter, expected)
                worst = ((got - expected["losses"]).abs().max() / expected["losses"].abs().max()).item()
                print(f"{name}: adapter by {label}, {len(got)} losses, worst relative difference {worst:.1e}")
                passed &= worst <= arguments.tolerance
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
