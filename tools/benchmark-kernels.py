"""Matrix products and row operations at the sizes of GPT-2, by PyTorch, NumPy and SoftPrompt, in alternating rounds.

    python tools/benchmark-kernels.py --softprompt .build/release/softprompt --device cpu --device opencl --rounds 3

The cases are those of `softprompt bench kernels`. Each round runs every program in a process of its own, one after the
other; a figure is the median over the rounds of each round's median. "Backward" is the gradient of the first input
alone. Products are shown in GFLOP/s, everything else in milliseconds; ratios are of time, SoftPrompt ahead above 1.
Requires: torch numpy
"""

import argparse
import json
import re
import statistics
import sys
import time
from pathlib import Path

from benchmark_support import Measured, cores

CASES = r"^(matmul/m=(1|16|128|512|1024),|softmax/|layerNorm/|gelu/)"


# Seconds that short work is repeated for before it is timed, and while it is: as in `softprompt bench`.
SHORTEST = 0.1


def timed(body, rounds):
    def run():
        begin = time.perf_counter()
        body()
        return time.perf_counter() - begin

    warming = run()
    while warming < SHORTEST:
        warming += run()
    seconds = []
    while len(seconds) < rounds or sum(seconds) < SHORTEST:
        seconds.append(run())
    return statistics.median(seconds)


def operations(names):
    """For each case what PyTorch computes, and NumPy where it is a plain product: (forward, both passes, NumPy's)."""
    import numpy
    import torch
    from torch.nn import functional

    for name in names:
        operation, sizes = name.split("/", 1)
        numbers = {key: int(value) for key, value in re.findall(r"(m|n|k|rows)=(\d+)", sizes)}
        if operation == "matmul":
            m, n, k = (numbers[key] for key in "mnk")
            transposed, rounded = ",nt" in sizes, "rounded" in sizes
            kind = torch.bfloat16 if rounded else torch.float32
            x = torch.randn(m, k, dtype=kind, requires_grad=True)
            weight = torch.randn((n, k) if transposed else (k, n), dtype=kind)
            cotangent = torch.randn(m, n, dtype=kind)
            right = weight.T if transposed else weight
            forward = lambda x=x, right=right: x @ right
            a, b = x.detach().float().numpy(), right.float().numpy()
            plain = None if rounded else (lambda a=a, b=b: numpy.matmul(a, b))
        else:
            shape = (numbers["rows"], numbers["n"])
            x = torch.randn(shape, requires_grad=True)
            cotangent = torch.randn(shape)
            weight, bias = torch.randn(shape[1]), torch.randn(shape[1])
            approximate = "tanh" if "tanh" in sizes else "none"
            forward = {
                "softmax": lambda x=x: functional.softmax(x, -1),
                "layerNorm": lambda x=x, w=weight, b=bias: functional.layer_norm(x, (x.shape[1],), w, b),
                "silu": lambda x=x: functional.silu(x),
                "rmsNorm": lambda x=x, w=weight: functional.rms_norm(x, (x.shape[1],), w),
                "gelu": lambda x=x, kind=approximate: functional.gelu(x, approximate=kind),
            }[operation]
            plain = None

        def both(x=x, forward=forward, cotangent=cotangent):
            x.grad = None
            forward().backward(cotangent)

        def alone(forward=forward):
            with torch.no_grad():
                forward()

        yield name, alone, both, plain


def peer(arguments):
    """One round of PyTorch and NumPy: seconds by case and pass."""
    import torch

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    result = {"torch": {}, "numpy": {}}
    for name, forward, both, plain in operations(json.loads(arguments.names)):
        seconds = timed(forward, arguments.repetitions)
        result["torch"][f"{name} forward"] = seconds
        result["torch"][f"{name} backward"] = timed(both, arguments.repetitions) - seconds
        if plain:
            result["numpy"][f"{name} forward"] = timed(plain, arguments.repetitions)
    print(json.dumps(result))


def ours(arguments, device, figures, work):
    output = Measured([
        arguments.softprompt, "bench", "kernels", "--device", device, "--filter", arguments.filter, "--rounds",
        arguments.repetitions, "--json"]).output
    report = json.loads(output)
    for kernel in report["kernels"]:
        key = f"{kernel['name']} {'backward' if kernel['operation'].endswith('Backward') else 'forward'}"
        figures.setdefault(key, []).append(1e-3 * kernel["milliseconds"])
        work[key] = kernel["flops"]
    return report["peaks"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--softprompt", type=Path)
    parser.add_argument("--device", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=9, help="of each case in a round (default 9)")
    parser.add_argument("--filter", default=CASES, help="a regular expression of cases")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--names", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.names:
        return peer(arguments)
    if not arguments.softprompt:
        parser.error("--softprompt is needed")
    devices = arguments.device or ["cpu"]
    figures = {device: {} for device in devices} | {"torch": {}, "numpy": {}}
    work, peaks = {}, {}
    for _ in range(arguments.rounds):
        for device in devices:
            measured = ours(arguments, device, figures[device], work)
            known = peaks.setdefault(device, {})
            for name, value in measured.items():
                if value is not None:
                    known[name] = max(value, known.get(name, 0))
        names = sorted({key.rsplit(" ", 1)[0] for key in work})
        round_ = json.loads(Measured([
            sys.executable, __file__, "--names", json.dumps(names), "--threads", arguments.threads, "--repetitions",
            arguments.repetitions]).output)
        for program, values in round_.items():
            for key, seconds in values.items():
                figures[program].setdefault(key, []).append(seconds)
    report(devices, figures, work, peaks)


def report(devices, figures, work, peaks):
    for device in devices:
        print(f"{device}: peaks " + ", ".join(f"{name} {value:.1f}" for name, value in peaks[device].items()))
    print()
    print("| case | PyTorch | NumPy | " + " | ".join(f"{device} | ratio to PyTorch" for device in devices) + " |")
    print("| --- " * (3 + 2 * len(devices)) + "|")
    for key in work:
        def shown(program):
            # The difference of two times may come out as nothing on a busy machine.
            values = [seconds for seconds in figures[program].get(key, []) if seconds > 0]
            if not values:
                return None, ""
            seconds = statistics.median(values)
            rate = f"{1e-9 * work[key] / seconds:.0f} GFLOP/s" if key.startswith("matmul") else f"{1e3 * seconds:.2f} ms"
            return seconds, rate

        torch_seconds, torch_text = shown("torch")
        cells = [torch_text, shown("numpy")[1]]
        for device in devices:
            seconds, text = shown(device)
            cells += [text, f"{torch_seconds / seconds:.2f}" if seconds and torch_seconds else ""]
        print(f"| {key} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
