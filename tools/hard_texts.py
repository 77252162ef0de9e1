"""Texts that are hard for tokenizers, for tools/check-tokenizer.py and the fixture scripts."""

import random

LANGUAGES = [
    "All human beings are born free and equal in dignity and rights.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Straße, Größe, Übermut.",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos; ¿no? ¡Sí, señor!",
    "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
    "すべての人間は、生れながらにして自由であり、ｶﾀｶﾅも ガギグ です。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق، وقد وُهِبوا عقلًا.",
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. İstanbul'da ışık.",
    "def f(x):\n\treturn {'a': x[0]**2, \"b\": 10_000 / 3.14159}  # TODO: 1st, 2nd\r\n\r\n",
    "🙂👩\u200d👩\u200d👧🇩🇪👍🏽 ❤\ufe0f ☃ ½ ² ﬁ ﬂ ﬆ Ⅷ № ™ ① ㌔ ﷺ",
]
CONTRACTIONS = [
    "I'm you're he's she'd we'll they've don't CAN'T WE'LL i'M It’s 'tis ''s 'ſ rock'n'roll O'Neil's",
    "1 12 123 1234 12345 3.14159 1,000,000 ٣٤٥ ²³ Ⅷ 0x1F 1e-5",
]
SPACES = [chr(c) for c in [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F,
                           0x205F, 0x2060, 0x3000, 0xFEFF]]
FRAGMENTS = SPACES + [
    " ", "  ", "\n", "\r\n", "\t", "\0", "\x01", "\x1f", "\x7f", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'L", "'",
    "''", "``", "’s", "a", "Z", "the", " the", "The", "0", "42", "²", "½", "Ⅷ", "٣", "߉", "é", "e\u0301", "\u0301", "ß", "İ", "ǅ",
    "'ſ", "K", "ﬁ", "ﬀ", "Å", "A\u030a", "\u0344", "\u0958", "\u09cb", "o\u0323\u0302", "q\u0307\u0323", "\u1ec7", "ﬃ", "ﷺ", "㌔",
    "日本", "語", "ｶﾞ", "か\u3099", "が", "한국", "\u1112\u1161\u11ab", "\u1112\u1161", "각", "\u11a8", "עברית", "العربية", "\u0640",
    "\u200f", "\u202e", "\u200d", "\u200b", "\u00ad", "🙂", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "\ufe0f", "क्षि", "ไทย", "\u0378",
    "\U000e0041", "\U0010ffff", "\ue000", "\ufffe", "\ufffd", "\U0001e900", "\U0001d15e", "\U0001d400", "\u302e", "\u0e33", "¨", "´",
    "…", "—", "!", "?!", " ,", " .", " n't", " do not", "_", "-", "$", "€", "<", "|", "<|endoftext|>", "<|endoftext", "|>",
    "\\n", "\"", "{", "Ġ", "Ċ", "▁", "▁▁", " ▁", "<unk>", "<0x41>", "##a", "<s>", "</s>", "[MASK]", "[SEP]", "word", "brilliant",
]


def mixtures(count, seed, extra=()):
    """Random texts: fragments, runs of them, and scalars of any kind; `extra` fragments come more often."""
    generator = random.Random(seed)
    fragments = FRAGMENTS + list(extra) * 3
    for _ in range(count):
        kind = generator.random()
        if kind < 0.5:
            yield "".join(generator.choice(fragments) for _ in range(generator.randrange(1, 30)))
        elif kind < 0.6:
            yield "".join(generator.choice(fragments) * generator.randrange(1, 40) for _ in range(4))
        elif kind < 0.8:
            words = generator.choice(LANGUAGES).split(" ")
            for _ in range(generator.randrange(1, 4)):
                words.insert(generator.randrange(len(words) + 1), generator.choice(fragments))
            yield " ".join(words)
        else:
            yield "".join(chr(generator.choice([generator.randrange(0xD800), generator.randrange(0xE000, 0x110000),
                                                generator.randrange(0x250), generator.randrange(0x3100)]))
                          for _ in range(generator.randrange(1, 60)))
