"""Lower block definitions and inline bodies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spacedsl.diagnostics import one_of
from spacedsl.ir.block import (
    MAX_KERNEL,
    PROJECTION,
    WINDOWED,
    Block,
    Dropout,
    GlobalPool,
    Let,
    Linear,
    Op,
    Optional,
    Se,
    Shortcut,
    Shuffle,
    SpaceToDepth,
    Stride,
    walk,
)
from spacedsl.ir.expr import Expr, Num, names_in
from spacedsl.lang.bodytext import (
    check_body,
    check_ones,
    check_own_line,
    check_reparam,
    check_width,
)
from spacedsl.lang.expressions import lower_expr
from spacedsl.lang.joins import lower_join
from spacedsl.lang.kernels import (
    check_kernel,
    check_kernel_word,
    is_stride,
)
from spacedsl.lang.odd_modifiers import odd_modifier
from spacedsl.lang.parameters import SIZES, check_uses, has_meaning, lower_parameters
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.values import number, size_said, whole
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import FLAGS, IN_BODIES, MAX_BLOCK, MAX_CLASSES, OPERATORS
from spacedsl.operators.size import Pair
from spacedsl.syntax.tree import Node, Token
from spacedsl.vocabulary import advice

MAX_NAMES = 64
MAX_OPS = 128

HIDDEN = "conv 1x1 -> {} relu nonorm bias"
"""A layer between the pooled map and the classifier."""


class Modifiers:
    """The words after an op, sorted into activations, stride and flags."""

    def __init__(self, node: Node, params: Sequence[str], report: Report) -> None:
        op = node.rule
        self.acts: list[str] = []
        self.stride: Stride = 1
        self.own_stride: Token | None = None
        self.flags: set[str] = set()
        for modifier in node.all("modifier"):
            self._take(op, modifier.token("NAME"), params, report)

    def _take(self, op: str, token: Token, params: Sequence[str], report: Report) -> None:
        word = token.text
        repeated = word in self.flags or (self.stride != 1 and self._is_stride(op, word))
        if repeated or (self._is_act(word, params) and len(self.acts) == OPERATORS[op].acts > 0):
            message = f"one `{op}` cannot take `{word}` too"
            cut = (self.own_stride if word == "strided" and self.own_stride else token).span
            fixes = [("leave it out", report.with_blank(cut), "")]
            raise report.fail("duplicate-modifier", message, token, "leave one of them out", fixes)
        if word == "strided" and word in OPERATORS[op].flags:
            self.stride = "stage"
        elif self._is_stride(op, word):
            said = Token("PAIR" if "x" in word else "INT", word[1:], token.span)
            self.stride = size_said(said, report, "stride", 8)
            self.own_stride = token
        elif word in OPERATORS[op].flags:
            self.flags.add(word)
        elif self._is_act(word, params) and OPERATORS[op].acts:
            self.acts.append(word)
        else:
            raise self._no_modifier(op, token, params, report)

    def _no_modifier(self, op: str, token: Token, params: Sequence[str], report: Report) -> Abandon:
        from spacedsl.syntax.messages import is_op, no_op  # pages without mistakes do not need it

        word, record = token.text, OPERATORS[op]
        if (report.is_first(token) or is_op(word)) and not self._is_act(word, params):
            return report.depends((no_op(report.source, token),))
        if word in ("no", "without", "not"):
            return report.negated(token)
        odd = odd_modifier(op, token, report)
        if odd is not None:
            return odd
        strides = ("s2",) if "strided" in record.flags else ()
        acts = (*ACTIVATIONS, *params) if record.acts else ()
        known = acts if advice(word) else (*record.flags, *strides, *acts)
        return report.unknown("modifier", token, known)

    @staticmethod
    def _is_stride(op: str, word: str) -> bool:
        return "strided" in OPERATORS[op].flags and (word == "strided" or is_stride(word))

    @staticmethod
    def _is_act(word: str, params: Sequence[str]) -> bool:
        return word in ACTIVATIONS or word in params

    @property
    def act(self) -> str | None:
        return self.acts[0] if self.acts else None


def lower_block(node: Node, source: str, report: Report) -> Block:
    """A `block` definition. `source` is the `use` path it is known by, "" in its own page."""
    params = lower_parameters(node, report)
    block = _body(node, tuple(p.name for p in params), report)
    block = block.model_copy(
        update={"name": node.token("NAME").text, "source": source, "params": params}
    )
    if not report.found:
        check_uses(block, node, report)
    return block


def lower_inline(node: Node, report: Report) -> Block:
    """The body written inside a stage: a block without name and parameters."""
    return _body(node, (), report)


def _body(node: Node, params: tuple[str, ...], report: Report) -> Block:
    known = [*SIZES, *params]
    lets: list[Let] = []
    spelt_out: dict[str, int] = {}
    for let in node.all("let"):
        name = let.token("NAME")
        if name.text in known or has_meaning(name.text):
            raise report.fail("bad-name", f"`{name.text}` already means something here", name)
        value = lower_expr(let.children[2], known, report)
        spelt_out[name.text] = sum(spelt_out.get(n, 1) for n in names_in(value))
        if spelt_out[name.text] > MAX_NAMES:
            message = f"spelt out, `{name.text}` is made of more than {MAX_NAMES} names"
            raise report.fail("too-large", message, name)
        lets.append(Let(name=name.text, value=value))
        known.append(name.text)
    ops = _ops(node, known, params, report)
    if len(list(walk(ops))) > MAX_OPS:
        raise report.fail("too-large", f"a body of more than {MAX_OPS} ops", node)
    block = Block(lets=tuple(lets), ops=ops)
    if not report.found:
        check_body(block, node, report)
    return block


def _ops(node: Node, known: list[str], params: tuple[str, ...], report: Report) -> tuple[Op, ...]:
    ops: list[Op] = []
    nodes = node.all(*IN_BODIES)
    for i, child in enumerate(nodes):
        try:
            if child.rule == "optional":
                ops += _optional(child, known, params, report)
                continue
            op = _op(child, known, params, report)
        except Abandon:
            continue
        if op is None:
            continue
        if isinstance(op, Shortcut | Linear) and i != len(nodes) - 1:
            name, help = "shortcut", "write it last in its body"
            if isinstance(op, Linear):
                name, help = "classifier", f"a layer before it is `{HIDDEN.format(op.classes)}`"
            message = f"a {name} ends its body; nothing can follow it"
            report.error("misplaced", message, child, help)
        ops.append(op)
    return tuple(ops)


def _optional(
    node: Node, known: list[str], params: tuple[str, ...], report: Report
) -> Iterator[Optional]:
    """The ops that are there where the parameter is 1, and those behind `else`."""
    name = node.token("NAME")
    if name.text not in params:
        raise report.unknown("parameter", name, params)
    otherwise = node.first("otherwise")
    if otherwise is None or node.all(*IN_BODIES):
        yield Optional(param=name.text, body=_ops(node, known, params, report))
    if otherwise is not None:
        yield Optional(param=name.text, body=_ops(otherwise, known, params, report), when=0)


def _op(node: Node, known: list[str], params: tuple[str, ...], report: Report) -> Op | None:
    match node.rule:
        case "space-to-depth":
            return SpaceToDepth(block=whole(node.token("INT"), report, "block", 2, MAX_BLOCK))
        case "pool":
            return GlobalPool()
        case "linear":
            return Linear(classes=whole(node.token("INT"), report, "classes", 1, MAX_CLASSES))
        case "dropout":
            token = node.token("INT", "FLOAT")
            rate = number(token, report)
            if not 0 <= rate < 1:
                message = f"dropout {rate} is not from 0 to below 1"
                raise report.fail("bad-value", message, token, "write a share, as 0.2")
            return Dropout(rate=float(rate))
        case "shortcut":
            return _shortcut(node, known, params, report)
        case "shuffle":
            return Shuffle(groups=_count("shuffle", node, known, report))
        case "concat" | "sum":
            words = Modifiers(node, params, report)
            said = {"op": node.rule, "split": "split" in words.flags, "act": words.act}
            return lower_join(node, said, lambda body: _ops(body, known, params, report), report)
        case _:
            return _sized_op(node, known, params, report)


def _sized_op(node: Node, known: list[str], params: tuple[str, ...], report: Report) -> Op:
    words = Modifiers(node, params, report)
    if node.rule == "se":
        check_own_line(node, report)
        squeeze = lower_expr(node.children[1], known, report)
        check_width("se", squeeze, node.children[1], report)
        acts = [*words.acts, *("relu", "hsigmoid")[len(words.acts) :]]
        return Se(squeeze=squeeze, act=acts[0], gate=acts[1])
    fields: dict[str, Any] = {FLAGS[word].field: FLAGS[word].value for word in words.flags}
    fields |= _counts(node, known, report)
    fields |= {
        "op": node.rule,
        "kernel": _kernel(node.get("kernel"), known, report, 3 if "stacked" in words.flags else 1),
        "stride": words.stride,
    }
    check_ones(node, fields["kernel"], report)
    if OPERATORS[node.rule].acts:
        fields["act"] = words.act
    to = node.first("to")
    if to:
        fields["width"] = lower_expr(to.children[1], known, report)
        check_width("->", fields["width"], to.children[1], report)
    return WINDOWED[node.rule](**fields)


def _counts(node: Node, known: list[str], report: Report) -> dict[str, Expr | int]:
    """What modifiers with a number or an expression behind them set."""
    found: dict[str, Expr | int] = {}
    for word, flag in FLAGS.items():
        said = node.all(word) if flag.takes else ()
        if not said:
            continue
        first, *more = said
        if word not in OPERATORS[node.rule].flags:
            fixes = [("leave it out", report.with_blank(first.span), "")]
            takers = [op for op, record in IN_BODIES.items() if word in record.flags]
            message, help = f"`{node.rule}` takes no `{word}`", f"{one_of(takers)} does"
            raise report.fail("unknown-modifier", message, first, f"{help}: leave it out", fixes)
        if more:
            fixes = [("leave it out", report.with_blank(more[0].span), "")]
            message, help = f"one `{node.rule}` cannot take `{word}` twice", "leave one of them out"
            raise report.fail("duplicate-modifier", message, more[0], help, fixes)
        if flag.most:
            found[flag.field] = whole(first.token("INT"), report, word, 1, flag.most)
            check_reparam(node, report)
        else:
            found[flag.field] = _count(word, first, known, report)
    return found


def _count(word: str, node: Node, known: list[str], report: Report) -> Expr:
    """The number of groups, or of pixels, behind a word."""
    value, at = lower_expr(node.children[1], known, report), node.children[1]
    said = value.value if isinstance(value, Num) else 1
    if not isinstance(said, Pair) and (said < 1 or not float(said).is_integer()):
        message = f"{said} is no number of {word}"
        raise report.fail("bad-value", message, at, f"write `{word} 2`")
    return value


SHORTCUTS = ("none", "identity", "projected")


def _shortcut(node: Node, known: list[str], params: tuple[str, ...], report: Report) -> Op | None:
    words = Modifiers(node, params, report)
    names = node.tokens("NAME")
    if not names:
        return Shortcut(kind="body", body=_ops(node, known, params, report), act=words.act)
    if names[0].text not in SHORTCUTS:
        raise report.unknown("shortcut", names[0], SHORTCUTS)
    if names[0].text == "none":
        return None
    if names[0].text == "identity":
        return Shortcut(kind="identity", act=words.act)
    return Shortcut(kind="body", body=PROJECTION, act=words.act)


def _kernel(node: Node, known: list[str], report: Report, least: int) -> Expr:
    token = node.token("PAIR", "NAME")
    if token.type == "NAME" and token.text not in known:
        check_kernel_word(token, known, report)
    elif token.type == "PAIR":
        size = size_said(token, report, "kernel", MAX_KERNEL)
        check_kernel(size, token, "kernel", least, report)
    return lower_expr(token, known, report)
