"""A roofline plot (Williams et al., 2009) of what `softprompt bench kernels --json` measured.

    softprompt bench kernels --device cpu --json > cpu.json
    softprompt bench kernels --device opencl --json > opencl.json
    python tools/roofline.py cpu.json opencl.json --output docs/roofline.svg

One panel for each file. A point is a kernel: its floating-point operations for every byte that it has to read or write,
and how many of them it did in a second. The lines are the device's own peaks, measured in the same run. Pointing at a
point shows its name and figures. Uses the standard library alone.
"""

import argparse
import json
import math
import sys
from html import escape

WIDTH, HEIGHT = 620, 470  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 54, 118
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# Name, colour, and the operations that belong to it.
FAMILIES = [
    ("products, f32", "#1f5fa8", {"matmul"}),
    ("products, bf16", "#c2410c", set()),
    ("attention", "#15803d", {"attention"}),
    ("output projection and loss", "#7e22ce", {"crossEntropy"}),
    ("softmax", "#0e7490", {"softmax"}),
    ("normalisation", "#be185d", {"layerNorm", "rmsNorm"}),
    ("activations", "#a16207", {"gelu", "silu", "relu", "gated"}),
    ("other rows", "#57534e", None),
]


def family(kernel):
    operation = kernel["operation"].removesuffix("Backward")
    if operation == "matmul" and ",bf16" in kernel["name"]:
        return 1
    for index, (_, _, operations) in enumerate(FAMILIES):
        if operations is None or operation in operations:
            return index


class Axis:
    """A logarithmic scale from whole powers of ten to places on the page."""

    def __init__(self, values, first, last):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))
        self.first, self.last = first, last

    def __call__(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self):
        return range(self.low, self.high + 1)


def points(report):
    """Kernels with their intensity and rate; those without a time (a difference lost in noise) are named and left out."""
    found = []
    for kernel in report["kernels"]:
        if kernel["milliseconds"] <= 0:
            print(f"{kernel['operation']} of {kernel['name']}: no time, left out", file=sys.stderr)
            continue
        rate = 1e-6 * kernel["flops"] / kernel["milliseconds"]
        found.append((kernel, kernel["flops"] / kernel["bytes"], rate))
    return found


def panel(report, offset):
    marks = points(report)
    if not marks:
        sys.exit(f"roofline.py: no kernel with a time on {report['device']}")
    peaks = report["peaks"]
    bandwidth = peaks["gigabytes_per_second"]
    roofs = [(name, peaks[key]) for name, key in [("f32", "gflops"), ("bf16", "bf16_gflops")] if peaks.get(key)]
    x = Axis([i for _, i, _ in marks] + [peak / bandwidth for _, peak in roofs], LEFT, WIDTH - RIGHT)
    y = Axis([r for _, _, r in marks] + [peak for _, peak in roofs], HEIGHT - BOTTOM, TOP)
    out = [f'<g transform="translate({offset} 0)">']

    def text(at_x, at_y, words, anchor="middle", extra=""):
        out.append(f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}" {extra}>{escape(words)}</text>')

    def line(x1, y1, x2, y2, style):
        out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>')

    name = report.get("device_name", "")
    text(LEFT, 20, report["device"] + (f": {name}" if name else ""), "start", 'font-weight="bold" font-size="14"')
    text(LEFT, 38, f"{bandwidth:.1f} GB/s, " + ", ".join(f"{p:.0f} GFLOP/s {n}" for n, p in roofs), "start")
    for power in x.ticks():
        place = x(10.0**power)
        line(place, TOP, place, HEIGHT - BOTTOM, 'stroke="#e7e5e4"')
        text(place, HEIGHT - BOTTOM + 16, "10" + str(power).translate(SUPERSCRIPTS))
    for power in y.ticks():
        place = y(10.0**power)
        line(LEFT, place, WIDTH - RIGHT, place, 'stroke="#e7e5e4"')
        text(LEFT - 6, place + 4, "10" + str(power).translate(SUPERSCRIPTS), "end")
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 34, "operations for every byte (FLOP/byte)")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    text(16, middle, "GFLOP/s", extra=f'transform="rotate(-90 16 {middle:.1f})"')

    # The slope up to each roof, and the roof from there.
    left, right, bottom = 10.0**x.low, 10.0**x.high, 10.0**y.low
    tallest = max([peak for _, peak in roofs], default=10.0**y.high)
    start = max(left, bottom / bandwidth)
    line(x(start), y(start * bandwidth), x(tallest / bandwidth), y(tallest), 'stroke="#1c1917" stroke-width="1.5"')
    for label, peak in roofs:
        dashes = "" if label == "f32" else ' stroke-dasharray="6 3"'
        line(x(peak / bandwidth), y(peak), x(right), y(peak), f'stroke="#1c1917" stroke-width="1.5"{dashes}')
        text(x(right) - 4, y(peak) - 5, label, "end", 'font-size="11"')

    for kernel, intensity, rate in marks:
        colour = FAMILIES[family(kernel)][1]
        fill = "none" if kernel["operation"].endswith("Backward") else colour
        percent = f", {kernel['percent_of_peak']:.0f} % of the peak" if "percent_of_peak" in kernel else ""
        title = f"{kernel['operation']}, {kernel['name']}: {rate:.1f} GFLOP/s, {intensity:.2g} FLOP/byte{percent}"
        out.append(
            f'<circle cx="{x(intensity):.1f}" cy="{y(rate):.1f}" r="3.6" fill="{fill}" fill-opacity="0.75" '
            f'stroke="{colour}" stroke-width="1.3"><title>{escape(title)}</title></circle>'
        )
    present = sorted({family(kernel) for kernel, _, _ in marks})
    for place, index in enumerate(present):
        at_x, at_y = LEFT + place % 3 * 180, HEIGHT - 62 + place // 3 * 17
        out.append(f'<circle cx="{at_x:.1f}" cy="{at_y - 4:.1f}" r="4" fill="{FAMILIES[index][1]}"/>')
        text(at_x + 9, at_y, FAMILIES[index][0], "start")
    text(LEFT - 4, HEIGHT - 8, "filled: forward; ring: gradient of the first input", "start", 'font-size="11"')
    out.append("</g>")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", metavar="REPORT", help="what `bench kernels --json` printed")
    parser.add_argument("--output", help="the SVG file; standard output without it")
    arguments = parser.parse_args()
    panels = []
    for number, path in enumerate(arguments.reports):
        try:
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
            panels += panel(report, number * WIDTH)
        except (OSError, ValueError) as error:
            sys.exit(f"roofline.py: {path}: {error}")
        except KeyError as error:
            sys.exit(f"roofline.py: {path}: no {error} in it; is it what `bench kernels --json` printed?")
    width = WIDTH * len(arguments.reports)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#1c1917">',
        "<title>Roofline: kernels beside the measured peaks of their device</title>",
        f'<rect width="{width}" height="{HEIGHT}" fill="#ffffff"/>',
        *panels,
        "</svg>",
    ]
    text = "\n".join(lines) + "\n"
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
