"""Characters that look like those of the language, or like nothing at all."""

# ruff: noqa: RUF001 (this is the table of them)

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

BLANKS = "\u00a0\u1680\u2007\u2028\u2029\u202f\u205f\u3000\u000b\u0085" + "".join(
    map(chr, range(0x2000, 0x200B))
)
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u2060\u00ad\ufeff\u001a\u0000"
SIGNS = {
    ",": "，､、﹐،",
    ":": "：∶",
    ";": "；",
    "(": "（",
    ")": "）",
    "{": "｛",
    "}": "｝",
    "[": "［【",
    "]": "］】",
    "=": "＝",
    "*": "＊∗·⋅",
    "x": "×✕✖⨯",
    "/": "÷∕⁄／",
    "-": "−–—‐‑‒―－",
    "+": "＋",
    "..": "…‥",
    ".": "．。",
    "->": "→⟶⇒➔➜⟹",
    '"': "“”„«»″＂",
    "'": "‘’′‚",
    "<=": "≤",
    "u": "µμ",
}
LETTERS = dict(
    zip(
        "авекмнорстухіјѕԁԛԝАВЕКМНОРСТУХІЈЅοονακρτΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "abekmhopctyxijsdqwABEKMHOPCTYXIJSoovakptABEZHIKMNOPTYX",
        strict=True,
    )
)
LIGATURES = {"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d", "ı": "i"}
LOOKS = {
    **dict.fromkeys(BLANKS, " "),
    **dict.fromkeys(INVISIBLE, ""),
    **{c: sign for sign, alike in SIGNS.items() for c in alike},
    **LETTERS,
}
QUOTES = SIGNS['"'] + SIGNS["'"]


def plain(text: str) -> str:
    """A text with the language's characters instead of those that look like them."""
    return "".join(_plain(c) for c in text)


def _plain(character: str) -> str:
    if character in LOOKS or character.isascii():
        return LOOKS.get(character, character)
    wide = unicodedata.normalize("NFKC", character)
    return wide if wide.isascii() else character


def lookalike(stopped: Stopped) -> Iterator[Rewrite]:
    """Replaces a character that looks like one of the language's and is another, and takes out one
    that cannot be seen."""
    token = stopped.token
    if token.type != "UNKNOWN" and stopped.touches(1) and stopped.at(1).type == "UNKNOWN":
        token = stopped.at(1)
    if token.type != "UNKNOWN" or token.text[0] == '"':
        return
    character = token.text[0]
    read = _plain(character)
    if read == character:
        return
    first, after = _word(stopped)
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    if unicodedata.decomposition(character).startswith("<super>") and first < stopped.index:
        message, help = f"`{character}` is no digit of a number here", "write the number out"
        change = Change(stopped.index, after, "")
        yield Rewrite("power", message, token.span, (change,), help, puts=(), sure=True)
        return
    if not read:
        message, title = f"an invisible character stands here ({name})", "leave it out"
    elif read == " ":
        message, title = f"this is no space but another blank ({name})", "put in a space"
        first, after = stopped.index, stopped.index + 1
    else:
        message, title = f"`{character}` ({name}) looks like `{read}`", f"write `{read}`"
    text = plain(stopped.shown(first, after))
    help = {"": "leave it out", " ": "write a plain space"}.get(read, f"write `{text}`")
    for put in dict.fromkeys((text, text.replace("x", "*"))):
        changes = (Change(first, after, put),)
        yield Rewrite("lookalike", message, token.span, changes, help, title, sure=True)


def _word(stopped: Stopped) -> tuple[int, int]:
    """The numbers of the tokens that touch each other here; to the closing quote of a text."""
    tokens = stopped.tokens
    first = after = stopped.index
    while first - 1 in stopped.runs and tokens[first - 1].span.end == tokens[first].span.start:
        first -= 1
    after += 1
    if stopped.token.text in QUOTES:
        end = stopped.line_end(stopped.index)
        closing = [n for n in range(after, end) if tokens[n].text in (*QUOTES, '"', "'")]
        return stopped.index, closing[0] + 1 if closing else after
    while after < len(tokens) - 1 and tokens[after - 1].span.end == tokens[after].span.start:
        after += 1
    return first, after


def letters(stopped: Stopped) -> Iterator[Rewrite]:
    """A name with other letters than the language's."""
    touching = stopped.touches(1) and stopped.token.text == "-"
    character = stopped.at(1 if touching else 0).text[:1]
    if (
        stopped.at(1 if touching else 0).type != "UNKNOWN"
        or not character.isalpha()
        or character.isascii()
    ):
        return
    first, after = _word(stopped)
    while after - 1 > stopped.index and stopped.tokens[after - 1].text in "{}(),:;=":
        after -= 1
    while first < stopped.index and stopped.tokens[first].text in "{}(),:;=":
        first += 1
    word = stopped.shown(first, after)
    parts = unicodedata.normalize("NFKD", "".join(LIGATURES.get(c, c) for c in word))
    name = "".join(c for c in parts if not unicodedata.combining(c))
    message = f"`{word}` has letters that a name cannot have"
    help = "a name is made of a to z, A to Z, 0 to 9, `_` and `-`"
    readable = name.isascii() and name[:1].isalpha()
    yield Rewrite(
        "letters",
        message,
        stopped.span(first, after),
        (Change(first, after, name if readable else "name"),),
        help,
        f"write `{name}`",
        None if readable else (),
    )


HABITS = (lookalike, letters)
