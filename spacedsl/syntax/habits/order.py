"""Words in another order than here, and names with signs in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.diagnostics import suggest
from spacedsl.syntax.machine import reach
from spacedsl.syntax.messages import misspelt
from spacedsl.syntax.rewrite import FOREIGN, Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import OPS, keywords
from spacedsl.vocabulary import bare, has_meaning, synonyms

VALUES = ("INT", "FLOAT", "QUANTITY", "PAIR", "STRING")
ARROW = "__ANON_0"
WIDTHS = ("out", "width", "channels", "filters", "out_channels", "cout", "outputs")
INPUTS = ("cin", "inp", "in_channels", "in_planes", "inplanes", "c_in")
OUT_ONLY = "an op takes the channels that come; only the width it goes to is said"
MODULES = (
    "nn",
    "tf",
    "F",
    "torch",
    "keras",
    "layers",
    "K",
    "functional",
    "optional",
    "self",
    "math",
    "np",
)
OPENS = {"[": "]", "(": ")"}


def keyless(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1 { mbv2 8, 16 }`: widths without their key."""
    token, block, index = stopped.token, stopped.at(-1), stopped.index
    listed = token.type == "INT" and block.type == "NAME" and stopped.at(-2).text == "{"
    if not listed or not {"WIDTH", "NAME"} <= stopped.may_at(-1):
        return
    if has_meaning(block.text) or suggest(block.text, keywords().values()):
        return
    message = f"`{token.text}` stands without its key"
    change, help = Change(index, index, "width"), f"a width is said as `width {token.text}`"
    yield Rewrite("keyless", message, token.span, (change,), help, "put in `width`")


def renamed(stopped: Stopped) -> Iterator[Rewrite]:
    """`widht 16`, `strides (2, 2)`: a key spelt otherwise."""
    found = misspelt(stopped)
    if found is None:
        return
    at, meant = found[0], keywords()[found[1]]
    word, change = stopped.tokens[at], Change(at, at + 1, meant)
    what, help = "key", f"write `{meant}`"
    if stopped.tokens[at + 1].type not in FOREIGN:
        what, help = "word" if word.type in keywords() else "key", f"did you mean `{meant}`?"
    message = f"unknown {what} `{word.text}`"
    yield Rewrite(
        f"renamed {word.text}",
        message,
        word.span,
        (change,),
        help,
        f"write `{meant}`",
        code="unknown-key",
    )


def swapped(stopped: Stopped) -> Iterator[Rewrite]:
    """`4 threads`, `1x1 conv`: a value before its key."""
    token, key, index = stopped.token, stopped.at(1), stopped.index
    if token.type not in VALUES or key.type not in keywords() or stopped.is_first(1):
        return
    if reach(stopped.runs[index], [key.type, token.type]) == 2:
        meant = f"{key.text} {token.text}"
        change, at = Change(index, index + 2, meant), stopped.span(index, index + 2)
        message = f"`{token.text}` stands before `{key.text}`"
        help = f"a key stands before what it takes: write `{meant}`"
        yield Rewrite("swapped-key", message, at, (change,), help, f"write `{meant}`")


def inputs(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 1x1 cin -> 32`: the channels that come, which nobody says."""
    name, index = stopped.at(-1), stopped.index
    if stopped.token.type == ARROW and name.text in INPUTS:
        message = f"`{name.text}` does not stand before `->`"
        yield _left_out(stopped, index - 1, index, message, OUT_ONLY)


def late_width(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 1x1 relu -> 32`, `conv 1x1 out=32 relu`, `conv 1x1(32)`, `conv 1x1 width 32 relu`."""
    index, tokens = stopped.index, stopped.tokens
    if stopped.token.type == ARROW:
        first = index
        while first - 1 in stopped.runs and tokens[first - 1].type == "NAME":
            first -= 1
        words = stopped.shown(first, index)
        after = index + 2
        if first < index and ARROW in stopped.may_at(first - index) and after < len(tokens):
            to = stopped.shown(index, after)
            meant = f"{to} {words}"
            change, at = Change(first, after, meant), stopped.span(index, after)
            message = f"`{to}` stands right behind the kernel"
            puts = (Put(stopped.span(first, after), meant),)
            title = f"write `{meant}`"
            yield Rewrite("late-width", message, at, (change,), title, title, puts)
    for by in (-2, -1, 0):
        first = index + by
        if first not in stopped.runs or ARROW not in stopped.may_at(by):
            continue
        line = stopped.shown(first, stopped.line_end(first))
        found = re.match(rf"(?:(?:{'|'.join(WIDTHS)})\s*[=: ]\s*|\(\s*)([0-9]+)\s*\)?", line)
        if found is None:
            continue
        after = first
        while tokens[after].span.start < tokens[first].span.start + len(found[0].rstrip()):
            after += 1
        if after > index or (after == index and by == -2):
            meant = f"-> {found[1]}"
            change, at = Change(first, after, meant), stopped.span(first, after)
            message = f"`{found[0].strip()}` is no word of an op"
            help = f"the width that an op goes to has an arrow: `{meant}`"
            yield Rewrite("width", message, at, (change,), help, f"write `{meant}`")


def extra_signs(stopped: Stopped) -> Iterator[Rewrite]:
    """`-> 32 -> relu`, `bn+relu`, `- mbv2`, `strided=true`, `8 -> 64`, `linear > 10`, `nn.ReLU`."""
    token, index, tokens = stopped.token, stopped.index, stopped.tokens
    joins = token.type in (ARROW, "PLUS") and not stopped.is_first(0)
    if joins and stopped.at(1).type in ("NAME", *OPS):
        message = f"`{token.text}` does not stand before `{stopped.at(1).text}`"
        help = "what an op says stands side by side"
        yield _left_out(stopped, index, index + 1, message, help)
    if token.text in ("-", "*", "+", "@") and (stopped.is_first(0) or stopped.at(-1).text == "{"):
        message = f"`{token.text}` does not stand before `{stopped.at(1).text}`"
        yield _left_out(stopped, index, index + 1, message, "leave it out")
    if token.text in ("=", ":") and stopped.at(1).text.lower() in ("true", "yes", "on"):
        word, said = stopped.at(-1).text, stopped.shown(index, index + 2)
        message = f"`{said}` does not stand here: `{word}` says it alone"
        yield _left_out(stopped, index, index + 2, message, f"write `{word}`")
    if token.text in ("=", ":") and stopped.at(1).text.lower() in ("false", "no", "off", "0"):
        said = stopped.shown(index - 1, index + 2)
        message, help = (
            f"`{said}` does not stand here",
            "what is not written is not there: leave it out",
        )
        if "CONV" in stopped.may_at(-1):
            yield _left_out(stopped, index - 1, index + 2, message, help)
    closing = stopped.close(index, "(", ")") if token.text == "(" else None
    if closing is not None and stopped.at(-1).text == "strided":
        said = stopped.shown(index, closing + 1)
        message = f"`{said}` does not stand behind `strided`"
        help = "it takes the stride of the stage: write `strided` alone"
        yield _left_out(stopped, index, closing + 1, message, help)
    if token.text in "$%&!" and stopped.touches(1) and stopped.at(1).type == "NAME":
        message = f"`{token.text}` does not stand before a name"
        yield _left_out(stopped, index, index + 1, message, f"write `{stopped.at(1).text}`")
    if token.type == "INT" and stopped.at(1).type == ARROW and stopped.at(2).type == "INT":
        message = f"`{token.text}` does not stand before `->`"
        yield _left_out(stopped, index, index + 1, message, OUT_ONLY)
    if token.text == ">" and ARROW in stopped.may:
        change = Change(index, index + 1, "->")
        yield Rewrite("arrow", "`>` is no arrow", token.span, (change,), "write `->`", "write `->`")
    if token.type == ARROW and stopped.at(-1).type == "DROPOUT":
        message = "`dropout` keeps the number of channels and takes no `->`"
        yield _left_out(stopped, index, index + 1, message, f"write `dropout {stopped.at(1).text}`")
    if token.text == "." and stopped.at(-1).text in MODULES and stopped.at(1).type == "NAME":
        first = index - 1
        while first - 1 in stopped.runs and tokens[first - 1].text in (".", *MODULES):
            first -= 1
        said, word = stopped.shown(first, index + 2), stopped.at(1).text
        name = next(iter(synonyms(word)), bare(word))
        change, at = Change(first, index + 2, name), stopped.span(first, index + 2)
        message, help = f"`{said}` is no word of the language", f"write `{name}`"
        yield Rewrite("module", message, at, (change,), help, help)


def _left_out(stopped: Stopped, first: int, after: int, message: str, help: str) -> Rewrite:
    change, at = Change(first, after, ""), stopped.span(first, after)
    return Rewrite(f"extra {message}", message, at, (change,), help, "leave it out")


def names(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage[0] {`, `stage(0) {`, `stage.0 {`, `0 {`; `space my space {`; `hyper space mine {`."""
    token, before, index = stopped.token, stopped.at(-1), stopped.index
    number, end = stopped.at(1), stopped.at(2)
    if before.type == "NAME" and number.type == "INT":
        closed = OPENS.get(token.text) == end.text and stopped.at(3).type in ("LBRACE", "OF")
        if closed or token.text in (".", "_", "-"):
            after = index + 2 + closed
            yield _named(stopped, index - 1, after, f"{before.text}{number.text}")
    if token.type == "INT" and number.text == "{" and "ELASTIC" in stopped.may:
        yield _named(stopped, index, index + 1, f"stage{token.text}")
    if token.text.lower() == "hyper" and number.text == "space":
        message, help = "`hyper space` is one word", "write `hyperspace`"
        change, at = Change(index, index + 2, "hyperspace"), stopped.span(index, index + 2)
        yield Rewrite("hyper", message, at, (change,), help, help)
    declares = stopped.at(-2).type in ("HYPERSPACE", "__ANON_1", "TARGET", "BLOCK", "MODEL")
    if declares and before.type == "NAME" and stopped.may <= {"OF", "LBRACE", "LPAR"}:
        words = [before.text]
        after = index
        while (word := stopped.tokens[after]).text.isidentifier() and len(words) < 6:
            if word.type in ("OF", "AT"):
                break
            words.append(word.text)
            after += 1
        if len(words) > 1 and stopped.tokens[after].text in ("{", "(", "of"):
            yield _named(stopped, index - 1, after, "-".join(words))
    if before.type == "OF" and token.type in ("__ANON_1", "HYPERSPACE") and number.type == "NAME":
        at, change = token.span, Change(index, index + 1, "")
        message, help = f"`{token.text}` does not stand behind `of`", f"write `of {number.text}`"
        yield Rewrite("of", message, at, (change,), help, "leave it out")
    if declares and token.text == "." and number.type in ("NAME", "INT", "FLOAT", "SETTING"):
        yield _named(stopped, index - 1, index + 2, f"{before.text}-{number.text}")
    if token.text == "," and stopped.at(-2).type == "OF" and number.type == "NAME":
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        help = "keep one parent, and say in the body what differs"
        yield Rewrite("of", "a space is of one parent", at, (change,), help, puts=())
    if token.type == "OF" and stopped.at(-2).type in ("TARGET", "BLOCK"):
        what = stopped.at(-2).text
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message = f"a {what} is of nothing: only spaces and models are"
        yield Rewrite("of", message, at, (change,), "leave it out", "leave it out")


def _named(stopped: Stopped, first: int, after: int, name: str) -> Rewrite:
    said = stopped.shown(first, after)
    message, help = f"`{said}` is no name", f"write `{name}`"
    change, at = Change(first, after, name), stopped.span(first, after)
    return Rewrite("name", message, at, (change,), help, help)


def elastic(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1: elastic {`, `stage1 (elastic) {`."""
    index, tokens = stopped.index, stopped.tokens
    found = [t.text for t in tokens[index : index + 5]]
    named = [["(", "elastic", sign, word, ")"] for sign in "=:" for word in ("True", "true", "yes")]
    bracketed = ["(", "elastic", ")"], ["[", "elastic", "]"]
    for signs in ([":", "elastic"], ["=", "elastic"], *bracketed, *named):
        if found[: len(signs)] == signs and stopped.at(-1).type == "NAME":
            after = index + len(signs)
            text = f"elastic {stopped.at(-1).text}"
            change, at = Change(index - 1, after, text), stopped.span(index, after)
            message, help = "`elastic` stands before the stage's name", f"write `{text}`"
            yield Rewrite("elastic", message, at, (change,), help, help)


HABITS = (inputs, renamed, keyless, swapped, late_width, extra_signs, names, elastic)
