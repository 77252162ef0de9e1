"""Greedy generation with a key/value cache by transformers and by SoftPrompt, in alternating rounds.

    python tools/benchmark-generate.py --softprompt .build/release/softprompt --device cpu --device opencl \\
        --tokenizer DIR_WITH_GPT2_TOKENIZER --data Examples/e2e/test.jsonl

The model is GPT-2 small with random weights (see benchmark-peft.py), or `--model`. For each batch size, both sides
continue the same inputs by a short and by a long count of tokens, each in a process of its own; tokens per second are
the additional tokens over the additional time, so that start, loading and prefill cancel. The random model does not
end a text by itself; one that does is refused, since the sides would count different tokens.
Requires: torch transformers tokenizers safetensors
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
    """Generates with transformers; prints the seconds of generation alone and the new tokens of the first text."""
    import peft_reference as reference
    import torch

    torch.set_num_threads(arguments.threads)
    dtype = torch.bfloat16 if arguments.compute_type == "bf16" else torch.float32
    device = torch.device(arguments.torch_device)
    model = reference.load_base(arguments.model, dtype).to(device)
    encoder = reference.TextEncoder(arguments.model)
    contexts = [encoder.context(json.loads(line)) for line in arguments.inputs.read_text().splitlines()]
    longest = max(map(len, contexts))
    ids = torch.tensor([[encoder.end] * (longest - len(ids)) + ids for ids in contexts], device=device)
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in contexts], device=device)
    begin = time.perf_counter()
    output = model.generate(
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=arguments.new_tokens,
        pad_token_id=encoder.end)[:, longest:].cpu()
    seconds = time.perf_counter() - begin
    if output.shape[1] < arguments.new_tokens or (output == encoder.end).any():
        raise SystemExit("a text ended before the last token: take another model or other inputs")
    print(json.dumps({"seconds": seconds, "texts": [encoder.decode(row.tolist()) for row in output]}))


def prepare(arguments):
    write_random_gpt2(arguments.model, arguments.tokenizer)


def stage_command(arguments, stage, inputs, new_tokens):
    command = [
        sys.executable, __file__, "--stage", stage, "--model", arguments.model, "--data", arguments.data, "--inputs",
        inputs, "--new-tokens", new_tokens, "--threads", arguments.threads, "--compute-type", arguments.compute_type,
        "--torch-device", arguments.torch_device,
    ]
    return command + (["--tokenizer", arguments.tokenizer] if arguments.tokenizer else [])


def softprompt_command(arguments, device, count, new_tokens):
    command = [
        arguments.softprompt, "generate", "--model", arguments.model, "--device", device, "--json",
        "--max-new-tokens", new_tokens, "--batch-size", count, "--compute-type", arguments.compute_type,
    ]
    if arguments.compute_type == "bf16":
        command += ["--weights", "bf16"]
    return command + arguments.softprompt_options.split()


def measure_peer(arguments, inputs, _):
    results = [Measured(stage_command(arguments, "peer", inputs, count)) for count in arguments.counts]
    answers = [json.loads(result.output) for result in results]
    return answers[1]["seconds"] - answers[0]["seconds"], answers[1]["texts"], max(r.peak for r in results)


def measure_softprompt(arguments, inputs, device):
    text = inputs.read_text()
    lines = text.count("\n")
    results = [
        Measured(softprompt_command(arguments, device, lines, count), text) for count in arguments.counts
    ]
    texts = [json.loads(line) for line in results[1].output.splitlines()]
    return results[1].seconds - results[0].seconds, texts, max(result.peak for result in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--softprompt", help="the binary; without it only the peer runs")
    parser.add_argument("--device", action="append", help="softprompt's device, may be repeated (default auto)")
    parser.add_argument("--data", type=Path, required=True, help="rows with `input`")
    parser.add_argument("--model", type=Path, help="a GPT-2 directory instead of the random GPT-2 small")
    parser.add_argument("--tokenizer", type=Path, help="a folder with GPT-2's tokenizer.json (without --model)")
    parser.add_argument("--folder", type=Path, help="keeps the random model for the next time (default: temporary)")
    parser.add_argument("--batch-size", type=int, action="append", help="may be repeated (default 1 and 16)")
    parser.add_argument(
        "--counts", type=int, nargs=2, default=(8, 72), help="new tokens of the short and the long run (default 8 72)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compute-type", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=cores(), help="of the peer (default: all cores)")
    parser.add_argument("--torch-device", default="cpu")
    parser.add_argument("--softprompt-options", default="", help="more options for `generate`, in one string")
    parser.add_argument("--stage", choices=("prepare", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--new-tokens", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage is not None:
        {"prepare": prepare, "peer": peer}[arguments.stage](arguments)
        return
    if (arguments.model is None) == (arguments.tokenizer is None):
        parser.error("give --tokenizer for a random GPT-2 small, or --model")

    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        inputs = Path(name) / "inputs.jsonl"
        if arguments.model is None:
            arguments.model = folder / "gpt2-small-random"
            Measured(stage_command(arguments, "prepare", inputs, 0))
        with open(arguments.data, encoding="utf-8", newline="\n") as file:
            texts = [json.loads(line)["input"] for line in file]
        print(f"{'batch':>5}  {'':22}{'tokens/s':>10}{'ratio':>8}{'peak GB':>9}{'equal texts':>13}")
        for size in arguments.batch_size or (1, 16):
            if size > len(texts):
                parser.error(f"{arguments.data} has {len(texts)} rows, fewer than a batch of {size}")
            inputs.write_text("".join(json.dumps(text) + "\n" for text in texts[:size]), encoding="utf-8")
            sides = {"transformers": (measure_peer, None)}
            for device in (arguments.device or ["auto"]) if arguments.softprompt else []:
                sides[f"softprompt {device}"] = (measure_softprompt, device)
            rounds = {side: [] for side in sides}
            for _ in range(arguments.rounds):
                for side, (measure, device) in sides.items():
                    result = measure(arguments, inputs, device)
                    if result[0] <= 0:
                        raise SystemExit(f"{side}: the long run was not slower than the short one; raise --counts")
                    rounds[side].append(result)
            tokens = size * (arguments.counts[1] - arguments.counts[0])
            peer_rounds = rounds["transformers"]
            for side, results in rounds.items():
                rate = statistics.median(tokens / seconds for seconds, _, _ in results)
                ratio = statistics.median(other[0] / mine[0] for other, mine in zip(peer_rounds, results))
                equal = sum(a == b for a, b in zip(results[0][1], peer_rounds[0][1]))
                peak = max(result[2] for result in results) / 1e9
                print(f"{size:5}  {side:22}{rate:10.1f}{ratio:8.2f}{peak:9.2f}{equal:>10}/{size}")


if __name__ == "__main__":
    main()
