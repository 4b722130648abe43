"""Numbers, lists and ranges."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from spacedsl.ir.block import Value
from spacedsl.ir.expr import exact
from spacedsl.lang.report import Report
from spacedsl.syntax.tree import Node, Token

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
        message = f"{what} {token.text} is not a whole number from {least} to {most}"
        raise report.fail("bad-value", message, token)
    return value


def value_list(node: Node, report: Report) -> tuple[Value, ...]:
    """Values of a `values` node, ascending, each once. Reports empty ranges, step 0, huge ranges,
    duplicates and mixtures of numbers and names."""
    found: list[Value] = []
    for child in node.children:
        if isinstance(child, Node):
            found += _range(child, report)
        elif child.type == "NAME":
            found.append(child.text)
        elif child.type in ("INT", "FLOAT"):
            found.append(number(child, report))
        if len(found) > MAX_VALUES:
            raise report.fail("too-large", f"more than {MAX_VALUES} values", node)
    names = [v for v in found if isinstance(v, str)]
    numbers = [v for v in found if not isinstance(v, str)]
    if names and numbers:
        raise report.fail("bad-value", "numbers and names in one list", node)
    if len(set(found)) < len(found):
        twice = next(v for v in found if found.count(v) > 1)
        raise report.fail("duplicate-value", f"{twice} is listed twice", node)
    return tuple(names) if names else tuple(sorted(numbers))


def whole_list(node: Node, report: Report, what: str, least: int, most: int) -> tuple[int, ...]:
    """A list of whole numbers within bounds."""
    values = value_list(node, report)
    for value in values:
        if not isinstance(value, int) or not least <= value <= most:
            message = f"{what} {value} is not a whole number from {least} to {most}"
            raise report.fail("bad-value", message, node)
    return tuple(v for v in values if isinstance(v, int))


def _range(node: Node, report: Report) -> list[Value]:
    tokens = node.tokens("INT", "FLOAT")
    for token in tokens:
        number(token, report)  # reports absurd lengths
    first, last = exact_number(tokens[0]), exact_number(tokens[1])
    step = exact_number(tokens[2]) if len(tokens) == 3 else Fraction(1)
    if step == 0:
        raise report.fail("step-zero", "a range with step 0 never ends", node, "use step 1 or more")
    if last < first:
        message = f"the range {tokens[0].text}..{tokens[1].text} is empty"
        raise report.fail("empty-range", message, node, "write the smaller end first")
    if (last - first) % step != 0:
        end = first + (last - first) // step * step
        message = (
            f"step {tokens[2].text if len(tokens) == 3 else 1} does not reach {tokens[1].text}"
        )
        raise report.fail("bad-range", message, node, f"end the range at {float(end):g}")
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
        step = exact_step(rest[0], rest[1]) if run > 1 else 0
        if run >= (3 if step == 1 else 4):
            tail = "" if step == 1 else f" step {_plain(step)}"
            parts.append(f"{_plain(rest[0])}..{_plain(rest[run - 1])}{tail}")
        else:
            run = 1
            parts.append(_plain(rest[0]))
        rest = rest[run:]
    return ", ".join(parts)


def exact_step(first: Value, second: Value) -> Value:
    step = exact(second) - exact(first)
    return int(step) if step.denominator == 1 else float(step)


def _plain(value: Value) -> str:
    """A number in digits, never in powers of ten; every digit of it."""
    return value if isinstance(value, str) else f"{Decimal(str(value)):f}"


def _run_length(values: list[Value]) -> int:
    if len(values) < 2 or isinstance(values[0], str):
        return 1
    step, run = exact_step(values[0], values[1]), 2
    while run < len(values) and exact_step(values[run - 1], values[run]) == step:
        run += 1
    return run
