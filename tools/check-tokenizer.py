#!/usr/bin/env python3
"""Compares ids and decoded texts of `softprompt tokenize` with those of the reference implementation.

    python tools/check-tokenizer.py SOFTPROMPT MODEL_DIR [FILE ...]

SOFTPROMPT is the command, MODEL_DIR a checkpoint's directory, and each FILE a text file, or JSON Lines whose strings are all compared; `.gz` is read as it is. Hostile strings are always compared: every Unicode
scalar value in several contexts, and random mixtures. The reference is the tokenizers library where the directory has a
tokenizer.json, else (or with --transformers) transformers' AutoTokenizer. Exits with 1 at the first difference.
"""

import argparse
import gzip
import json
import subprocess
import sys
from pathlib import Path

from hard_texts import CONTRACTIONS, FRAGMENTS, LANGUAGES, mixtures

def contexts():
    """Every scalar value, a block of them in a text, between different neighbours."""
    for base in range(0, 0x110000, 0x100):
        if 0xD800 <= base < 0xE000:
            continue
        scalars = [chr(c) for c in range(base, base + 0x100)]
        for left, right in (("", ""), ("a", "a"), (" ", "1"), ("  ", "!"), ("'", "\n\n"), ("1 ", " ")):
            yield "".join(left + scalar + right for scalar in scalars)


def hostile(count, seed, extra):
    yield from LANGUAGES
    yield from CONTRACTIONS
    yield from mixtures(count, seed, extra)
    yield ""
    yield from FRAGMENTS
    for letter in "a ", "e", " ", "\n", "0", "é", "🙂":
        yield letter * 20000


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for element in value.values() if isinstance(value, dict) else value:
            yield from strings(element)


def file_texts(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            if ".jsonl" in path:
                yield from strings(json.loads(line))
            else:
                yield line


def run(arguments, option, values):
    command = [arguments.softprompt, "tokenize", "--model", arguments.model, option]
    lines = "".join(json.dumps(value) + "\n" for value in values)
    output = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    if len(found) != len(values):
        sys.exit(f"{len(values)} lines in, {len(found)} lines out")
    return found


def compare(name, texts, arguments, reference):
    texts = list(texts)
    expected = reference.encode(texts)
    for text, ours, theirs in zip(texts, run(arguments, "--json-input", texts), expected):
        if ours != theirs:
            place = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
            sys.exit(f"{name}: ids differ at {place}: {ours[place:place + 8]} instead of {theirs[place:place + 8]} "
                     f"in {text[:200]!r}")
    for ids, ours in zip(expected, run(arguments, "--decode", expected)):
        if ours != reference.decode(ids):
            sys.exit(f"{name}: decoded texts differ: {ours[:200]!r} instead of {reference.decode(ids)[:200]!r}")
    print(f"{name}: {len(texts)} texts, {sum(map(len, expected))} ids, all equal, and their decoded texts")


class Library:
    """The tokenizers library on tokenizer.json."""

    def __init__(self, path):
        from tokenizers import Tokenizer
        self.tokenizer = Tokenizer.from_file(str(path))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.contents = [token.content for token in self.tokenizer.get_added_tokens_decoder().values()][:8]

    def encode(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False)


class Transformers:
    """The AutoTokenizer of transformers on the whole directory."""

    def __init__(self, path):
        from transformers import AutoTokenizer
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.tokenizer.model_max_length = 10**9
        self.contents = self.tokenizer.all_special_tokens[:8]

    def encode(self, texts):
        return self.tokenizer(texts)["input_ids"] if texts else []

    def decode(self, ids):
        return self.tokenizer.decode(ids, clean_up_tokenization_spaces=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("softprompt")
    parser.add_argument("model")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--mixtures", type=int, default=10000)
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    file = Path(arguments.model) / "tokenizer.json"
    reference = Library(file) if file.exists() and not arguments.transformers else Transformers(arguments.model)
    compare("every scalar", contexts(), arguments, reference)
    compare("mixtures", hostile(arguments.mixtures, arguments.seed, reference.contents), arguments, reference)
    for path in arguments.files:
        compare(path, file_texts(path), arguments, reference)


main()
