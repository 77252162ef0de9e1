#!/usr/bin/env python3
"""Trains the methods of the three papers side by side, several seeds each, and prints a table of their scores.

    python tools/study.py run encoders   --model MINILM --data DATA --output runs/study
    python tools/study.py run generation --model Examples/base-model --data DATA --output runs/study
    python tools/study.py table --output runs/study

MINILM is a BERT with real weights (all-MiniLM-L6-v2), DATA a folder with one folder for each data set (sst2, superglue_rte,
superglue_cb, match_wdc_shoes, stsb; e2e), each with its splits as .jsonl or .jsonl.gz. Every run is one `softprompt
train` and one `softprompt evaluate`; its scores are appended to OUTPUT/results.jsonl as soon as it ends, and a run
that is there already is not made again, so an interrupted study goes on where it stopped. What was trained is deleted
after its evaluation. Training rows are the first ones of the file in an order drawn with a seed of its own, the same for
all methods; there is no choice of a best state: the last one counts. Needs nothing but Python's standard library.
"""

import argparse
import gzip
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

# Of each data set: the folder, the training and the test split, the metric, the examples of a batch, and what makes a text
# of a row with and without a mask token (DynaMaR draws from the three with one).
ENCODER_TASKS = {
    "sst2": dict(
        folder="sst2", train="train", test="dev", metric="accuracy", batch=16, plain="{text}",
        masked=["{text} It was {mask}.", "A {mask} film: {text}", "{text} All in all, it is {mask}."]),
    "rte": dict(
        folder="superglue_rte", train="train", test="val", metric="accuracy", batch=8,
        plain="premise: {premise} hypothesis: {hypothesis}",
        masked=["{premise} Does it follow that {hypothesis}? {mask}.", "{hypothesis}? {mask}, because {premise}",
                "premise: {premise} hypothesis: {hypothesis} answer: {mask}"]),
    "cb": dict(
        folder="superglue_cb", train="train", test="val", metric="accuracy", batch=8,
        plain="premise: {premise} hypothesis: {hypothesis}",
        masked=["{premise} Does it follow that {hypothesis}? {mask}.", "{hypothesis}? {mask}, because {premise}",
                "premise: {premise} hypothesis: {hypothesis} answer: {mask}"]),
    "product-matching": dict(
        folder="match_wdc_shoes", train="train", test="test", metric="macro-f1", batch=8,
        plain="product 1: {left} product 2: {right}",
        masked=["product 1: {left} product 2: {right} same: {mask}", "{left} and {right} are the same: {mask}.",
                "Are they the same? {mask}. {left} {right}"]),
    "stsb": dict(
        folder="stsb", train="train", test="dev", metric="pearson", regression=True, batch=16,
        plain="sentence1: {sentence1} sentence2: {sentence2}",
        masked=["sentence1: {sentence1} sentence2: {sentence2} similar: {mask}", "{sentence1} {mask}, {sentence2}",
                "Is it {mask} similar? {sentence1} {sentence2}"]),
}

MEAN = ["--head-token", "mean"]
PROMPT = ["--prompt-length", "10", "--learning-rate", "{prompt_rate}"]
WHOLE = ["--learning-rate", "{whole_rate}"]
ENCODER_METHODS = {
    "fine-tuning": ["--method", "fine-tuning", *MEAN, *WHOLE],
    "dynamar": ["--method", "dynamar", "--inference-template", "1", *WHOLE],
    "head alone": ["--method", "prompt-tuning", "--prompt", "none", *MEAN, "--learning-rate", "{prompt_rate}"],
    "prompt-tuning": ["--method", "dynamic", "--position", "front", *MEAN, *PROMPT],
    "dynamic, position task": ["--method", "dynamic", "--position", "task", *MEAN, *PROMPT],
    "dynamic, position instance": ["--method", "dynamic", "--position", "instance", *MEAN, *PROMPT],
    "dynamic, pool":
        ["--method", "dynamic", "--position", "front", "--prompt", "pool", "--pool-size", "4", *MEAN, *PROMPT],
    "dynamic, position instance, pool":
        ["--method", "dynamic", "--position", "instance", "--prompt", "pool", "--pool-size", "4", *MEAN, *PROMPT],
    "p-tuning-v2": ["--method", "p-tuning-v2", *MEAN, "--prompt-length", "10", "--learning-rate", "{prefix_rate}"],
}

GENERATION_TASKS = {"e2e": dict(folder="e2e", train="train", test="test", metric="bleu", batch=16)}
ONE = ["--shots", "1"]
GENERATION_METHODS = {
    "no prompt": None,
    "icl, random": ["--demonstrations", "random", *ONE],
    "icl, bm25": ["--demonstrations", "retrieved", *ONE],
    "prompt-tuning": ["--method", "prompt-tuning", "--prompt-length", "25", "--learning-rate", "{prompt_rate}"],
    "ipt, random": ["--method", "ipt", "--demonstrations", "random", *ONE, "--prompt-length", "25",
                    "--learning-rate", "{prompt_rate}"],
    "ipt, bm25": ["--method", "ipt", *ONE, "--prompt-length", "25", "--learning-rate", "{prompt_rate}"],
    "fine-tuning": ["--method", "fine-tuning", "--learning-rate", "{whole_rate}"],
}


def split(data, folder, name):
    for ending in (".jsonl", ".jsonl.gz"):
        path = data / folder / (name + ending)
        if path.exists():
            return path
    sys.exit(f"study: no {name}.jsonl in {data / folder}")


def rows(path, count, seed):
    """The first `count` lines of the file in an order drawn with the seed; all of them where there are fewer."""
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")
    with opened as file:
        lines = [line for line in file if line.strip()]
    random.Random(seed).shuffle(lines)
    return lines[:count]


def prepare(arguments, task, description):
    """Training and test rows of a task as files in the study's folder, made once."""
    folder = arguments.output / "data" / task
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", arguments.train_rows), ("test", arguments.test_rows)):
        path = folder / f"{part}.jsonl"
        if not path.exists():
            kept = rows(split(arguments.data, description["folder"], description[part]), count, seed=20230302)
            path.write_text("".join(kept), encoding="utf-8")
    if "masked" in description:
        (folder / "templates.txt").write_text("\n".join(description["masked"]) + "\n", encoding="utf-8")
    return folder


def softprompt(arguments, *options):
    command = [str(arguments.softprompt), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"study: {' '.join(command)}\n{done.stderr.strip()}")
    return done.stdout


def filled(options, arguments):
    rates = dict(prompt_rate=arguments.prompt_rate, prefix_rate=arguments.prefix_rate, whole_rate=arguments.whole_rate)
    return [rates[option[1:-1]] if option[1:-1] in rates else option for option in options]


def settings(arguments, kind, task, description, method, options, folder):
    """What a training run is told besides its method."""
    told = ["--data", folder / "train.jsonl", "--steps", arguments.steps, "--batch-size", description["batch"],
            "--schedule", "linear", "--warmup", arguments.steps // 10]
    if kind == "generation":
        return told + ["--truncate", "demonstrations"]
    told += ["--truncate", "fields-longest"]
    if method == "dynamar":
        told += ["--template-file", folder / "templates.txt"]
    else:
        told += ["--template", description["plain"]]
    if description.get("regression"):
        told += ["--head", "regressor"]
    elif "--head" not in options:
        told += ["--head", "classifier"]
    return told


def evaluate(arguments, kind, description, folder, trained, options):
    asked = ["evaluate", "--data", folder / "test.jsonl", "--json", "--device", arguments.device]
    if kind == "generation":
        asked += ["--metrics", "loss,bleu", "--max-new-tokens", "60"]
        if options:
            asked += ["--demonstration-data", folder / "train.jsonl", "--truncate", "demonstrations"]
    else:
        asked += ["--metrics", description["metric"]]
    return json.loads(softprompt(arguments, *asked, *trained, *options))["metrics"]


def run(arguments):
    kind = arguments.kind
    tasks, methods = (ENCODER_TASKS, ENCODER_METHODS) if kind == "encoders" else (GENERATION_TASKS, GENERATION_METHODS)
    for name, known in (("task", tasks), ("method", methods)):
        for wanted in getattr(arguments, name):
            if wanted not in known:
                sys.exit(f"study: no {name} {wanted!r} among {', '.join(known)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = arguments.output / "results.jsonl"
    made = {(row["kind"], row["task"], row["method"], row["seed"]) for row in read(results)}
    for seed in arguments.seeds:
        for task, description in tasks.items():
            for method, options in methods.items():
                if arguments.task and task not in arguments.task or arguments.method and method not in arguments.method:
                    continue
                if (kind, task, method, seed) in made:
                    continue
                row = one(arguments, kind, task, description, method, options, seed)
                with open(results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                scores = ", ".join(f"{name} {value:.4f}" for name, value in row["metrics"].items())
                print(f"{task}, {method}, seed {seed}: {scores} ({row['seconds']:.0f} s)", flush=True)


def one(arguments, kind, task, description, method, options, seed):
    folder = prepare(arguments, task, description)
    start = time.monotonic()
    base = ["--model", arguments.model]
    if options is None or "--method" not in options:
        # Nothing is trained.
        metrics = evaluate(arguments, kind, description, folder, base, options or [])
        return dict(kind=kind, task=task, method=method, seed=seed, metrics=metrics, seconds=time.monotonic() - start)
    trained = arguments.output / "run"
    shutil.rmtree(trained, ignore_errors=True)
    told = [*filled(options, arguments), *settings(arguments, kind, task, description, method, options, folder)]
    softprompt(arguments, "train", *base, *told, "--seed", seed, "--output", trained, "--device", arguments.device,
               "--save-every", arguments.steps)
    whole = not (trained / "adapter_config.json").exists()
    metrics = evaluate(arguments, kind, description, folder,
                       ["--model", trained] if whole else [*base, "--adapter", trained], [])
    shutil.rmtree(trained)
    return dict(kind=kind, task=task, method=method, seed=seed, metrics=metrics, seconds=time.monotonic() - start,
                told=[str(word) for word in told if str(folder) not in str(word)])


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def table(arguments):
    """Markdown: a row for each method, a column for each task, mean and sample deviation over the seeds."""
    results = read(arguments.output / "results.jsonl")
    for kind, tasks, methods in (("encoders", ENCODER_TASKS, ENCODER_METHODS),
                                 ("generation", GENERATION_TASKS, GENERATION_METHODS)):
        of_kind = [row for row in results if row["kind"] == kind]
        columns = [(task, metric) for task in tasks
                   for metric in (["loss", "bleu"] if kind == "generation" else [tasks[task]["metric"]])]
        columns = [column for column in columns if any(row["task"] == column[0] for row in of_kind)]
        if not columns:
            continue
        print("| method | " + " | ".join(f"{task}, {metric}" for task, metric in columns) + " | seeds |")
        print("| --- " * (len(columns) + 2) + "|")
        for method in methods:
            cells, seeds = [], set()
            for task, metric in columns:
                found = [row for row in of_kind if row["task"] == task and row["method"] == method]
                values = [row["metrics"][metric] for row in found]
                seeds.add(len(values))
                scale = 1 if metric in ("loss", "bleu") else 100
                if not values or any(value is None for value in values):
                    cells.append("undefined" if values else "")
                elif len(values) == 1:
                    cells.append(f"{scale * values[0]:.2f}")
                else:
                    cells.append(f"{scale * statistics.mean(values):.2f} ± {scale * statistics.stdev(values):.2f}")
            if any(cells):
                counts = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)}-{max(seeds)}"
                print(f"| {method} | " + " | ".join(cells) + f" | {counts} |")
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="make the runs that are not there yet")
    running.add_argument("kind", choices=["encoders", "generation"])
    running.add_argument("--model", required=True, type=pathlib.Path)
    running.add_argument("--data", required=True, type=pathlib.Path)
    running.add_argument("--softprompt", type=pathlib.Path,
                         default=pathlib.Path(__file__).resolve().parent.parent / ".build/release/softprompt")
    running.add_argument("--device", default="cpu")
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--task", action="append", default=[], help="only this task (repeatable)")
    running.add_argument("--method", action="append", default=[], help="only this method (repeatable)")
    running.add_argument("--steps", type=int, default=80)
    running.add_argument("--train-rows", type=int, default=2000)
    running.add_argument("--test-rows", type=int, default=400)
    running.add_argument("--prompt-rate", default="1e-2")
    running.add_argument("--prefix-rate", default="3e-2")
    running.add_argument("--whole-rate", default="2e-4")
    tabling = commands.add_parser("table", help="print the scores as Markdown")
    for command in (running, tabling):
        command.add_argument("--output", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    run(arguments) if arguments.command == "run" else table(arguments)


main()
