#!/usr/bin/env python3
"""Writes the Unicode tables in Sources/Tokenizers/Unicode/Tables from the reference implementation.

The reference (Hugging Face tokenizers) uses several libraries that each carry Unicode tables of their own, of different
Unicode versions. Instead of guessing versions, every Unicode scalar value is asked for:

- general categories, scripts and case-insensitive equivalence of the regular-expression engine (Split, Replace),
- decompositions, compositions and combining classes of the normal forms,
- what Lowercase, StripAccents, BertNormalizer, Digits, Punctuation and WhitespaceSplit take a scalar for,
- the word characters that the matching of added tokens and the Whitespace pre-tokenizer use,
- which scalars join the grapheme cluster in front of them, by the Precompiled normaliser.

    python tools/unicode-tables.py        (needs the Python package tokenizers)
"""

import base64
import struct
import sys
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

FOLDER = Path(__file__).resolve().parent.parent / "Sources/Tokenizers/Unicode/Tables"
BLOCK = 0x400
WHITE_SPACE = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
SCRIPTS = ("Latin Greek Cyrillic Armenian Hebrew Arabic Devanagari Bengali Tamil Telugu Thai Lao Tibetan Georgian Hangul "
           "Ethiopic Khmer Mongolian Hiragana Katakana Bopomofo Han").split()


def blocks():
    for base in range(0, 0x110000, BLOCK):
        if not 0xD800 <= base < 0xE000:
            yield range(base, base + BLOCK)


def kept(splitter):
    """The scalars that are left of a text when a splitter has removed what it removes."""
    found = set()
    for block in blocks():
        for _, (start, end) in splitter.pre_tokenize_str("".join(map(chr, block))):
            found.update(block[start:end])
    return found


EVERY = {c for block in blocks() for c in block}


def matching(pattern):
    return EVERY - kept(pre_tokenizers.Split(Regex(pattern), "removed"))


def normal(normalizer, wrap="{}"):
    """What a normaliser makes of each scalar alone."""
    return {c: normalizer.normalize_str(wrap.format(chr(c))) for c in EVERY}


def beside_added_token(flag):
    """The offsets of an added token, `@@`, found behind each scalar, or None where it was not found."""
    tokenizer = Tokenizer(models.BPE(vocab={"x": 0}, merges=[]))
    tokenizer.add_tokens([AddedToken("@@", normalized=False, **{flag: True})])
    for block in blocks():
        text = "".join(chr(scalar) + "@@\x01" for scalar in block)
        tokens = {end: start for start, end in tokenizer.encode(text).offsets}
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
    return [bound for pair in result for bound in pair]


def combining_classes():
    """Combining classes, up to renaming that keeps their order: found by which pairs of marks change places."""
    nfd = normalizers.NFD().normalize_str
    low, high = "\u0334", "\u0345"  # classes 1 and 240, the lowest and the highest
    alone = [c for c in EVERY if nfd(chr(c)) == chr(c)]
    marks = [c for c in alone if nfd(high + chr(c)) != high + chr(c) or nfd(chr(c) + low) != chr(c) + low]
    marks = sorted({*marks, ord(low), ord(high)})
    groups = []  # one scalar of each class, in order
    classes = {}
    for c in marks:
        below, above = 0, len(groups)
        while below < above:
            middle = (below + above) // 2
            other = chr(groups[middle])
            if nfd(other + chr(c)) != other + chr(c):
                above = middle
            elif nfd(chr(c) + other) != chr(c) + other:
                below = middle + 1
            else:
                below = above = middle
                break
        same = below < len(groups) and nfd(chr(groups[below]) + chr(c)) == chr(groups[below]) + chr(c) \
            and nfd(chr(c) + chr(groups[below])) == chr(c) + chr(groups[below])
        if not same:
            groups.insert(below, c)
    for rank, representative in enumerate(groups):
        for c in marks:
            a, b = chr(representative), chr(c)
            if nfd(a + b) == a + b and nfd(b + a) == b + a:
                classes[c] = rank + 1
    assert len(classes) == len(marks)
    return classes


def fold_groups():
    """Sets of scalars that match each other in a case-insensitive pattern."""
    seen, groups = set(), []
    related = {}
    for c in EVERY:
        for other in {chr(c).lower(), chr(c).upper(), chr(c).casefold()}:
            if len(other) == 1 and ord(other) != c and ord(other) in EVERY:
                related.setdefault(c, set()).add(ord(other))
                related.setdefault(ord(other), set()).add(c)
    for c in sorted(related):
        if c in seen:
            continue
        group, rest = {c}, [c]
        while rest:
            for other in related[rest.pop()] - group:
                group.add(other)
                rest.append(other)
        splitter = pre_tokenizers.Split(Regex(f"(?i:\\x{{{c:X}}})"), "removed")
        found = {c} | {o for o in group if not splitter.pre_tokenize_str(chr(o))}
        seen |= found
        if len(found) > 1:
            groups.append(sorted(found))
    return groups


def joiners():
    """The scalars that join the grapheme cluster in front of them.

    A character map that makes `b` of `a` replaces a whole short cluster that starts with `a`.
    """
    units = [0] * 512
    units[0] = 256 << 10
    units[0x161] = 0x61 | 1 << 8 | 0x160 << 10
    units[1] = 1 << 31
    data = struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + b"b\0"
    precompiled = normalizers.Precompiled(data)
    return {c for c in EVERY if precompiled.normalize_str("a" + chr(c)) == "b" and c != 0}


def lines(numbers):
    result, line = [], "   "
    for number in numbers:
        text = f"0x{number:X}"
        if len(line) + len(text) + 2 > 118:
            result.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([*result, line])


def table(name, comment, numbers):
    return f"  /// {comment}\n  static let {name}: [UInt32] = [\n{lines(numbers)}\n  ]\n"


def write(name, comment, *tables):
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.swift").write_text(
        f"// Written by tools/unicode-tables.py from tokenizers {tokenizers.__version__}. Not edited by hand.\n\n"
        f"/// {comment}\nenum {name} {{\n" + "\n".join(tables) + "}\n", encoding="utf-8")


def decompositions(form, base=None):
    """Flat: a scalar with the length of its decomposition in the top byte, then the decomposition."""
    numbers = []
    for c in sorted(form):
        if form[c] != chr(c) and not 0xAC00 <= c < 0xD7A4 and (base is None or form[c] != base[c]):
            numbers += [c | len(form[c]) << 24, *map(ord, form[c])]
    return numbers


def main():
    assert matching(r"\s") == WHITE_SPACE
    assert EVERY - kept(pre_tokenizers.WhitespaceSplit()) == WHITE_SPACE
    assert {c for c, start in beside_added_token("lstrip") if start == 0} == WHITE_SPACE

    category = {}
    for index, name in enumerate(CATEGORIES):
        if name != "Cs":
            for c in matching(f"\\p{{{name}}}"):
                assert c not in category
                category[c] = index
    starts, last = [], None
    for c in sorted(EVERY):
        if category[c] != last or c == 0xE000:
            starts.append(c << 8 | category[c])
            last = category[c]
    write("UnicodeCategoryRanges", "The general categories of the regular-expression engine.",
          table("starts", "The first scalar of each run of one category, shifted by 8, and the category's number below it.", starts))
    scripts = [(name, ranges(matching(f"\\p{{{name}}}"))) for name in SCRIPTS]
    write("UnicodeScriptRanges", "Scripts by the regular-expression engine: a range's first scalar and the one after its last.",
          *(table(name.lower(), f"The scalars of `\\p{{{name}}}`.", bounds) for name, bounds in scripts))
    write("UnicodeFoldGroups", "Scalars that are equal where case does not count.",
          table("groups", "Groups: a count, then that many scalars.", [n for g in fold_groups() for n in (len(g), *g)]))

    nfd, nfkd, nfc = normal(normalizers.NFD()), normal(normalizers.NFKD()), normalizers.NFC().normalize_str
    pairs = []
    for c in sorted(EVERY):
        parts = nfd[c]
        if len(parts) > 1 and nfc(parts) == chr(c) and not 0xAC00 <= c < 0xD7A4:
            first = nfc(parts[:-1])
            assert len(first) == 1 and nfc(first + parts[-1]) == chr(c), hex(c)
            pairs += [ord(first), ord(parts[-1]), c]
    classes = combining_classes()
    write("UnicodeDecompositions", "The normal forms of the reference implementation, Hangul syllables left out.",
          table("canonical", "A scalar with the length of its canonical decomposition in the top byte, then the decomposition.",
                decompositions(nfd)),
          table("compatible", "The same for compatibility decompositions that differ from the canonical ones.",
                decompositions(nfkd, nfd)),
          table("compositions", "Triples: two scalars, and what they compose to.", pairs),
          table("combiningClasses", "Marks with the rank of their combining class in the top byte; 0 are all others.",
                [c | rank << 24 for c, rank in sorted(classes.items())]))

    lower = normal(normalizers.Lowercase())
    bert = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    clean = normal(normalizers.BertNormalizer(**{**bert, "clean_text": True}))
    bare = normal(normalizers.BertNormalizer(**{**bert, "strip_accents": True}))
    strip = normal(normalizers.StripAccents())
    chinese = normal(normalizers.BertNormalizer(**{**bert, "handle_chinese_chars": True}))
    assert {c for c in EVERY if clean[c] == " "} == WHITE_SPACE - {0xB, 0xC, 0x85}
    digits = EVERY - kept_alone(pre_tokenizers.Digits(individual_digits=True))
    punctuation = EVERY - kept(pre_tokenizers.Punctuation(behavior="removed"))
    write("UnicodeLowercase", "Lower-case letters by the reference implementation.",
          table("mappings", "A scalar with the length of its lower-case form in the top byte, then that form.",
                decompositions(lower)))
    words = {c for c, start in beside_added_token("single_word") if start is None}
    write("UnicodeClassRanges", "Ranges of Unicode scalar values, each as its first value and the one after its last.",
          table("words", "Word characters, by the matching of added tokens.", ranges(words)),
          table("digits", "Numbers, by the Digits pre-tokenizer.", ranges(digits)),
          table("punctuation", "Punctuation, by the Bert and Punctuation pre-tokenizers.", ranges(punctuation)),
          table("removed", "What cleaning by the Bert normaliser removes.", ranges(c for c in EVERY if clean[c] == "")),
          table("chinese", "What the Bert normaliser puts spaces around.",
                ranges(c for c in EVERY if chinese[c] == f" {chr(c)} ")),
          table("nonspacingMarks", "What the Bert normaliser takes for accents.",
                ranges(c for c in EVERY if nfd[c] == chr(c) and bare[c] == "")),
          table("combiningMarks", "What StripAccents removes.", ranges(c for c in EVERY if strip[c] == "")),
          table("joiners", "Scalars that join the grapheme cluster in front of them.", ranges(joiners())))
    # A composed scalar must behave as its parts do.
    marks = {c for c in EVERY if nfd[c] == chr(c) and bare[c] == ""}
    assert all(bare[c] == "".join(p for p in nfd[c] if ord(p) not in marks) for c in EVERY)


def kept_alone(splitter):
    """The scalars that a splitter which isolates numbers leaves together with a letter in front."""
    return {c for c in EVERY if len(splitter.pre_tokenize_str("a" + chr(c))) == 1}


main()
