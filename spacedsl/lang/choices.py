"""Lower the block types of a stage: which blocks, and what values their parameters have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import prod

from spacedsl.diagnostics import suggest
from spacedsl.ir.block import MAX_KERNEL, Block, Value
from spacedsl.ir.identity import block_identity
from spacedsl.ir.space import Arg, BlockChoice, Stage
from spacedsl.lang.kernels import check_kernel, kernel_parameters
from spacedsl.lang.parameters import KINDS, Kind, is_of_kind, parameter_kind
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.lang.scope import Scope
from spacedsl.lang.settings import as_settings, check_keys, check_settings, is_setting
from spacedsl.lang.values import shown, values_said
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import as_number
from spacedsl.syntax.tree import Node, Token, leaves
from spacedsl.syntax.words import unglued

MAX_SETTINGS = 1_024
MAX_BLOCKS = 64


def listed(node: Node) -> tuple[Node, ...]:
    """The choices that a page lists for all of its elastic stages."""
    blocks = node.first("blocks")
    return blocks.all("choice") if blocks else ()


def choices_of(
    nodes: Sequence[Node], inherited: Stage | None, scope: Scope, report: Report
) -> tuple[BlockChoice, ...]:
    """Block types with their settings, as a stage or a page lists them."""
    if len(nodes) > MAX_BLOCKS:
        raise report.fail("too-large", f"more than {MAX_BLOCKS} block types", nodes[MAX_BLOCKS])
    for node in nodes:
        _check_op(node.token("NAME"), scope, report)
    check_settings(nodes, scope, report)
    check_keys(nodes, scope, report)
    choices: list[BlockChoice] = []
    for i, node in enumerate(nodes):
        if not node.all("arg") and _is_unknown(nodes[i + 1 : i + 2], inherited, scope):
            continue  # what this one lacks stands behind a word that is none
        try:
            choice = _choice(node, inherited, scope, report)
        except Abandon:
            continue
        name = node.token("NAME")
        if any(_are_one(choice, other) for other in choices):
            report.error("duplicate-block", f"block `{name.text}` is listed twice", name)
        elif name.text in [c.block.name for c in choices]:
            message = f"two block types of one stage are called `{name.text}`"
            help = "models say a block type by its name: define one of them under another name"
            report.error("duplicate-block", message, name, help)
        else:
            choices.append(choice)
    return tuple(choices)


def _are_one(one: BlockChoice, other: BlockChoice) -> bool:
    """Whether two block types are the same, or one is where the other has a certain activation."""
    mine, theirs = block_identity(one), block_identity(other)
    return theirs in map(block_identity, one.views) or mine in map(block_identity, other.views)


def _is_unknown(nodes: Sequence[Node], inherited: Stage | None, scope: Scope) -> bool:
    """Whether a choice names no block but has its settings."""
    names = [node.token("NAME").text for node in nodes if node.all("arg")]
    offered = [c.block.name for c in inherited.choices] if inherited else []
    return any(name not in offered and not scope.knows_block(name) for name in names)


def _check_op(name: Token, scope: Scope, report: Report) -> None:
    """Raises `Abandon` where what stands for a block type is an op written as one word."""
    meant, example = unglued(name.text), unglued(name.text, "3x3")
    if example is None or scope.knows_block(name.text):
        return
    if meant is None:
        message = f"`{name.text}` is no block type, and as an op it does not say its kernel"
        raise report.fail("unknown-block", message, name, f"write it as `{example}`")
    behind = report.source.text[name.span.end :].partition("}")[0]
    if re.search(r"\bstride\s+[2-8]", behind) and "strided" not in behind:
        meant = f"{meant} strided"
    fixes = [(f"write `{meant}`", name.span, meant)]
    message = f"`{name.text}` is several words here"
    raise report.fail("notation", message, name, f"write `{meant}`", fixes)


def _choice(node: Node, inherited: Stage | None, scope: Scope, report: Report) -> BlockChoice:
    name = node.token("NAME")
    base = _inherited_choice(name.text, inherited)
    if base is None or scope.knows_block(name.text):
        offered = [c.block.name for c in inherited.choices] if inherited else []
        block = scope.find(name, "block", "block", report, offered)
        if not isinstance(block, Block):
            raise TypeError(name.text)
        if base is not None and base.block == block.model_copy(
            update={"source": base.block.source}
        ):
            block = base.block
        else:
            base = None
    else:
        block = base.block
    given: dict[str, tuple[Value, ...]] = {}
    kinds = {p.name: parameter_kind(block, p.name) for p in block.params}
    kernels = kernel_parameters(block)
    for arg in node.all("arg"):
        key = arg.token("NAME")
        if key.text not in kinds:
            if key.text.lower() in ("or", "and") and given:
                message = f"`{key.text}` does not separate values"
                help, fixes = "write `,` between values", [_with_commas(node, report)]
                raise report.fail("notation", message, key, help, fixes)
            if key.text in ACTIVATIONS and "activation" in map(kinds.get, given):
                help = f"write `,` before `{key.text}` and between the others"
                raise report.fail("syntax", f"a `,` is missing before `{key.text}`", key, help)
            raise _unknown(node, list(kinds), report)
        if key.text in given:
            raise report.fail("duplicate-key", f"`{key.text}` is said twice", key, "keep one")
        least = kernels.get(key.text)
        given[key.text] = _arg_values(arg.get("values"), kinds[key.text], key, least, report)
    args: list[Arg] = []
    for param in block.params:
        values = given.get(param.name)
        if values is None and base is not None:
            values = base.values(param.name)
        if values is None and param.default is not None:
            values = (param.default,)
        if values is None:
            message = f"block `{name.text}` is not told its {param.name}"
            told = [f"{n} {_shown(given, n)}" for n in kinds if n == param.name or n in given]
            help = f"write `{name.text} {{ {'  '.join(told)} }}`"
            raise report.fail("missing-parameter", message, name, help)
        args.append(Arg(name=param.name, values=values))
    combinations = prod(len(a.values) for a in args)
    if combinations > MAX_SETTINGS:
        message = f"{combinations} combinations of settings, more than {MAX_SETTINGS}"
        raise report.fail("too-large", message, name)
    return BlockChoice(block=block, args=tuple(args))


def _with_commas(node: Node, report: Report) -> Mend:
    """The fix of a block's braces in which values have `or` between them."""
    args = node.all("arg")
    span = args[0].span.to(args[-1].span)
    text = report.source.text[span.start : span.end]
    return "write `,`", span, re.sub(r"\s+(?:or|and)\s+", ", ", text, flags=re.IGNORECASE)


def _unknown(node: Node, known: Sequence[str], report: Report) -> Abandon:
    """Parameters that a block has not: several misspelt ones are one error."""
    settings = [token for arg in node.all("arg") for token in leaves(arg)]
    if all(is_setting(token) for token in settings):
        raise as_settings(settings, "", report)
    wrong = [t for t in (arg.token("NAME") for arg in node.all("arg")) if t.text not in known]
    meant = [suggest(token.text, known) for token in wrong]
    if len(wrong) == 1 or None in meant:
        return report.unknown("parameter", wrong[0], known)
    span, text = wrong[0].span.to(wrong[-1].span), report.source.text
    parts = [text[a.span.end : b.span.start] for a, b in pairwise(wrong)]
    fixed = "".join(f"{name}{rest}" for name, rest in zip(meant, [*parts, ""], strict=True))
    message = f"unknown parameters {' and '.join(f'`{token.text}`' for token in wrong)}"
    help = f"did you mean {' and '.join(f'`{name}`' for name in meant)}?"
    return report.fail(
        "unknown-parameter", message, wrong[0], help, [("spell them right", span, fixed)]
    )


def _shown(given: dict[str, tuple[Value, ...]], name: str) -> str:
    return shown(given[name]) if name in given else "..."


def _inherited_choice(name: str, inherited: Stage | None) -> BlockChoice | None:
    found = [c for c in (inherited.choices if inherited else ()) if c.block.name == name]
    return found[0] if len(found) == 1 else None


def _arg_values(
    node: Node, kind: Kind, key: Token, least: int | None, report: Report
) -> tuple[Value, ...]:
    """The values of one parameter; `least`: of a kernel, how small it may be."""
    said = values_said(node, report, (key.text, MAX_KERNEL) if kind == "window" else None)
    if kind == "activation":
        for value, at in said:
            if value not in ACTIVATIONS:
                token = at if isinstance(at, Token) else at.tokens()[0]
                raise report.unknown("activation", token, ACTIVATIONS)
    else:
        wrong = [(value, at) for value, at in said if not is_of_kind(value, kind, at)]
        for value, at in wrong[:1]:
            shown = at if isinstance(at, Token) else at.tokens()[0]
            message = f"`{key.text}` takes {KINDS[kind]}, not {value}"
            text = report.source.text[node.span.start : node.span.end]
            digits = re.sub(r"\b[a-z]([0-9]+)\b", r"\1", text)
            counted = kind in ("number", "window") and not re.search("[a-w]", digits)
            fixes = [(f"write {digits}", node.span, digits)] if counted else []
            raise report.fail("bad-value", message, shown, None, fixes)
        for value, at in said:
            if kind == "number" and value == 0:
                message, help = f"`{key.text}` is more than 0", "a size that it makes would be 0"
                raise report.fail("bad-value", message, at, help)
            if least is not None:
                check_kernel(value, at, key.text, least, report)
    return tuple(sorted((value for value, _ in said), key=as_number))
