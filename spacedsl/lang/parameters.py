"""Lower the parameters of a block: their names, their defaults, and what the body makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from spacedsl.ir.block import MAX_KERNEL, Block, Optional, Param, Value, op_acts, op_sizes, walk
from spacedsl.ir.expr import names_in
from spacedsl.ir.inline import inlined
from spacedsl.lang.kernels import check_kernel, holds_window, is_stride, kernel_parameters
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.lang.values import number, size_said
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import FLAGS
from spacedsl.syntax.tree import Node, Token

SIZES = ("cin", "cout")
"""What every block knows without being told."""
MAX_PARAMS = 8


def lower_parameters(node: Node, report: Report) -> tuple[Param, ...]:
    """The parameters of a `block` definition. Raises `Abandon`."""
    nodes = (node.first("params") or node).all("param")
    params = tuple(_param(p, report) for p in nodes)
    names = [p.name for p in params]
    if len(params) > MAX_PARAMS:
        raise report.fail("too-large", f"a block has at most {MAX_PARAMS} parameters", node)
    seen: set[str] = set()
    for name, param in zip(names, nodes, strict=True):
        if name in seen or name in SIZES or has_meaning(name):
            message, help = f"`{name}` cannot name a parameter here", "choose another name"
            fixes: list[Mend] = []
            if name in seen:
                message, help = f"two parameters are named `{name}`", "leave one of them out"
            elif name in SIZES:
                help = "every block knows `cin` and `cout` without being told: leave it out"
                fixes = _left_out(node, SIZES, report)
            raise report.fail("bad-name", message, param, help, fixes)
        seen.add(name)
    return params


def _left_out(block: Node, names: Sequence[str], report: Report) -> list[Mend]:
    """The fix that takes parameters out of a block's list."""
    listed = block.get("params")
    kept = [p for p in listed.all("param") if p.token("NAME").text not in names]
    text = ", ".join(report.source.text[p.span.start : p.span.end] for p in kept)
    return [("leave it out", listed.span, f"({text})")]


def has_meaning(name: str) -> bool:
    """Whether an op would take `name` for something else than a parameter."""
    return name in ACTIVATIONS or name in FLAGS or is_stride(name)


def check_uses(block: Block, owner: Node, report: Report) -> None:
    """Every parameter is used, and as one kind of thing, which its default is too."""
    acts = _activations(block)
    numbers = _numbers(block)
    kernels = kernel_parameters(block)
    nodes = (owner.first("params") or owner).all("param")
    for param, node in zip(block.params, nodes, strict=True):
        name, kind = param.name, parameter_kind(block, param.name)
        if name not in acts | numbers:
            message, help = f"parameter `{name}` is never used", "leave it out, or use it in an op"
            fixes = _left_out(owner, (name,), report)
            report.error("unused-parameter", message, node, help, fixes)
        elif name in acts & numbers:
            report.error("bad-value", f"`{name}` is used as an activation and as a number", node)
        elif param.default is not None and not is_of_kind(param.default, kind, node):
            message = f"`{name}` takes {KINDS[kind]}, not {param.default}"
            report.error("bad-value", message, node)
        elif param.default is not None and name in kernels:
            try:
                check_kernel(param.default, node.tokens()[-1], name, kernels[name], report)
            except Abandon:
                continue


def _activations(block: Block) -> set[str]:
    """Names in the places of activations."""
    return {name for op in walk(block.ops) for name in op_acts(op)}


def _numbers(block: Block) -> set[str]:
    """Names in the places of numbers: sizes, kernels, conditions."""
    ops = inlined(block)
    found = {op.param for op in walk(ops) if isinstance(op, Optional)}
    for expr in op_sizes(ops):
        found.update(names_in(expr))
    return found


Kind = Literal["activation", "switch", "window", "number"]

KINDS: dict[Kind, str] = {
    "activation": "an activation",
    "switch": "0 or 1",
    "window": "numbers, or pairs such as 10x4",
    "number": "numbers",
}
"""What a parameter of each kind takes."""


def parameter_kind(block: Block, name: str) -> Kind:
    """What a parameter holds, from how the body uses it."""
    if name in _activations(block):
        return "activation"
    switches = {op.param for op in walk(block.ops) if isinstance(op, Optional)}
    if name in switches:
        return "switch"
    return "window" if holds_window(block, name) else "number"


def is_of_kind(value: Value, kind: Kind, said: Node | Token) -> bool:
    """Whether a parameter of this kind can be `value`, as it is `said`."""
    last = said if isinstance(said, Token) else said.tokens()[-1]
    if isinstance(value, str):
        return kind == "activation"
    if last.type == "PAIR":
        return kind == "window"
    return kind in ("number", "window") or (kind == "switch" and value in (0, 1))


def _param(node: Node, report: Report) -> Param:
    tokens = node.tokens("NAME", "INT", "FLOAT", "PAIR")
    default: Value | None = None
    if len(tokens) == 2 and tokens[1].type == "PAIR":
        default = size_said(tokens[1], report, tokens[0].text, MAX_KERNEL)
    elif len(tokens) == 2:
        default = tokens[1].text if tokens[1].type == "NAME" else number(tokens[1], report)
        if isinstance(default, str) and default not in ACTIVATIONS:
            raise report.unknown("activation", tokens[1], ACTIVATIONS)
    return Param(name=tokens[0].text, default=default)
