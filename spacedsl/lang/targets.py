"""Lower `target` definitions."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from spacedsl.diagnostics import Diagnostic
from spacedsl.ir.target import Target
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.tables import missing_table, table_said
from spacedsl.syntax.tree import Node, Token

if TYPE_CHECKING:
    from spacedsl.lang.page import Page

UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def milliseconds(text: str) -> float | None:
    """`15ms`, `1.5s`, `800us` in milliseconds; None where the text is no time."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s)", text)
    return float(found[1]) * UNITS_MS[found[2]] if found else None


def lower_target(node: Node, page: Page, report: Report) -> Target:
    """A `target` definition. Whether its table and reference are there is for `target_errors`: a
    table may be made for a target that is read before."""
    for rule in ("device", "latency", "limits", "reference"):
        nodes = node.all(rule)
        if len(nodes) > 1:
            raise report.fail("duplicate-key", f"`{rule}` is said twice", nodes[1])
        if not nodes and rule != "reference":
            raise report.fail("missing-key", f"a target says its `{rule}`", node.token("NAME"))
    reference = node.first("reference")
    limits = [_limit(t, report) for t in node.get("limits").tokens("QUANTITY")]
    if len(set(limits)) < len(limits):
        raise report.fail("duplicate-value", "a limit is listed twice", node.get("limits"))
    return Target(
        name=node.token("NAME").text,
        device=node.get("device").token("STRING").text[1:-1],
        latency=table_said(node.get("latency").token("STRING").text[1:-1], page),
        limits_ms=tuple(sorted(limits)),
        reference=reference.token("NAME").text if reference else None,
    )


def target_errors(node: Node, page: Page) -> list[Diagnostic]:
    """What a sound `target` names that is not there: its table, its reference."""
    report = Report(page.source)
    missing = missing_table(node.get("latency").token("STRING"), page)
    if missing is not None:
        report.found.append(missing)
    said = node.first("reference")
    if said is not None and not page.holders(said.token("NAME").text, "space"):
        try:
            raise report.unknown("space", said.token("NAME"), page.loader.names_beside(page))
        except Abandon:
            pass
    return report.found


def _limit(token: Token, report: Report) -> float:
    limit = milliseconds(token.text)
    if limit is None or not 0 < limit < math.inf:
        raise report.fail("bad-value", f"{token.text[:12]} is not a time", token, "write 15ms")
    return limit
