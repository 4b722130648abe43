"""Width expressions of block bodies: numbers, names, arithmetic and `round8`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import floor
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spacedsl.operators.size import Pair, Size


class Frozen(BaseModel):
    """Base of every IR value: immutable, hashable, strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Num(Frozen):
    """A number, or the pair of numbers of a window: `10x4`."""

    kind: Literal["num"] = "num"
    value: int | float | Pair


class Ref(Frozen):
    """A name: `cin`, `cout`, a block parameter or an earlier binding."""

    kind: Literal["ref"] = "ref"
    name: str


class Binary(Frozen):
    kind: Literal["binary"] = "binary"
    op: Literal["+", "-", "*", "/"]
    left: Expr
    right: Expr


class Round8(Frozen):
    kind: Literal["round8"] = "round8"
    arg: Expr


Expr = Annotated[Num | Ref | Binary | Round8, Field(discriminator="kind")]

Binary.model_rebuild()
Round8.model_rebuild()


class EvaluationError(ValueError):
    """An expression has no value: an unknown name, a division by zero, a fraction as a width."""


class SizeError(EvaluationError):
    """An expression, `expr`, whose value is no size; `fraction`: for it is not a whole number."""

    def __init__(self, expr: Expr, env: Env, what: str, *, fraction: bool = False) -> None:
        names = [] if isinstance(expr, Ref) else dict.fromkeys(names_in(expr))
        said = [f"{name} is {_shown(env[name])}" for name in names]
        where = f", where {' and '.join(said)}" if said else ""
        super().__init__(f"`{expr_text(expr)}` is {what}{where}")
        self.expr, self.fraction = expr, fraction


def _shown(value: Exact | Pair) -> str:
    return f"{float(value):g}" if isinstance(value, Fraction) else f"{value}"


Exact = int | Fraction
"""A number without rounding; whole ones as int, which is what most widths are."""


def exact(value: int | float) -> Exact:
    """The decimal a person wrote, exactly (0.35 is 7/20, not the nearest binary number)."""
    return value if isinstance(value, int) else _decimal(value)


@lru_cache(maxsize=4096)
def _decimal(value: float) -> Exact:
    return _plain(Fraction(str(value)))


def _plain(value: Fraction) -> Exact:
    return value.numerator if value.denominator == 1 else value


def round8(value: Exact) -> int:
    """Round to a multiple of 8, at least 8, never below 90 % of `value` (facts of the method:
    `r8(v)`, the rounding of MobileNets)."""
    rounded = max(8, floor(value + 4) // 8 * 8)
    return rounded + 8 if 10 * rounded < 9 * value else rounded


Env = Mapping[str, Exact | Pair]
"""What names stand for; only windows are pairs."""


def evaluate(expr: Expr, env: Env) -> Exact:
    """The exact value of `expr`. Raises `EvaluationError`."""
    return _number(_value(expr, env))


def _value(expr: Expr, env: Env) -> Exact | Pair:
    """Kinds are compared faster than classes, and every size of every block is asked for here."""
    if expr.kind == "num":
        return known(expr.value)
    if expr.kind == "ref":
        if expr.name not in env:
            raise EvaluationError(f"`{expr.name}` has no value here")
        return env[expr.name]
    if expr.kind == "round8":
        return round8(evaluate(expr.arg, env))
    a, b = evaluate(expr.left, env), evaluate(expr.right, env)
    if expr.op == "+":
        return a + b
    if expr.op == "-":
        return a - b
    if expr.op == "*":
        return a * b
    if b == 0:
        raise EvaluationError("division by zero")
    return _plain((Fraction(a) if isinstance(a, int) else a) / b)


def known(value: float | Pair) -> Exact | Pair:
    """What a number or a pair is for names to stand for."""
    return exact(value) if isinstance(value, int | float) else value


def _number(value: Exact | Pair) -> Exact:
    if isinstance(value, Pair):
        raise EvaluationError(f"{value} is a pair, and no number to calculate with")
    return value


MAX_SIZE = 1 << 24


def evaluate_window(expr: Expr, env: Env) -> Size:
    """A kernel or a dilation: one positive integer or two. Raises `EvaluationError`."""
    value = _value(expr, env)
    return value if isinstance(value, Pair) else _size(value, expr, env)


def evaluate_size(expr: Expr, env: Env) -> int:
    """A width: a positive integer. Raises `EvaluationError`."""
    return _size(evaluate(expr, env), expr, env)


def _size(value: Exact, expr: Expr, env: Env) -> int:
    if not -MAX_SIZE <= value <= MAX_SIZE:
        raise SizeError(expr, env, f"beyond {MAX_SIZE:,}")
    if value.denominator != 1:
        raise SizeError(expr, env, f"{float(value):g}, not a whole number", fraction=True)
    if value < 1:
        raise SizeError(expr, env, f"{value}, which is no size")
    return value.numerator


def names_in(expr: Expr) -> tuple[str, ...]:
    """Every name that `expr` mentions, in order of the text."""
    match expr:
        case Ref(name=name):
            return (name,)
        case Binary(left=left, right=right):
            return names_in(left) + names_in(right)
        case Round8(arg=arg):
            return names_in(arg)
        case _:
            return ()


PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}


def expr_text(expr: Expr, outer: int = 0) -> str:
    """An expression as a page says it; in brackets where what is around it binds more than it."""
    match expr:
        case Num(value=value):
            return number_text(value)
        case Ref(name=name):
            return name
        case Round8(arg=arg):
            return f"round8({expr_text(arg)})"
        case Binary(op=op, left=left, right=right):
            level = PRECEDENCE[op]
            text = f"{expr_text(left, level)} {op} {expr_text(right, level + 1)}"
            return f"({text})" if level < outer else text


def number_text(value: float | Pair) -> str:
    """A number in digits, never in powers of ten; every digit of it. Pairs as `10x4`."""
    return str(value) if isinstance(value, Pair) else f"{Decimal(str(value)):f}"


def substitute(expr: Expr, replacements: Mapping[str, Expr]) -> Expr:
    """`expr` with names replaced by expressions."""
    match expr:
        case Ref(name=name):
            return replacements.get(name, expr)
        case Binary(op=op, left=left, right=right):
            return Binary(
                op=op,
                left=substitute(left, replacements),
                right=substitute(right, replacements),
            )
        case Round8(arg=arg):
            return Round8(arg=substitute(arg, replacements))
        case _:
            return expr
