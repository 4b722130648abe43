"""What a page says of targets that no search or export could use."""

from __future__ import annotations

from spacedsl.diagnostics import Diagnostic, SpaceError, fault, place
from spacedsl.ir.target import Target
from spacedsl.lang.page import Page
from spacedsl.runtimes.table import rules_of

AT = {"unknown-types": "types", "unknown-rule": "rules"}
"""Code of an error -> the key that it is about; `runtime`, else `device`, for others."""

HERE = "this machine"
"""What `device` says of where this runs; a page that says another place has other latencies."""


def said_errors(page: Page) -> tuple[Diagnostic, ...]:
    """Runtimes, data types and rules that a page's targets name and nothing here knows."""
    found: list[Diagnostic] = []
    for name, target in _targets(page):
        try:
            rules_of(target)
        except SpaceError as error:
            node = page.items[name]
            for wrong in error.diagnostics:
                at = node.first(AT.get(wrong.code, "runtime")) or node.get("device")
                where = place(page.source, at.span)
                found.append(Diagnostic(wrong.code, wrong.message, where, wrong.help))
    return tuple(found)


def require_host(target: Target, where: str | None) -> None:
    """Raises `SpaceError` where a page describes another device, and that is not said to be at
    `where`: this machine's latencies are not its."""
    if where is None and elsewhere(target):
        message = (
            f'target `{target.name}` describes "{target.device}": `latency profile` would measure '
            "this machine"
        )
        help = (
            f"measure there: --on ssh://USER@HOST; or name a carried profile in the page; or say "
            f"`{HERE}` in its `device`"
        )
        raise fault("another-device", message, help)


def elsewhere(target: Target) -> list[str]:
    """A warning where a page describes a device, but takes the latencies of this machine."""
    if not target.measured or HERE in target.device.lower():
        return []
    return [
        f'target `{target.name}` describes "{target.device}", but `latency profile` is what the '
        f"machine that runs spacedsl measures; say `{HERE}` in `device`, or name a table or the "
        "profile of that device"
    ]


def _targets(page: Page) -> list[tuple[str, Target]]:
    """The sound targets of a page."""
    found: list[tuple[str, Target]] = []
    for name in page.names:
        if page.kind(name) == "target" and name not in page.broken:
            try:
                item = page.get(name)
            except SpaceError:
                continue
            if isinstance(item, Target):
                found.append((name, item))
    return found
