"""Cuts the E2E slice in Examples/e2e from the whole data set.

    python tools/make-examples.py E2E_DIRECTORY Examples/e2e

E2E_DIRECTORY holds `train.jsonl.gz` (rows of `input` and `target`), `dev.jsonl.gz` and `test.jsonl.gz` (rows of
`input` and `targets`). Meaning representations are shuffled with the seed and taken whole, with every text written
for them; the training rows are then shuffled once more, so that batches in file order mix restaurants.
Requires: nothing outside the standard library
"""

import argparse
import gzip
import json
import random
from pathlib import Path


def read(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def write(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{path}: {len(rows)} rows, {path.stat().st_size} bytes")


def training_slice(rows, count, generator):
    """Whole meaning representations in shuffled order, until there are at least `count` rows."""
    texts = {}
    for row in rows:
        texts.setdefault(row["input"], []).append(row["target"])
    inputs = sorted(texts)
    generator.shuffle(inputs)
    chosen = []
    for number, text in enumerate(inputs, start=1):
        chosen += [{"input": text, "target": target} for target in texts[text]]
        if len(chosen) >= count:
            print(f"{number} of {len(inputs)} meaning representations")
            break
    generator.shuffle(chosen)
    return chosen


def evaluation_slice(rows, count, generator):
    chosen = generator.sample(rows, count)
    return [{"input": row["input"], "targets": row["targets"]} for row in chosen]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--train-rows", type=int, default=5000, help="at least this many (default 5000)")
    parser.add_argument("--validation", type=int, default=64, help="meaning representations (default 64)")
    parser.add_argument("--test", type=int, default=128, help="meaning representations (default 128)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    generator = random.Random(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    train = training_slice(read(arguments.source / "train.jsonl.gz"), arguments.train_rows, generator)
    write(arguments.output / "train.jsonl", train)
    for name, file, count in (
        ("validation", "dev.jsonl.gz", arguments.validation), ("test", "test.jsonl.gz", arguments.test)
    ):
        rows = evaluation_slice(read(arguments.source / file), count, generator)
        write(arguments.output / f"{name}.jsonl", rows)


if __name__ == "__main__":
    main()
