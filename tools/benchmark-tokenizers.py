#!/usr/bin/env python3
"""Speed of tokenizing, on one thread: the reference implementation and `softprompt tokenize`, in alternating rounds.

    python tools/benchmark-tokenizers.py SOFTPROMPT TEXT MODEL_DIR ...        (needs the Python package tokenizers)

Each MODEL_DIR holds a tokenizer.json; TEXT is a text file. Both sides take its lines one by one and only the encoding
counts, measured as the time of a text of four copies less that of one copy. Prints the median megabytes per second.
"""

import argparse
import os
import statistics
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402


def ours(command, model, text):
    begin = time.perf_counter()
    subprocess.run([command, "tokenize", "--model", model], input=text, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def theirs(tokenizer, lines):
    begin = time.perf_counter()
    for line in lines:
        tokenizer.encode(line)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("softprompt")
    parser.add_argument("text")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with open(arguments.text, "rb") as file:
        data = file.read()
    lines = data.decode().split("\n")
    for model in arguments.models:
        tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        one, four, reference = [], [], []
        for _ in range(arguments.rounds):
            one.append(ours(arguments.softprompt, model, data))
            reference.append(theirs(tokenizer, lines))
            four.append(ours(arguments.softprompt, model, data * 4))
        size = len(data) / 1e6
        seconds = (statistics.median(four) - statistics.median(one)) / 3
        print(f"{model}: softprompt {size / seconds:.1f} MB/s, reference {size / statistics.median(reference):.1f} MB/s")


main()
