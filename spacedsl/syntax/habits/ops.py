"""Ops of a body as they are written elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.operators.activations import ACTIVATIONS, LEAK
from spacedsl.syntax.habits.calls import OPS
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import WINDOWED
from spacedsl.text import Span
from spacedsl.vocabulary import advice, has_meaning, synonyms

SQUARE = r"[(\[]?\s*([1-8])(?:\s*[x,]\s*\1)?\s*[)\]]?"
"""A stride, of both axes too."""
WORDS = ("let", "var", "const", "val", "set", "def", "auto", "int", "float")


def returns(stopped: Stopped) -> Iterator[Rewrite]:
    """`return x`, `x = self.conv(x)`, `x + shortcut`: lines of a program."""
    for by in (-2, -1, 0):
        first, word = stopped.index + by, stopped.at(by)
        after = stopped.line_end(first) if first in stopped.runs else 0
        begins = first in stopped.runs and stopped.is_first(by) and "CONV" in stopped.may_at(by)
        if not begins or after <= stopped.index:
            continue
        said = stopped.shown(first, after)
        if stopped.at(by + 1).text == "=" and stopped.at(by + 2).type in OPS:
            said, change = stopped.shown(first, first + 2), Change(first, first + 2, "")
            message, at = f"`{said}` does not stand before an op", stopped.span(first, first + 2)
            help = "the ops of a body stand one behind the other: leave it out"
            yield Rewrite("result", message, at, (change,), help, "leave it out")
            continue
        lone = word.text == "return" and re.fullmatch(r"return\s+\w*", said)
        if not lone and not re.match(r"return\b|(?:x|out|y|res)\s*[+=]", said):
            continue
        change, at = Change(first, after, ""), stopped.span(first, after)
        help = "leave it out" if lone else RETURNS
        yield Rewrite(
            "return", f"`{said}` is no op", at, (change,), help, help, None if lone else ()
        )


RETURNS = "a body is the list of its ops; the sum with its input is `shortcut identity`, at its end"


def bare(stopped: Stopped) -> Iterator[Rewrite]:
    """`pool 7x7`; `conv 3x3 relu stride`; `dwconv kernel=kernel`."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    if before.type == "POOL" and token.type in ("PAIR", "INT"):
        message = "a `pool` goes over the whole map and takes no window"
        help = "leave it out; `avgpool 2x2` has a window"
        yield Rewrite(
            "pool", message, token.span, (Change(index, index + 1, ""),), help, "leave it out"
        )
    if token.text == "=" and stopped.at(-2).type in WINDOWED and stopped.at(1).type == "NAME":
        message = f"`{before.text}=` does not stand before a kernel"
        change, at = Change(index - 1, index + 1, ""), stopped.span(index - 1, index + 1)
        help = f"write `{stopped.at(-2).text} {stopped.at(1).text}`"
        yield Rewrite("named", message, at, (change,), help, "leave it out")
    for by in (0, -1):
        if _is_stride_of_op(stopped, by):
            message, help = "an op that takes the stage's stride says `strided`", "write `strided`"
            change, at = Change(index + by, index + by + 1, "strided"), stopped.at(by).span
            yield Rewrite("bare", message, at, (change,), help, help)


def _is_stride_of_op(stopped: Stopped, by: int) -> bool:
    """Whether the token `by` from here is the word `stride` where words of an op may stand, and an
    op stands before it in its body."""
    if stopped.at(by).type != "STRIDE" or not stopped.may_at(by) >= {"NAME", "CONV"}:
        return False
    return _in_op(stopped)


def _in_op(stopped: Stopped) -> bool:
    """Whether an op stands before here in its body, which a word may belong to."""
    opened = _body_start(stopped)
    return opened is not None and any(t.type in OPS for t in stopped.tokens[opened : stopped.index])


def strides(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 3x3 relu stride 2`, `conv 3x3 s=2`, `conv 3x3 / 2`."""
    index, token = stopped.index, stopped.token
    own = re.fullmatch("s([1-8])", stopped.at(-1).text)
    if own and token.text == "," and stopped.at(1).type == "INT" and stopped.touches(1):
        meant = f"s{own[1]}x{stopped.at(1).text}" if own[1] != stopped.at(1).text else own[0]
        at, change = stopped.span(index - 1, index + 2), Change(index - 1, index + 2, meant)
        message = f"`{stopped.shown(index - 1, index + 2)}` is no stride"
        help = f"write `{meant}`: of rows, then of columns"
        yield Rewrite("own", message, at, (change,), help, f"write `{meant}`")
    first = index
    named = stopped.at(-1).text in ("s", "strides")
    if named and (token.text in ("=", "(", "[") or token.type in ("INT", "COMMA")):
        first -= 1
    elif token.type not in ("STRIDE", "SLASH") and token.text not in ("@", "\u2193"):
        return
    if token.type == "SLASH" and stopped.at(-1).type in ("INT", "FLOAT"):
        return  # a range
    yield from _stride(stopped, first)


def late_strides(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 3x3 relu stride=2  pool`: no key, for an op follows."""
    if stopped.token.text in ("=", ":") and _is_stride_of_op(stopped, -1):
        yield from _stride(stopped, stopped.index - 1)


def _stride(stopped: Stopped, first: int) -> Iterator[Rewrite]:
    index = stopped.index
    after = first + 1
    while stopped.tokens[after].text in ("=", ":"):
        after += 1
    bracket = {"(": ")", "[": "]"}.get(stopped.tokens[after].text)
    end = stopped.close(after, stopped.tokens[after].text, bracket) if bracket else after
    size = re.fullmatch(rf"{SQUARE}|s|stride", stopped.shown(after, (end or after) + 1))
    may = stopped.may_at(first - index)
    if not size or not may >= {"NAME", "CONV"} or ("STRIDE" in may and not _in_op(stopped)):
        return
    stride, after = size[1] or "2", (end or after) + 1
    here = stopped.span(first, after)
    said = " ".join(stopped.shown(first, after).split())
    own = f"s{stride}"
    if stride == "1":
        help, change = (
            "an op has stride 1 unless it says another: leave it out",
            Change(first, after, ""),
        )
        message = f"`{said}` is no word of an op"
        yield Rewrite("stride", message, here, (change,), help, "leave it out")
        return
    yield Rewrite(
        "stride",
        f"`{said}` is no word of an op",
        here,
        (Change(first, after, "strided"),),
        f"write `strided` on the op that takes the stage's stride, or `{own}` for its own stride",
        "write `strided`",
        also=((f"write `{own}`", (Put(here, own),)),),
    )


def widths(stopped: Stopped) -> Iterator[Rewrite]:
    """`conv 3x3 32`, `conv 3x3 width 32`, `linear 10`, `dwconv k -> 32`."""
    index, token = stopped.index, stopped.token
    pair = token.type == "INT" and stopped.at(1).text == "," and stopped.at(2).type == "INT"
    if pair and stopped.at(-1).type == "LINEAR":
        meant, said = f"-> {stopped.at(2).text}", stopped.shown(index, index + 3)
        at, change = stopped.span(index, index + 3), Change(index, index + 3, meant)
        message, help = f"`{said}` is no word of an op", f"write `linear {meant}`"
        yield Rewrite("width", message, at, (change,), help, f"write `{meant}`")
    elif token.type == "INT" and "__ANON_0" in stopped.may and not stopped.is_first(0):
        change = Change(index, index + 1, f"-> {token.text}")
        message = f"`{token.text}` is no word of an op"
        help = f"the width that an op goes to has an arrow: `-> {token.text}`"
        yield Rewrite("width", message, token.span, (change,), help, f"write `-> {token.text}`")
    if stopped.at(-1).type == "__ANON_0" and token.text in ("[", "(", "{"):
        end = stopped.close(index, token.text, {"[": "]", "(": ")", "{": "}"}[token.text])
        listed = [t.text for t in stopped.tokens[index : end or index] if t.type == "INT"]
        if end is not None and len(listed) > 1:
            at, change = stopped.span(index, end + 1), Change(index, end + 1, listed[0])
            message = "an op goes to one width, not to a list of them"
            help = f"write one, as `-> {listed[0]}`; a stage's `width` lists some to choose from"
            yield Rewrite("width", message, at, (change,), help, puts=(), sure=True)
    if token.type == "__ANON_0" and stopped.at(-1).type == "SE":
        change, help = Change(index, index + 1, ""), f"write `se {stopped.at(1).text}`"
        message = "`se` takes the width it squeezes to, without `->`"
        yield Rewrite("arrow", message, token.span, (change,), help, "leave it out")
    elif token.type == "__ANON_0":
        line = [t.type for t in stopped.tokens[max(0, index - 6) : index]]
        ops = [kind for kind in line if kind in OPS]
        if ops and ops[-1] not in ("CONV", "LINEAR", "DROPOUT"):
            op = next(t.text for t in reversed(stopped.tokens[:index]) if t.type == ops[-1])
            for after in range(index + 2, min(index + 8, len(stopped.tokens))):
                if stopped.tokens[after - 1].type in OPS:
                    break
                yield Rewrite(
                    "arrow",
                    f"`{op}` keeps the number of channels and takes no `->`",
                    stopped.span(index, after),
                    (Change(index, after, ""),),
                    "leave it out: a `conv 1x1 -> width` after it changes the width",
                    "leave it out",
                )


def early_words(stopped: Stopped) -> Iterator[Rewrite]:
    """`hswish conv 1x1 -> 1280`, `conv relu 3x3`: what an op says before its op or its kernel."""
    index, tokens = stopped.index, stopped.tokens
    op = index if stopped.token.type in OPS else index - 2
    if op < 0 or tokens[op].type not in OPS:
        return
    word = op - 1 if op == index else index - 1
    if (
        word not in stopped.runs
        or tokens[word].type != "NAME"
        or not has_meaning(tokens[word].text)
        or advice(tokens[word].text) is not None
    ):
        return
    after = index + (op == index)
    if tokens[after].type == "PAIR":
        after += 1
    if tokens[after].type == "__ANON_0":
        after += 2
    if after >= len(tokens) or "\n" in stopped.shown(min(op, word), after):
        return
    rest = " ".join(t.text for t in tokens[min(op, word) : after] if t is not tokens[word])
    meant = f"{rest} {tokens[word].text}"
    first = min(op, word)
    at, change = stopped.span(first, after), Change(first, after, meant)
    message = f"`{tokens[word].text}` stands before what it belongs to"
    help = f"an op's kernel and width come first: write `{meant}`"
    yield Rewrite("early", message, at, (change,), help, f"write `{meant}`")


def slopes(stopped: Stopped) -> Iterator[Rewrite]:
    """`relu(6)`, `leaky(0.01)`, `leaky 0.1`: a number behind an activation."""
    index, act = stopped.index, stopped.at(-1)
    name = next(iter(synonyms(act.text)), act.text)
    bracket = stopped.token.text == "("
    number = stopped.at(bracket)
    if name not in ACTIVATIONS or number.type not in ("INT", "FLOAT"):
        return
    if bracket and stopped.at(2).text != ")":
        return
    after = index + 1 + 2 * bracket
    said, at = stopped.shown(index - 1, after), stopped.span(index - 1, after)
    meant = f"{name}{number.text}" if f"{name}{number.text}" in ACTIVATIONS else name
    exact = meant != name or (name == "leaky" and float(number.text) == LEAK)
    message = f"`{said}` is no activation here"
    help = f"write `{meant}`" if exact else f"`{name}` is {ACTIVATIONS[name].text}"
    puts = None if exact else ()
    change = Change(index - 1, after, meant)
    yield Rewrite("slope", message, at, (change,), help, f"write `{meant}`", puts, sure=True)


def lets(stopped: Stopped) -> Iterator[Rewrite]:
    """`let mid = ...`; `mid = ...` after an op."""
    index, word = stopped.index, stopped.at(-1)
    if word.text in WORDS and stopped.token.type == "NAME" and stopped.at(1).text == "=":
        change = Change(index - 1, index, "")
        message = f"`{word.text}` does not stand before a size"
        help = f"write `{stopped.token.text} = ...`"
        yield Rewrite("let", message, word.span, (change,), help, "leave it out")
    if stopped.token.text != "=" or word.type != "NAME" or not stopped.is_first(-1):
        return
    if "CONV" not in stopped.may_at(-1):
        return
    opened = _body_start(stopped)
    after = stopped.line_end(index)
    switched = stopped.at(1).text.lower() in ("true", "false")
    if opened is None or switched or stopped.at(1).type in ("LBRACE", "RBRACE"):
        return
    first = index - 1
    text = stopped.shown(first, after)
    column = stopped.source.position(word.span.start)[1]
    start = stopped.tokens[opened + 1].span.start
    end = stopped.tokens[after].span.start
    puts = (
        Put(Span(start, start), f"{text}\n{' ' * (column - 1)}"),
        Put(Span(word.span.start, end), ""),
    )
    yield Rewrite(
        "late",
        f"`{word.text}` is said after the first op of its body",
        stopped.span(first, after),
        (Change(first, after, ""),),
        "sizes stand first in a body, before its ops",
        "move it up",
        puts,
        code="misplaced",
    )


def _body_start(stopped: Stopped) -> int | None:
    """The number of the bracket that opened the body of a block which is read here."""
    depth = 0
    for number in range(stopped.index - 1, max(-1, stopped.index - 400), -1):
        text = stopped.tokens[number].text
        depth += (text == "}") - (text == "{")
        if depth < 0:
            return number
    return None


def repeats(stopped: Stopped) -> Iterator[Rewrite]:
    """`repeat 2 { conv ... }`, `for ... { ... }`."""
    index, word = stopped.index, stopped.at(-1)
    if word.text.lower() not in ("repeat", "loop", "for", "times", "stack", "sequential"):
        return
    opening = next(
        (
            n
            for n in range(index, index + 8)
            if n < len(stopped.tokens) and stopped.tokens[n].text == "{"
        ),
        None,
    )
    end = stopped.close(opening, "{", "}") if opening is not None else None
    if opening is None or end is None or end == opening + 1:
        return
    count = next((int(t.text[:3]) for t in stopped.tokens[index:opening] if t.type == "INT"), 1)
    body = stopped.shown(opening + 1, end)
    column = stopped.source.position(word.span.start)[1]
    text = f"\n{' ' * (column - 1)}".join([body] * min(count, 16))
    yield Rewrite(
        "repeat",
        f"there is no `{word.text}`: a body is written out",
        stopped.span(index - 1, opening),
        (Change(index - 1, end + 1, text),),
        "write its ops again; how often a whole block stands in a stage is the stage's `depth`",
        "write it out",
    )


HABITS = (
    slopes,
    early_words,
    returns,
    bare,
    strides,
    widths,
    lets,
    repeats,
)
LATE = (late_strides,)
