"""Prompt tuning by PEFT and by SoftPrompt on the same model, data and initial prompt, in alternating rounds.

    python tools/benchmark-peft.py --softprompt .build/release/softprompt --device cpu --device opencl \\
        --tokenizer DIR_WITH_GPT2_TOKENIZER --data Examples/e2e/train.jsonl

The model is GPT-2 small with random weights and no dropout, written once to `--folder`. The peer is the usual PEFT
loop: right-padded batches, AdamW on the prompt, all cores. Prints medians over the rounds of the time of a step (the
first steps of each round are dropped), real tokens per second (input, target and end tokens, no padding, no prompt),
the ratio, and peak resident memory; compares the losses of every step. Exit status 1 where they differ by more than
the tolerance. Without `--softprompt` only the peer runs.
Requires: torch transformers peft tokenizers safetensors
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmark_support import Measured, cores, write_random_gpt2


def peer(arguments):
    """The PEFT loop, in a process of its own; writes a line per step like `metrics.jsonl`."""
    import peft_reference as reference
    import torch

    torch.set_num_threads(arguments.threads)
    dtype = torch.bfloat16 if arguments.compute_type == "bf16" else torch.float32
    device = torch.device(arguments.torch_device)
    encoder = reference.TextEncoder(arguments.model)
    pairs = [encoder.pair(example) for example in reference.read_examples(arguments.data)]
    prompt = reference.prompt_weight(
        reference.with_adapter(reference.load_base(arguments.model), arguments.initial)).detach().clone()
    model = reference.with_prompt(reference.load_base(arguments.model, dtype), prompt).to(device).train()
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], lr=arguments.learning_rate, weight_decay=0.0)

    batches = reference.file_order_batches(pairs, arguments.batch_size)
    with open(arguments.output, "w") as file:
        for step in range(1, arguments.steps + 1):
            pairs = next(batches)
            begin = time.perf_counter()
            batch = {name: tensor.to(device) for name, tensor in reference.collate(pairs, encoder.end).items()}
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            value = loss.item()
            seconds = time.perf_counter() - begin
            real = sum(len(context) + len(target) for context, target in pairs)
            file.write(json.dumps({"step": step, "loss": value, "tokens_per_second": real / seconds}) + "\n")


def prepare(arguments):
    """Writes model, data and the initial prompt; prints the real tokens of every step as a JSON array."""
    import peft_reference as reference
    import torch

    if arguments.tokenizer is not None:
        write_random_gpt2(arguments.model, arguments.tokenizer)
    rows = reference.read_examples(arguments.data)[: arguments.steps * arguments.batch_size]
    arguments.output.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    base = reference.load_base(arguments.model)
    table = base.get_input_embeddings().weight.detach()
    generator = torch.Generator().manual_seed(arguments.seed)
    prompt = table[torch.randint(0, len(table), (arguments.prompt_length,), generator=generator)].clone()
    reference.save_adapter(reference.with_prompt(base, prompt), arguments.initial)

    encoder = reference.TextEncoder(arguments.model)
    pairs = [encoder.pair(row) for row in rows]
    batches = reference.file_order_batches(pairs, arguments.batch_size)
    steps = [sum(len(context) + len(target) for context, target in next(batches)) for _ in range(arguments.steps)]
    print(json.dumps(steps))


def stage_command(arguments, stage, output):
    """This script again as a child, so that PyTorch's memory is the child's and not a floor under everyone's peak."""
    command = [
        sys.executable, __file__, "--stage", stage, "--model", arguments.model, "--data", arguments.data,
        "--initial", arguments.initial, "--output", output, "--steps", arguments.steps, "--batch-size",
        arguments.batch_size, "--prompt-length", arguments.prompt_length, "--learning-rate", arguments.learning_rate,
        "--compute-type", arguments.compute_type, "--threads", arguments.threads, "--torch-device",
        arguments.torch_device, "--seed", arguments.seed,
    ]
    return command + (["--tokenizer", arguments.tokenizer] if arguments.tokenizer else [])


def softprompt_command(arguments, device, folder):
    output = folder / "run"
    command = [
        arguments.softprompt, "train", "--model", arguments.model, "--data", arguments.data, "--output", output,
        "--method", "prompt-tuning", "--prompt-length", arguments.prompt_length, "--prompt-init",
        f"adapter:{arguments.initial}", "--batch-size", arguments.batch_size, "--no-shuffle", "--steps",
        arguments.steps, "--log-every", 1, "--optimizer", "adamw", "--learning-rate", arguments.learning_rate,
        "--device", device, "--compute-type", arguments.compute_type,
    ]
    if arguments.compute_type == "bf16":
        command += ["--weights", "bf16"]
    return output / "metrics.jsonl", command + arguments.softprompt_options.split()


def measure(command, metrics, real_tokens, warmup):
    """One round: losses of all steps, seconds of the steps after the warm-up, wall time and peak memory."""
    child = Measured(command)
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines = [line for line in lines if "tokens_per_second" in line]
    if len(lines) != len(real_tokens):
        raise SystemExit(f"{metrics}: {len(lines)} training lines for {len(real_tokens)} steps")
    seconds = [tokens / line["tokens_per_second"] for tokens, line in zip(real_tokens, lines)]
    if sum(seconds) > child.seconds:
        raise SystemExit(f"{metrics}: the steps add up to {sum(seconds):.1f} s in a process of {child.seconds:.1f} s")
    return {
        "losses": [line["loss"] for line in lines],
        "seconds": seconds[warmup:],
        "wall": child.seconds,
        "peak": child.peak,
    }


def worst_difference(ours, theirs):
    """The largest relative difference of a step's losses over all rounds; NaN counts as infinite."""
    differences = [
        abs(a - b) / abs(b) for mine, other in zip(ours, theirs) for a, b in zip(mine["losses"], other["losses"])
    ]
    return max(float("inf") if difference != difference else difference for difference in differences)


def report(arguments, rounds, real_tokens):
    real = statistics.mean(real_tokens[arguments.warmup :])
    print(f"{arguments.rounds} rounds of {arguments.steps} steps ({arguments.warmup} dropped), P = "
          f"{arguments.prompt_length}, batch {arguments.batch_size}, {real:.0f} real tokens a step, "
          f"{arguments.compute_type}, {arguments.threads} threads")
    print(f"{'':22}{'s/step':>9}{'tokens/s':>10}{'ratio':>8}{'peak GB':>9}{'process s':>11}{'loss difference':>17}")
    theirs, passed = rounds["PEFT"], True
    for name, results in rounds.items():
        # A ratio inside each round, then the median: the machine's speed drifts from round to round.
        medians = [statistics.median(result["seconds"]) for result in results]
        rates = [sum(real_tokens[arguments.warmup :]) / sum(result["seconds"]) for result in results]
        ratios = [statistics.median(other["seconds"]) / mine for other, mine in zip(theirs, medians)]
        line = (f"{name:22}{statistics.median(medians):9.3f}{statistics.median(rates):10.0f}"
                f"{statistics.median(ratios):8.2f}{max(result['peak'] for result in results) / 1e9:9.2f}"
                f"{statistics.median(result['wall'] for result in results):11.1f}")
        if name != "PEFT":
            difference = worst_difference(results, theirs)
            passed &= difference <= arguments.tolerance
            line += f"{difference:17.1e}"
        print(line)
    print(f"losses of the peer: {theirs[0]['losses'][0]:.5f} ... {theirs[0]['losses'][-1]:.5f}")
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--softprompt", help="the binary; without it only the peer runs")
    parser.add_argument("--device", action="append", help="softprompt's device, may be repeated (default auto)")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a GPT-2 directory instead of the random GPT-2 small")
    parser.add_argument("--tokenizer", type=Path, help="a folder with GPT-2's tokenizer.json (without --model)")
    parser.add_argument("--folder", type=Path, help="keeps the random model for the next time (default: temporary)")
    parser.add_argument("--prompt-length", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--warmup", type=int, default=2, help="first steps of each round that are not timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--compute-type", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--tolerance", type=float, help="relative, of a loss (default 1e-4; for bf16 1e-2)")
    parser.add_argument("--threads", type=int, default=cores(), help="of the peer (default: all cores)")
    parser.add_argument("--torch-device", default="cpu")
    parser.add_argument("--softprompt-options", default="", help="more options for `softprompt train`, in one string")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stage", choices=("prepare", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--initial", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage is not None:
        {"prepare": prepare, "peer": peer}[arguments.stage](arguments)
        return
    if (arguments.model is None) == (arguments.tokenizer is None):
        parser.error("give --tokenizer for a random GPT-2 small, or --model")
    if arguments.tolerance is None:
        arguments.tolerance = 1e-2 if arguments.compute_type == "bf16" else 1e-4

    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        arguments.model = arguments.model or folder / "gpt2-small-random"
        arguments.initial = Path(name) / "initial"
        data = Path(name) / "data.jsonl"
        real_tokens = json.loads(Measured(stage_command(arguments, "prepare", data)).output)
        arguments.data = data
        rounds = {"PEFT": []}
        for _ in range(arguments.rounds):
            metrics = Path(name) / "peer.jsonl"
            command = stage_command(arguments, "peer", metrics)
            rounds["PEFT"].append(measure(command, metrics, real_tokens, arguments.warmup))
            for device in (arguments.device or ["auto"]) if arguments.softprompt else []:
                with tempfile.TemporaryDirectory() as run:
                    metrics, command = softprompt_command(arguments, device, Path(run))
                    result = measure(command, metrics, real_tokens, arguments.warmup)
                rounds.setdefault(f"softprompt {device}", []).append(result)
        passed = report(arguments, rounds, real_tokens)
    if not passed:
        print(f"FAILED: losses differ by more than {arguments.tolerance:g} relative")
        sys.exit(1)


if __name__ == "__main__":
    main()
