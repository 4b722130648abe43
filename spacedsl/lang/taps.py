"""Lower and check `taps`: the maps that are a page's outputs, in place of a head; and say where a
page has neither."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from spacedsl.diagnostics import Diagnostic, place
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.report import Report
from spacedsl.lang.values import shown, size_list, values_said
from spacedsl.operators.size import Size
from spacedsl.passes.taps import lacks_head, output_strides
from spacedsl.syntax.tree import Node
from spacedsl.text import Source, Span

MAX_TAP = 4_096


def lower_taps(node: Node | None, parent: Space | None, report: Report) -> tuple[Size, ...]:
    """The strides that a page says, else its parent's."""
    if node is None:
        return parent.taps if parent else ()
    return size_list(node.get("values"), report, "stride", MAX_TAP)


def check_taps(space: Space, node: Node, report: Report) -> None:
    """Report strides that no stage ends at, and stages that no output needs. Bodies are known to
    fit."""
    said = node.first("taps")
    if said is None:
        return
    strides = output_strides(space)
    known = sorted({s for s in strides if s is not None})
    for at, values in groupby(
        values_said(said.get("values"), report, ("stride", MAX_TAP)), itemgetter(1)
    ):
        listed = [value for value, _ in values]
        if wrong := tuple(value for value in listed if value not in known):
            message = f"no stage ends at stride {shown(wrong)}"
            right = ", ".join(str(value) for value in listed if value in known)
            fixes = [(f"write {right}", at.span, right)] if right else []
            report.error("bad-taps", message, at, f"stages end at {shown(tuple(known))}", fixes)
    if report.found or strides[-1] == space.taps[-1]:
        return
    last, name = strides[-1], node.all("stage")[-1].token("NAME")
    message = f"no output needs stage `{name.text}`: the last tap is before it"
    if last is None:
        help = "a page has a head or taps: leave one of them out"
        report.error("bad-taps", message, name, help, labels=[("these are the outputs", said)])
        return
    end = Span(said.span.end, said.span.end)
    fixes = [(f"tap stride {last} too", end, f", {last}")]
    help = f"tap stride {last} too, or leave the stage out"
    report.error("bad-taps", message, name, help, fixes, [("these are the outputs", said)])


def head_warnings(item: Space | Subnet, node: Node, source: Source) -> list[Diagnostic]:
    """Where networks end in a map that the page does not name as an output: no file can be written
    of them, and nothing can be trained."""
    if isinstance(item, Space):
        item = smallest(item, item.resolutions[-1]).model_copy(update={"name": item.name})
    lacking = lacks_head(item)
    if lacking is None:
        return []
    message, help = lacking
    at = place(source, node.token("NAME").span)
    return [Diagnostic("no-head", message, at, help, severity="warning")]
