# SPDX-License-Identifier: Apache-2.0
"""Texts of many scripts and lengths, the same for the same seed."""
import os
import random
import unicodedata

from sluice_site import DATA

# Name, first and last code point of a block, and words of the script (most words of random letters are
# one unknown token, so a block alone would say little).
SCRIPTS = [
    ("ascii", 0x21, 0x7E, "All human beings are born free and equal in dignity and rights."),
    ("latin-1", 0xA1, 0xFF, "Alle Menschen sind frei und gleich an Würde geboren, où ça, señor, ÅNGSTRÖM œuvre"),
    ("latin-extended", 0x100, 0x24F, "Wszyscy ludzie rodzą się wolni. Všichni lidé İstanbul ığdır ŁÓDŹ"),
    ("vietnamese", 0x1E00, 0x1EFF, "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm"),
    ("combining", 0x300, 0x36F, "e\u0301te\u0301 q\u0323\u0307 a\u0316\u0300b n\u0303 A\u030angstro\u0308m"),
    ("ipa", 0x250, 0x2FF, "ˈɪŋɡlɪʃ ðə kwɪk bɹaʊn fɒks ʃəʊ ʒ ŋ ʔ"),
    ("greek", 0x370, 0x3FF, "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι ΟΔΥΣΣΕΥΣ Σ"),
    ("greek-polytonic", 0x1F00, 0x1FFE, "Ἅπαντες οἱ ἄνθρωποι ἐλεύθεροι τῇ ᾠδῇ"),
    ("cyrillic", 0x400, 0x4FF, "Все люди рождаются свободными и равными в своём достоинстве й Ё ї"),
    ("armenian", 0x531, 0x58A, "Բոլոր մարդիկ ծնվում են ազատ ու հավասար։"),
    ("hebrew", 0x591, 0x5F4, "כָּל בְּנֵי הָאָדָם נוֹלְדוּ בְּנֵי חוֹרִין כל בני האדם"),
    ("arabic", 0x600, 0x6FF, "يولد جميع الناس أحرارًا متساوين في الكرامة العَرَبِيَّة"),
    ("arabic-forms", 0xFB50, 0xFDFF, "ﷺ ﷲ ﭐ ﭖ ﮎ"),
    ("syriac", 0x700, 0x74F, "ܟܠ ܒܪܢܫܐ ܐܬܝܠܕ ܚܐܪܐ"),
    ("thaana", 0x780, 0x7B1, "ހުރިހާ އިންސާނުންވެސް"),
    ("nko", 0x7C0, 0x7FF, "ߡߐ߱ ߓߍ߯ ߦߋ߫ ߘߊ߲߫ ߤߐߘߌ"),
    ("devanagari", 0x900, 0x97F, "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता हिन्दी"),
    ("bengali", 0x980, 0x9FE, "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে"),
    ("gurmukhi", 0xA01, 0xA76, "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ"),
    ("gujarati", 0xA81, 0xAFF, "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો"),
    ("oriya", 0xB01, 0xB77, "ସମସ୍ତ ମନୁଷ୍ୟ ଜନ୍ମକାଳରୁ ସ୍ୱାଧୀନ"),
    ("tamil", 0xB82, 0xBFA, "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர் தமிழ்"),
    ("telugu", 0xC00, 0xC7F, "మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును"),
    ("kannada", 0xC80, 0xCF2, "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ"),
    ("malayalam", 0xD00, 0xD7F, "മനുഷ്യരെല്ലാവരും തുല്യ അന്തസ്സോടും ജനിച്ചവരാണ്"),
    ("sinhala", 0xD81, 0xDF4, "සියලු මනුෂ්\u200dයයෝ නිදහස්ව උපත ලබා ඇත"),
    ("thai", 0xE01, 0xE5B, "มนุษย์ทั้งปวงเกิดมา มีอิสระ และเสมอภาค"),
    ("lao", 0xE81, 0xEDF, "ມະນຸດທຸກຄົນ ເກີດມາ ມີກຽດສັກສີ ສິດທິ ເສລີພາບ"),
    ("tibetan", 0xF00, 0xFDA, "འགྲོ་བ་མིའི་རིགས་རྒྱུད་ཡོངས་ལ་ སྐྱེས་ཙམ་ཉིད་ནས་ ཀྵ"),
    ("myanmar", 0x1000, 0x109F, "လူတိုင်းသည် တူညီ လွတ်လပ်သော က္က"),
    ("georgian", 0x10A0, 0x10FF, "ყველა ადამიანი იბადება თავისუფალი ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ"),
    ("hangul-jamo", 0x1100, 0x11FF, "한글 각"),
    ("hangul", 0xAC00, 0xD7A3, "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다"),
    ("ethiopic", 0x1200, 0x137C, "የሰው፡ልጅ፡ሁሉ፡ሲወለድ፡ነጻና እኩል ነው።"),
    ("cherokee", 0x13A0, 0x13FD, "ᏂᎦᏓ ᎠᏂᏴᏫ ᏂᎨᎫᏓᎸᎾ ᎠᎴ ᏣᎳᎩ ꮳꮃꭹ"),
    ("canadian-syllabics", 0x1400, 0x167F, "ᐃᓄᐃᑦ ᐊᓂᖅᑎᕆᔪᓂᒃ ᐃᓄᒃᑎᑐᑦ ᙮ ᙭"),
    ("ogham-runic", 0x1680, 0x16F8, "᚛ᚑᚌᚐᚋ᚜ ᚠᚢᚦᚨᚱᚲ ᛫"),
    ("khmer", 0x1780, 0x17F9, "មនុស្ស ទាំងអស់ កើតមក មានសេរីភាព"),
    ("mongolian", 0x1800, 0x18AA, "ᠬᠦᠮᠦᠨ ᠪᠦᠷ ᠲᠥᠷᠥᠵᠦ ᠮᠣᠩᠭᠣᠯ"),
    ("tifinagh", 0x2D30, 0x2D7F, "ⵉⵎⴷⴰⵏⴻⵏ ⵜⵉⴼⵉⵏⴰⵖ"),
    ("coptic-glagolitic", 0x2C00, 0x2CFF, "Ⲙⲉⲧⲣⲉⲙⲛⲭⲏⲙⲓ ⰳⰾⰰⰳⱁⰾⰻⱌⰰ"),
    ("hiragana", 0x3041, 0x309F, "すべての にんげんは がぎぐげご うまれながらにして ぱぴぷ"),
    ("katakana", 0x30A0, 0x30FF, "テキスト データ・センター ヴァイオリン パソコン ー"),
    ("half-and-full-width", 0xFF01, 0xFFEE, "ＡＢＣ１２３ ﾊﾛｰﾜｰﾙﾄﾞ ｶﾞ ￥ ！"),
    ("bopomofo", 0x3105, 0x312F, "ㄅㄆㄇㄈ ㄓㄨˋ ㄧㄣ"),
    ("han", 0x4E00, 0x9FFF, "人人生而自由 在尊严和权利上 一律平等 漢字 日本語 中国"),
    ("han-extension-a", 0x3400, 0x4DBF, "㐀㐁 㒃㓀 䶮"),
    ("han-extension-b", 0x20000, 0x2A6DF, "𠀀𠀁 𠮷野家 𪛖 𡃁"),
    ("han-extension-e-f", 0x2B820, 0x2EBE0, "\U0002b820 \U0002ceb0 \U0002b91f\U0002b920"),
    ("han-compatibility", 0xF900, 0xFAFF, "豈 更 樂 神 福"),
    ("yi", 0xA000, 0xA48C, "ꆈꌠꁱꂷ ꋍꑞ"),
    ("vai", 0xA500, 0xA62B, "ꕙꔤ ꖸ ꘋ"),
    ("javanese", 0xA980, 0xA9DF, "ꦗꦮ ꦲꦏ꧀ꦱꦫ"),
    ("balinese", 0x1B00, 0x1B7E, "ᬩᬮᬶ ᬅᬓ᭄ᬱᬭ"),
    ("gothic", 0x10330, 0x1034A, "𐌲𐌿𐍄𐌹𐍃𐌺"),
    ("deseret", 0x10400, 0x1044F, "𐐔𐐯𐑅𐐨𐑉𐐯𐐻 𐐀"),
    ("cuneiform", 0x12000, 0x12399, "𒀀𒁀 𒂗𒆤"),
    ("hieroglyphs", 0x13000, 0x1342E, "𓀀𓁐 𓂀"),
    ("adlam", 0x1E900, 0x1E95F, "𞤀𞤣𞤤𞤢𞤥 𞤸𞤢𞤤𞤢"),
    ("mathematical", 0x1D400, 0x1D7FF, "𝐀𝑏𝓬 𝔸𝕓 𝟘𝟙𝟚"),
    ("musical", 0x1D100, 0x1D1DD, "𝄞 \U0001d15e a\U0001d165x"),
    ("signs", 0x2000, 0x23FF, "≈ç√∫ ≤≥÷ €20 № ™ ℃ Ⅷ ⅷ … — “quoted” «angle»"),
    ("dingbats", 0x2500, 0x27BF, "┌─┐ ■ ☀ ✓ ✗ ❤ ➜"),
    ("emoji", 0x1F300, 0x1FAFF, "🙂 👍🏽 👩🏿‍🚀 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ 🧑🏻‍🤝‍🧑🏾"),
    ("controls", 0x00, 0x20, "a\x01b \x02 \x1f \x1b[0m"),
    ("late-controls", 0x7F, 0xA0, "a\x7fb \x85 \x9f"),
    ("private", 0xE000, 0xE0FF, "a\ue000b \uf8ff"),
    ("specials", 0xFFF0, 0xFFFF, "a\ufffdb \ufffd \ufffc \uffff"),
    ("tags", 0xE0000, 0xE01EF, "a\U000e0061b \U000e0100"),
]

# What a tokenizer may get wrong in its own way each.
CORNERS = [
    "a", "é", "e\u0301", "漢", "🙂", "\0", "a\0b", " ", "\t", "\n \r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\ufffd",
    "a\ufffdb", "\ufeffabc", "\u200d", "\u00ad", "\u0301", ".", "?!?!?!" * 20, "-" * 150, "—" * 90, "... --- ...",
    "a\u200bb", "a\u200cb", "a\u200db", "a\u2060b", "a\u00adb", "a\tb\nc\rd", "a\vb\fc", "a\u0085b", "a\u00a0b",
    "a\u3000b", "a\u1680b", "\u180e", "a\u2028b\u2029c", "a\u202eb\u202cc", "x" * 99, "x" * 100, "x" * 101, "ab" * 150,
    "é" * 100, "é" * 101, "e\u0301" * 60, "x" * 99 + "\u0301y", "\u0301" * 300, "я" * 120, "가" * 34, "漢" * 120,
    "Donaudampfschifffahrtsgesellschaft" * 4 + " end", "[CLS]", "[SEP] a [MASK] b [PAD]", "a[SEP]b", "[ SEP ]", "[cls]",
    "[UNK][UNK]", "[[SEP]]", "[CLS", "##ing", "un##able", "it's don't I'm", "$100 €20 £3 ¥4", "C++17 x² H₂O 3.14159",
    "http://x.y/z?a=b&c=d#e", "e-mail@example.com", "a_b-c/d\\e|f~`^", "{\"json\": [1, 2e-3, null, \"\\u0041\"]}",
    "İstanbul ISTANBUL ıi", "straße STRASSE ẞ", "ﬁ ﬂ ﬃ ſ", "\u212a\u212b\u2126", "\u0344 \u0f73", "1234567890123456789",
    "👩‍👩‍👧‍👦 family", "👍👍🏻👍🏼👍🏽👍🏾👍🏿", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "word " * 200, "a " * 510,
]
# One token more than the model takes, many more, and more by words, signs and script.
TOO_LONG = ["a " * 511, "the quick brown fox " * 400, "!" * 511, "漢字" * 256]

BLANKS = [" "] * 12 + [
    "  ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\u3000", ", ", ". ", "; ", "-", "/", "", "\u200d", "\u0301",
]
LONGEST = 450  # tokens that a random text aims at most at


def sentences():
    with open(os.path.join(DATA, "sentences.txt"), encoding="utf-8") as f:
        return f.read().split("\n")[:-1]


def code_points(rng, first, last, n):
    points = (rng.randint(first, last) for _ in range(n))
    return "".join(chr(c) for c in points)


def word(rng, script):
    _, first, last, sample = script
    kind = rng.random()
    if kind < 0.25:
        return code_points(rng, first, last, rng.randint(1, 8))
    one = rng.choice(sample.split())
    if kind < 0.5:
        at = rng.randrange(len(one))
        return one[at:at + rng.randint(1, 6)]
    return one


def weight(part):
    """More tokens than this it hardly has."""
    return (len(part) + 2) // 3 if part.isascii() else len(unicodedata.normalize("NFD", part))


def shape(rng, text):
    """Composed or decomposed, in capitals, or as it is."""
    kind = rng.random()
    if kind < 0.2:
        return unicodedata.normalize("NFD", text)
    if kind < 0.4:
        return unicodedata.normalize("NFC", text)
    return text.upper() if kind < 0.5 else text


def one_script(rng, script):
    words = script[3].split()
    rng.shuffle(words)
    words += [word(rng, script) for _ in range(rng.randint(1, 8))]
    return shape(rng, " ".join(words) + rng.choice(["", ".", " ", "\n"]))


def mixed(rng, prose):
    left = LONGEST * rng.random() ** 2
    parts, script = [], rng.choice(SCRIPTS)
    while True:
        if rng.random() < 0.2:
            script = rng.choice(SCRIPTS)
        part = rng.choice(rng.choice(prose).split()) if rng.random() < 0.4 else word(rng, script)
        if rng.random() < 0.01:
            part = code_points(rng, script[1], script[2], rng.randint(95, 130))
        part = shape(rng, part) + rng.choice(BLANKS)
        left -= weight(part)
        if left < 0 and parts:
            return "".join(parts)
        parts.append(part)


def passage(rng, prose):
    left = rng.randint(0, LONGEST)
    parts = [rng.choice(prose)]
    while True:
        left -= len(parts[-1]) // 4 + 1  # tokens, nearly
        if left < 0:
            return " ".join(parts[:-1] or parts)
        parts.append(rng.choice(prose))


def texts(count, seed):
    """At least the corners and one text of each script, whatever count says. None is empty."""
    rng, prose = random.Random(seed), sentences()
    out = CORNERS + TOO_LONG + [one_script(rng, script) for script in SCRIPTS]
    while len(out) < count:
        kind = rng.random()
        if kind < 0.2:
            out.append(rng.choice(prose))
        elif kind < 0.3:
            out.append(passage(rng, prose))
        elif kind < 0.5:
            out.append(one_script(rng, rng.choice(SCRIPTS)))
        else:
            out.append(mixed(rng, prose))
    rng.shuffle(out)
    return out
