"""What the peer scripts share: SoftPrompt's text contract, written with PyTorch, transformers and PEFT.

The template is ids(input + "\n") followed by ids(target) and the end token, the two encoded separately.
The loss is the mean negative log-likelihood over all target tokens (end token included) of the whole batch.
Requires: torch transformers peft tokenizers safetensors
"""

import gzip
import json
import os
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

warnings.filterwarnings("ignore", message=".*(is_gradient_checkpointing|Position ids are not supported).*")

import torch
from peft import PeftModel, PromptTuningConfig, TaskType, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()


def read_examples(path):
    """The rows of a `.jsonl` or `.jsonl.gz` file as dictionaries."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file if line.strip()]


class TextEncoder:
    """Turns examples into ids as SoftPrompt does, for byte-level tokenizers without a beginning token."""

    def __init__(self, model_directory):
        directory = Path(model_directory)
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.end = self._end_token(directory)

    def _end_token(self, directory):
        """The tokenizer's `eos_token`, else the configuration's."""
        settings = directory / "tokenizer_config.json"
        if settings.exists():
            token = json.loads(settings.read_text()).get("eos_token")
            if isinstance(token, dict):
                token = token["content"]
            if token is not None:
                return self.tokenizer.token_to_id(token)
        end = json.loads((directory / "config.json").read_text())["eos_token_id"]
        return end[0] if isinstance(end, list) else end

    def context(self, text):
        return self.tokenizer.encode(text + "\n").ids

    def target(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids + [self.end]

    def pair(self, example):
        """`(context ids, target ids)`; with several targets, the first."""
        target = example["targets"][0] if "targets" in example else example["target"]
        return self.context(example["input"]), self.target(target)

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def collate(pairs, pad):
    """A right-padded batch: `input_ids`, `attention_mask` and `labels`, each [batch, longest]."""
    longest = max(len(context) + len(target) for context, target in pairs)
    ids, mask, labels = [], [], []
    for context, target in pairs:
        count = len(context) + len(target)
        ids.append(context + target + [pad] * (longest - count))
        mask.append([1] * count + [0] * (longest - count))
        labels.append([-100] * len(context) + target + [-100] * (longest - count))
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
    }


def file_order_batches(pairs, size):
    """Batches in the file's order, for ever; the last one of an epoch is smaller."""
    while True:
        for start in range(0, len(pairs), size):
            yield pairs[start : start + size]


def load_base(directory, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).eval()


def with_prompt(base, prompt):
    """`base`, frozen, behind a PEFT prompt whose rows are `prompt` [P, width]."""
    config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=prompt.shape[0])
    model = get_peft_model(base, config)
    with torch.no_grad():
        prompt_weight(model).copy_(prompt)
    return model.eval()


def with_adapter(base, directory):
    return PeftModel.from_pretrained(base, directory).eval()


def prompt_weight(model):
    """The trainable matrix [P, width] of a PEFT prompt-tuning model."""
    return model.prompt_encoder["default"].embedding.weight


def save_adapter(model, directory, base_name=None):
    """PEFT's two files, with `base_name` in place of a path of this machine, and without the model card."""
    directory = Path(directory)
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = base_name
    path.write_text(json.dumps(config, indent=2) + "\n")


def batch_loss(model, pairs, pad):
    """The mean negative log-likelihood over all target tokens of the batch, as a scalar tensor.

    The same number as the model's own `loss`, which is rounded to float32 in a float64 model.
    """
    batch = collate(pairs, pad)
    labels = batch.pop("labels")[:, 1:]
    logits = model(**batch).logits[:, -labels.shape[1] - 1 : -1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


@torch.no_grad()
def example_losses(model, pairs):
    """`(mean loss, target tokens)` of each example, one at a time, so that no padding takes part."""
    results = []
    for pair in pairs:
        results.append((batch_loss(model, [pair], 0).item(), len(pair[1])))
    return results


def mean_loss(losses):
    """The token-weighted mean of `example_losses`."""
    return sum(loss * count for loss, count in losses) / sum(count for _, count in losses)
