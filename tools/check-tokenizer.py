#!/usr/bin/env python3
"""Compares the ids of `softprompt tokenize` with those of transformers' AutoTokenizer.

    python tools/check-tokenizer.py SOFTPROMPT MODEL_DIR [FILE ...]

SOFTPROMPT is the command, MODEL_DIR a checkpoint's directory (tokenizer.json, or vocab.json with merges.txt), and each FILE a text
file, or JSON Lines whose strings are all compared; `.gz` is read as it is. Hostile strings are always compared: every Unicode
scalar value in several contexts, and random mixtures. Exits with 1 at the first difference.
"""

import argparse
import gzip
import json
import random
import subprocess
import sys

from transformers import AutoTokenizer

SPACES = [chr(c) for c in [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F,
                           0x205F, 0x2060, 0x3000, 0xFEFF]]
FRAGMENTS = SPACES + [
    " ", "  ", "\n", "\r\n", "\t", "\0", "\x01", "\x1f", "\x7f", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'L", "'",
    "''", "’s", "a", "Z", "the", " the", "0", "42", "²", "½", "Ⅷ", "٣", "߉", "é", "e\u0301", "\u0301", "ß", "İ", "ǅ",
    "日本", "語", "한국", "\u1112\u1161", "עברית", "العربية", "\u200f", "\u202e", "\u200d", "\u200b", "🙂", "👩\u200d👩\u200d👧",
    "🇩🇪", "👍🏽", "\ufe0f", "क्षि", "ไทย", "\u0378", "\U000e0041", "\U0010ffff", "\ue000", "\ufffe", "\ufffd", "\U0001e900",
    "…", "—", "!", "?!", ",", "_", "-", "$", "€", "<", "|", "<|endoftext|>", "<|endoftext", "|>", "\\n", "\"", "{", "Ġ", "Ċ",
]


def contexts():
    """Every scalar value, a block of them in a text, between different neighbours."""
    for base in range(0, 0x110000, 0x100):
        if 0xD800 <= base < 0xE000:
            continue
        scalars = [chr(c) for c in range(base, base + 0x100)]
        for left, right in (("", ""), ("a", "a"), (" ", "1"), ("  ", "!"), ("'", "\n\n"), ("1 ", " ")):
            yield "".join(left + scalar + right for scalar in scalars)


def mixtures(count, seed):
    generator = random.Random(seed)
    for _ in range(count):
        kind = generator.random()
        if kind < 0.6:
            yield "".join(generator.choice(FRAGMENTS) for _ in range(generator.randrange(1, 40)))
        elif kind < 0.8:
            yield "".join(generator.choice(FRAGMENTS) * generator.randrange(1, 60) for _ in range(5))
        else:
            yield "".join(chr(generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000),
                                                generator.randrange(0x250)])) for _ in range(generator.randrange(1, 60)))
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


def compare(name, texts, arguments, reference):
    texts = list(texts)
    command = [arguments.softprompt, "tokenize", "--model", arguments.model, "--json-input"]
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    output = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    if len(found) != len(texts):
        sys.exit(f"{name}: {len(texts)} texts, {len(found)} lines of ids")
    expected = reference(texts)["input_ids"] if texts else []
    for text, ours, theirs in zip(texts, found, expected):
        if ours != theirs:
            place = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
            sys.exit(f"{name}: ids differ at {place}: {ours[place:place + 8]} instead of {theirs[place:place + 8]} "
                     f"in {text[:200]!r}")
    print(f"{name}: {len(texts)} texts, {sum(map(len, expected))} ids, all equal")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("softprompt")
    parser.add_argument("model")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--mixtures", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    reference = AutoTokenizer.from_pretrained(arguments.model)
    reference.model_max_length = 10**9
    compare("every scalar", contexts(), arguments, reference)
    compare("mixtures", mixtures(arguments.mixtures, arguments.seed), arguments, reference)
    for path in arguments.files:
        compare(path, file_texts(path), arguments, reference)


main()
