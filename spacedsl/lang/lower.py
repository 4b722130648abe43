"""From the syntax tree of an item to the IR."""

from __future__ import annotations

from spacedsl.ir.item import Item
from spacedsl.lang.blocks import lower_block
from spacedsl.lang.models import lower_model
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.scope import Scope
from spacedsl.lang.spaces import lower_space
from spacedsl.lang.targets import lower_target
from spacedsl.syntax.tree import Node


def lower_item(node: Node, scope: Scope, report: Report) -> Item:
    """A block, hyperspace, space, model or target. Raises `SpaceError` with every error in it."""
    try:
        item = _lower(node, scope, report)
    except Abandon:
        report.raise_if_any()
        raise
    report.raise_if_any()
    return item


def _lower(node: Node, scope: Scope, report: Report) -> Item:
    match node.rule:
        case "block":
            return lower_block(node, scope.use_path, report)
        case "space":
            return lower_space(node, scope, report)
        case "model":
            return lower_model(node, scope, report)
        case _:
            return lower_target(node, scope, report)
