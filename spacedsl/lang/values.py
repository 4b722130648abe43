"""Numbers, lists and ranges."""

from __future__ import annotations

import re
from fractions import Fraction

from spacedsl.diagnostics import suggest
from spacedsl.ir.block import Value
from spacedsl.ir.expr import exact, expr_text, number_text
from spacedsl.ir.space import Stage
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.operators.size import Pair, Size, size_of
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span

MAX_DIGITS = 9
MAX_VALUES = 128


def number(token: Token, report: Report) -> int | float:
    """The number a token says; whole numbers as int. Reports numbers of too many digits."""
    if len(token.text) > MAX_DIGITS:
        raise report.fail("too-large", f"the number {token.text[:12]}... is too long", token)
    value = exact_number(token)
    return int(value) if value.denominator == 1 else float(value)


def exact_number(token: Token) -> Fraction:
    return Fraction(token.text)


def whole(token: Token, report: Report, what: str, least: int, most: int) -> int:
    """A whole number within bounds, or a reported error."""
    value = number(token, report)
    if not isinstance(value, int) or not least <= value <= most:
        raise _not_whole(value, token, report, (what, least, most))
    return value


FACTOR = "no factor is said here: write the numbers of channels that it gives, as `width 16, 24`"


def size_said(token: Token, report: Report, what: str, most: int) -> Size:
    """A number, or the pair of numbers that a token says, each from 1 to `most`; or a reported
    error."""
    if token.type != "PAIR":
        return whole(token, report, what, 1, most)
    parts = [Token("INT", part, token.span) for part in token.text.split("x")]
    height, width = (whole(part, report, what, 1, most) for part in parts)
    return size_of(height, width)


def _not_whole(
    value: Value, at: Node | Token, report: Report, wanted: tuple[str, int, int]
) -> Abandon:
    what, least, most = wanted
    message = f"{what} {_plain(value)} is not a whole number from {least} to {most}"
    token = at if isinstance(at, Token) else at.tokens("INT", "FLOAT")[0]
    fixes: list[Mend]
    if value == 0 and least == 1:
        said = report.source.text[token.span.start : token.span.end]
        fixes = [("write 1", token.span, re.sub(r"(?<![0-9])0+(?![0-9])", "1", said))]
        return report.fail("bad-value", message, token, "write 1 or more", fixes)
    inside = re.fullmatch(r"[A-Za-z]?([0-9]{1,6})", str(value))
    meant = inside[1] if inside and least <= int(inside[1]) <= most else None
    fixes = [(f"write `{meant}`", token.span, meant)] if meant else []
    help = None
    if isinstance(value, str):
        help = f"write whole numbers, as `{what} 2`; a list is `2, 4`, a range `2..4`"
        if what == "width" and not meant:
            help = f"{help}; `width cin` is the width that comes in"
            kept = suggest(value, ("cin",))
            fixes = [(f"write `{kept}`", token.span, kept)] if kept else []
    elif what == "width" and isinstance(value, float):
        help = FACTOR
    return report.fail("bad-value", message, token, help, fixes)


def values_said(
    node: Node, report: Report, pairs: tuple[str, int] | None = None
) -> list[tuple[Value, Node | Token]]:
    """Every value of a `values` node with what says it, in the text's order. Reports empty ranges,
    step 0, huge ranges, duplicates and mixtures of numbers and names. `pairs`: what sizes such as
    49x10 are called, which may stand here, and the greatest side of one."""
    found: list[tuple[Value, Node | Token]] = []
    seen: set[Value] = set()
    for i, child in enumerate(node.children):
        said: list[Value] = []
        if isinstance(child, Node):
            said += _range(child, report)
        elif child.type == "NAME":
            said.append(child.text)
        elif child.type == "PAIR":
            said.append(_pair(child, report, pairs))
        elif child.type in ("INT", "FLOAT"):
            said.append(number(child, report))
            _refuse_decimal_comma(child, report)
        if len(found) + len(said) > MAX_VALUES:
            raise report.fail("too-large", f"more than {MAX_VALUES} values", node)
        twice = next((value for value in said if value in seen), None)
        if twice is not None:
            cut = Span(node.children[i - 1].span.start, child.span.end)
            fixes = [("leave it out", cut, "")] if len(said) == 1 else []
            message, help = f"{twice} is listed twice", "list each value once"
            raise report.fail("duplicate-value", message, child, help, fixes)
        seen.update(said)
        found += [(value, child) for value in said]
    kinds = {isinstance(value, str) for value, _ in found}
    if len(kinds) > 1:
        raise report.fail("bad-value", "numbers and names in one list", node)
    return found


def _refuse_decimal_comma(token: Token, report: Report) -> None:
    """Report `0,5`, which reads as two values; two are written with a blank, as `0, 5`."""
    found = re.match(r"0,([0-9]+)(?![\w.])", report.source.text[token.span.start :][:MAX_DIGITS])
    if found and token.text == "0":
        span, meant = token.span._replace(end=token.span.start + found.end()), f"0.{found[1]}"
        at = Token("FLOAT", found[0], span)
        fixes = [(f"write `{meant}`", span, meant), ("write two", span, f"0, {found[1]}")]
        help = f"write `{meant}` for one number; two have a blank after the comma"
        raise report.fail("notation", f"`{found[0]}` is no number here", at, help, fixes)


def value_list(node: Node, report: Report) -> tuple[Value, ...]:
    """Values of a `values` node, ascending, each once. Reports what `values_said` does."""
    return ordered(values_said(node, report))


def ordered(said: list[tuple[Value, Node | Token]]) -> tuple[Value, ...]:
    """Values as the IR has them: numbers ascending, names as they stand."""
    values = [value for value, _ in said]
    names = [v for v in values if isinstance(v, str)]
    return tuple(names) if names else tuple(sorted(v for v in values if not isinstance(v, str)))


def _pair(token: Token, report: Report, pairs: tuple[str, int] | None) -> Size:
    if pairs is not None:
        return size_said(token, report, *pairs)
    height, _, width = token.text.partition("x")
    message = f"{token.text} is a pair, where one number belongs"
    fixes = [(f"write {height}", token.span, height)] if height == width else []
    raise report.fail("bad-value", message, token, f"write a number, as {height}", fixes)


def size_list(node: Node, report: Report, what: str, most: int) -> tuple[Size, ...]:
    """A list of sizes, each a whole number or two: `160, 224`, `49x10`."""
    said = values_said(node, report, (what, most))
    for value, at in said:
        if not isinstance(value, Pair) and (not isinstance(value, int) or not 1 <= value <= most):
            raise _not_whole(value, at, report, (what, 1, most))
    return tuple(v for v in ordered(said) if isinstance(v, int | Pair))


def whole_list(node: Node, report: Report, what: str, least: int, most: int) -> tuple[int, ...]:
    """A list of whole numbers within bounds."""
    said = values_said(node, report)
    for value, at in said:
        if not isinstance(value, int) or not least <= value <= most:
            raise _not_whole(value, at, report, (what, least, most))
    return tuple(v for v in ordered(said) if isinstance(v, int))


def _range(node: Node, report: Report) -> list[Value]:
    tokens = node.tokens("INT", "FLOAT")
    for token in tokens:
        number(token, report)  # reports absurd lengths
    first, last = exact_number(tokens[0]), exact_number(tokens[1])
    step = exact_number(tokens[2]) if len(tokens) == 3 else Fraction(1)
    if step == 0:
        raise report.fail("step-zero", "a range with step 0 never ends", node, "use step 1 or more")
    if last < first:
        turned = f"{tokens[1].text}..{tokens[0].text}"
        message = f"the range {tokens[0].text}..{tokens[1].text} is empty"
        fixes = [(f"write {turned}", tokens[0].span.to(tokens[1].span), turned)]
        raise report.fail("empty-range", message, node, "write the smaller end first", fixes)
    if (last - first) % step != 0:
        reached = float(first + (last - first) // step * step)
        ends = [f"{reached:g}", f"{reached + float(step):g}"]
        said = tokens[2].text if len(tokens) == 3 else 1
        message = f"step {said} does not reach {tokens[1].text}"
        help = f"end the range at {ends[0]} or {ends[1]}"
        fixes = [(f"end it at {end}", tokens[1].span, end) for end in ends]
        raise report.fail("bad-range", message, node, help, fixes)
    count = (last - first) // step + 1
    if count > MAX_VALUES:
        raise report.fail(
            "too-large", f"the range has {count} values, more than {MAX_VALUES}", node
        )
    if first.denominator == step.denominator == 1:
        return list(range(int(first), int(last) + 1, int(step)))
    values = [first + i * step for i in range(int(count))]
    return [int(v) if v.denominator == 1 else float(v) for v in values]


def shown(values: tuple[Value, ...]) -> str:
    """Values as the language writes them: runs of even steps as ranges."""
    parts: list[str] = []
    rest = list(values)
    while rest:
        run = _run_length(rest)
        step = (_step(rest[0], rest[1]) if run > 1 else None) or 0
        if run >= (3 if step == 1 else 4):
            tail = "" if step == 1 else f" step {_plain(step)}"
            parts.append(f"{_plain(rest[0])}..{_plain(rest[run - 1])}{tail}")
        else:
            run = 1
            parts.append(_plain(rest[0]))
        rest = rest[run:]
    return ", ".join(parts)


def widths_text(stage: Stage) -> str:
    """The widths of a stage as a page says them; nothing where it says none."""
    return shown(stage.widths) if stage.growth is None else expr_text(stage.growth)


def _step(first: Value, second: Value) -> int | float | None:
    """The difference of two values that follow each other; None where one of them is no number."""
    if isinstance(first, str | Pair) or isinstance(second, str | Pair):
        return None
    step = exact(second) - exact(first)
    return int(step) if step.denominator == 1 else float(step)


def _plain(value: Value) -> str:
    """A number in digits, never in powers of ten; every digit of it."""
    return value if isinstance(value, str) else number_text(value)


def _run_length(values: list[Value]) -> int:
    step = _step(values[0], values[1]) if len(values) > 1 else None
    if step is None:
        return 1
    run = 2
    while run < len(values) and _step(values[run - 1], values[run]) == step:
        run += 1
    return run
