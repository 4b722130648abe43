"""Warns of what a page says that is easily another thing than was meant."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import Diagnostic, Fix, place
from spacedsl.ir.block import sizes_of, walk
from spacedsl.ir.expr import Ref
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import Space
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span

MANY_CHANNELS = 16
"""Images that are cameras' or satellites' have no more channels."""

NARROW = 64
"""Images of three channels that are no squares are hardly narrower than that."""

DECIMALS = ("5", "25", "75")
"""What stands behind the comma of a factor, as `1,5`."""


def input_warnings(space: Space, node: Node, source: Source) -> Iterator[Diagnostic]:
    """Of `49 x 10`, which is 49 channels of 10 x 10, and of `49x10`, which has three channels."""
    said = node.first("input")
    if said is None or space.of is not None:
        return
    values = said.get("values").children
    first, channels = values[0], said.tokens("INT")
    if not isinstance(first, Token):
        return
    at = said.span._replace(start=(channels or [first])[0].span.start)
    text = source.text[at.start : at.end]
    if channels and space.channels > MANY_CHANNELS and len(values) == 1 and first.type == "INT":
        count, size = space.channels, first.text
        message = f"`{text}` is {count} channels of {size} x {size} pixels"
        help = f"a map of {count} rows and {size} columns is `1 x {count}x{size}`"
        yield _warning(message, f"{help}; write `{count} x {size}x{size}` if not", at, source)
    elif not channels and first.type == "PAIR" and min(map(int, first.text.split("x"))) < NARROW:
        message = f"`{first.text}` has {space.channels} channels, since none are said"
        help = f"say how many: `1 x {first.text}` or `3 x {first.text}`"
        yield _warning(message, help, at, source)


def _warning(
    message: str, help: str, at: Span, source: Source, fixes: tuple[Fix, ...] = ()
) -> Diagnostic:
    return Diagnostic("unclear", message, place(source, at), help, (), fixes, severity="warning")


def value_warnings(space: Space, node: Node, source: Source) -> Iterator[Diagnostic]:
    """Of `kernel 3..7`, which has the kernels 4 and 6 too, and of `expand 1,5`, which is two."""
    kernels = {
        (choice.block.name, size.name)
        for stage in space.stages
        for choice in stage.choices
        for op in walk(inlined(choice.block))
        for field, size in sizes_of(op)
        if field == "kernel" and isinstance(size, Ref)
    }
    for choice in (c for part in node.all("stage", "blocks") for c in part.all("choice")):
        for arg in choice.all("arg"):
            if (choice.token("NAME").text, arg.token("NAME").text) in kernels:
                yield from _even(arg.get("values"), source)
            else:
                yield from _decimals(arg.get("values"), source)


def _even(values: Node, source: Source) -> Iterator[Diagnostic]:
    for said in values.all("range"):
        ends = [int(token.text) for token in said.tokens("INT")]
        if len(ends) == 2 and all(end % 2 for end in ends):
            text = f"{ends[0]}..{ends[1]}"
            end = place(source, Span(said.span.end, said.span.end))
            message = f"the kernels {text} are even ones too, such as {ends[0] + 1}"
            help = f"write `{text} step 2` for odd ones, or list them"
            fixes = (Fix("add `step 2`", end, " step 2"),)
            yield _warning(message, help, said.span, source, fixes)


def _decimals(values: Node, source: Source) -> Iterator[Diagnostic]:
    text = source.text[values.span.start : values.span.end]
    whole, _, parts = text.partition(",")
    if whole.isdecimal() and parts in DECIMALS:
        message = f"`{text}` is two values, {whole} and {parts}"
        help = f"write `{whole}.{parts}` for one; two have a blank after the comma"
        fixes = (Fix(f"write `{whole}.{parts}`", place(source, values.span), f"{whole}.{parts}"),)
        yield _warning(message, help, values.span, source, fixes)
