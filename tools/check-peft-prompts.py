"""Lets PEFT open P-tuning, prefix and multitask adapters that SoftPrompt wrote, and compares what it computes.

    python tools/check-peft-prompts.py

Runs the test that writes the adapters of Tests/PromptTuningTests/Fixtures/prompts again, with the rows that our own
networks give, loads them and PEFT's own with PEFT on the same checkpoints, and compares the losses with
`expected.safetensors`. Exit status 1 where one differs by more than the tolerance.
Requires: torch transformers peft safetensors
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "fixtures"))

import torch
from peft import PeftModel
from prompts import MULTITASK_CASES, PEFT_CASES, read_model, result_of

from peft_adapters import compare


def outputs(directory, adapter, name, settings, expected):
    model_name = settings[0]
    model = PeftModel.from_pretrained(read_model(directory.parent / "models" / model_name), adapter).eval()
    count = sum(key.startswith("ids.") for key in expected)
    tasks = expected.get("tasks", torch.ones(count, dtype=torch.int32)).long()
    rest = [dict(task_ids=task[None]) if name.startswith("multitask") else {} for task in tasks]
    with torch.no_grad():
        return {"losses": torch.cat([
            result_of(model, model_name, expected[f"ids.{n}"].long(), expected[f"target.{n}"].long(), **rest[n])
            for n in range(count)
        ])}


if __name__ == "__main__":
    compare(__doc__, "PromptFixtureTests", "prompts", PEFT_CASES | MULTITASK_CASES, outputs)
