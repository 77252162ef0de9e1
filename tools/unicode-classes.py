#!/usr/bin/env python3
"""Writes Sources/Tokenizers/Unicode/UnicodeClassRanges.swift from the reference implementation.

The reference (Hugging Face tokenizers) splits text with a regular-expression engine that carries its own Unicode
tables. Instead of guessing their version, every Unicode scalar value is asked for: letters (\\p{L}), numbers (\\p{N}) and
white space (\\s) of the pre-tokenizer's engine, and the word characters (\\w) and white space that the matching of
added tokens uses, which is another engine.

    python tools/unicode-classes.py        (needs the Python package tokenizers)
"""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

OUTPUT = Path(__file__).resolve().parent.parent / "Sources/Tokenizers/Unicode/UnicodeClassRanges.swift"
BLOCK = 0x400
# The white space that UnicodeClasses.swift spells out.
WHITE_SPACE = [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]


def blocks():
    for base in range(0, 0x110000, BLOCK):
        if not 0xD800 <= base < 0xE000:
            yield range(base, base + BLOCK)


def matching(pattern):
    """The scalars that one class of the pre-tokenizer's engine matches."""
    splitter = pre_tokenizers.Split(Regex(pattern), "removed")
    found = set()
    for block in blocks():
        kept = set()
        for _, (start, end) in splitter.pre_tokenize_str("".join(map(chr, block))):
            kept.update(range(start, end))
        found.update(scalar for i, scalar in enumerate(block) if i not in kept)
    return found


def beside_added_token(flag):
    """The offsets of an added token, `@@`, found behind each scalar, or None where it was not found."""
    tokenizer = Tokenizer(models.BPE(vocab={"x": 0}, merges=[]))
    tokenizer.add_tokens([AddedToken("@@", normalized=False, **{flag: True})])
    for block in blocks():
        text = "".join(chr(scalar) + "@@\x01" for scalar in block)
        encoding = tokenizer.encode(text)
        tokens = {end: start for start, end in encoding.offsets}
        for i, scalar in enumerate(block):
            if scalar != ord("@"):
                start = tokens.get(4 * i + 3)
                yield scalar, None if start is None else start - 4 * i


def ranges(scalars):
    result = []
    for scalar in sorted(scalars):
        if result and result[-1][1] == scalar:
            result[-1][1] = scalar + 1
        else:
            result.append([scalar, scalar + 1])
    return result


def swift(name, comment, scalars):
    numbers = [f"0x{bound:X}" for pair in ranges(scalars) for bound in pair]
    lines, line = [], "   "
    for number in numbers:
        if len(line) + len(number) + 2 > 118:
            lines.append(line)
            line = "   "
        line += f" {number},"
    lines.append(line)
    return f"  /// {comment}\n  static let {name}: [UInt32] = [\n" + "\n".join(lines) + "\n  ]\n"


def main():
    letters, numbers = matching(r"\p{L}"), matching(r"\p{N}")
    words = {scalar for scalar, start in beside_added_token("single_word") if start is None}
    assert matching(r"\s") == set(WHITE_SPACE)
    assert {scalar for scalar, start in beside_added_token("lstrip") if start == 0} == set(WHITE_SPACE)
    OUTPUT.write_text(
        f"// Written by tools/unicode-classes.py from tokenizers {tokenizers.__version__}. Not edited by hand.\n\n"
        "/// Ranges of Unicode scalar values, each as its first value and the one after its last.\n"
        "enum UnicodeClassRanges {\n"
        + swift("letters", "The scalars of `\\p{L}`.", letters)
        + "\n"
        + swift("numbers", "The scalars of `\\p{N}`.", numbers)
        + "\n"
        + swift("words", "The scalars of `\\w`.", words)
        + "}\n"
    )


main()
