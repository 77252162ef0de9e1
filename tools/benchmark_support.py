"""What the peer benchmarks share: a GPT-2 of any size with random weights, and a measured child process.

Requires: torch transformers safetensors
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")


def write_random_gpt2(directory, tokenizer_directory, layers=12, width=768, heads=12, seed=0):
    """A GPT-2 directory (GPT-2 small by default) without dropout, unless it is there already."""
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2Config, GPT2LMHeadModel

    directory = Path(directory)
    if (directory / "model.safetensors").exists():
        return
    tokenizer = Tokenizer.from_file(str(Path(tokenizer_directory) / "tokenizer.json"))
    end = tokenizer.token_to_id("<|endoftext|>")
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(
        n_layer=layers, n_embd=width, n_head=heads, vocab_size=tokenizer.get_vocab_size(), attn_pdrop=0.0,
        embd_pdrop=0.0, resid_pdrop=0.0, bos_token_id=end, eos_token_id=end))
    model.save_pretrained(directory)
    for name in TOKENIZER_FILES:
        if (Path(tokenizer_directory) / name).exists():
            shutil.copyfile(Path(tokenizer_directory) / name, directory / name)


class Measured:
    """A finished child process: `output` (its standard output), `seconds` of wall time, `peak` resident bytes.

    Linux counts the caller's memory at the time of the call into the child's peak: keep the caller small.
    """

    def __init__(self, command, text=None):
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        if text is not None:
            process.stdin.write(text)
        process.stdin.close()
        self.output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - begin
        self.peak = usage.ru_maxrss * 1024
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))}: exit status {process.returncode}")


def cores():
    return len(os.sched_getaffinity(0))
