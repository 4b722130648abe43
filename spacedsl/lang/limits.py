"""Lower `limit`: the most that a network of a space may cost."""

from __future__ import annotations

import re
from decimal import Decimal

from spacedsl.diagnostics import Diagnostic, place
from spacedsl.ir.space import Limit, Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.report import Report
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.memory import subnet_memory
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source
from spacedsl.vocabulary import scaled_amount

COSTS = ("flops", "params", "memory")
SCALES = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
MOST = 10**15


def lower_limit(node: Node | None, parent: Space | None, report: Report) -> Limit | None:
    """The limit that an item says, with its parent's for what it does not say. Raises `Abandon`."""
    inherited = parent.limit if parent else None
    if node is None:
        return inherited
    said: dict[str, int] = {}
    amounts = [t for t in node.tokens() if t.type in ("QUANTITY", "INT")]
    for name, token in zip(node.tokens("NAME"), amounts, strict=True):
        scaled = scaled_amount(name.text, token.text)
        if name.text not in COSTS and scaled is not None:
            fixes = [(f"write `{scaled}`", name.span.to(token.span), scaled)]
            message, help = f"unknown cost `{name.text}`", f"write `{scaled}`"
            raise report.fail("unknown-cost", message, name, help, fixes)
        if name.text not in COSTS:
            raise report.unknown("cost", name, COSTS)
        if name.text in said:
            raise report.fail("duplicate-key", f"`{name.text}` is said twice", name, "keep one")
        amount = said[name.text] = _amount(token, report)
        above = getattr(inherited, name.text) if inherited else None
        if above is not None and amount > above and parent is not None:
            message = f"{token.text} {name.text}, but {parent.name} has at most {above:,}"
            raise report.fail("bad-value", message, token)
    return (inherited or Limit()).model_copy(update=said)


def _amount(token: Token, report: Report) -> int:
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMG]?)", token.text)
    amount = Decimal(found[1]) * SCALES[found[2]] if found else Decimal(0)
    if not 0 < amount <= MOST or amount != int(amount):
        raise report.fail("bad-value", f"{token.text[:20]} is no amount", token, "write 600M or 6G")
    return int(amount)


def check_limit(space: Space, node: Node, report: Report) -> None:
    """Report where a space's largest network costs more than its limit, or every network of a
    hyperspace does."""
    if space.limit is None:
        return
    if space.kind == "hyperspace":
        _check_any(space, space.limit, node, report)
        return
    from spacedsl.passes.extremes import cost_range  # numpy, which other pages need not wait for

    costs = cost_range(space)
    for cost in COSTS:
        most, greatest = getattr(space.limit, cost), getattr(costs, cost).greatest
        if most is not None and greatest > most:
            unit = "bytes of memory" if cost == "memory" else cost
            message = f"a network of `{space.name}` has {greatest:,} {unit}, more than {most:,}"
            at = node.first("limit") or node.token("NAME")
            report.error("over-limit", message, at, "narrow the space, or raise the limit")


def _check_any(space: Space, limit: Limit, node: Node, report: Report) -> None:
    """Report a limit that no network of a hyperspace keeps."""
    from spacedsl.passes.extremes import least_costs

    for cost, least, most in _over(limit, least_costs(space)):
        message = (
            f"the least {cost} of a network of `{space.name}` is {least:,}, more than {most:,}"
        )
        help = "raise the limit, or let the space have smaller networks"
        report.error("over-limit", message, node.first("limit") or node.token("NAME"), help)


def limit_warnings(space: Space, node: Node, source: Source) -> list[Diagnostic]:
    """Where a hyperspace has networks within its limit, but no space all of whose networks are,
    which is what searches look for."""
    if space.limit is None or space.kind == "space":
        return []
    at = node.first("limit") or node.token("NAME")
    help = "raise the limit, or let the space have smaller networks; no search finds a space here"
    from spacedsl.passes.extremes import least_greatest  # numpy, as above

    return [
        Diagnostic(
            "over-limit",
            f"every space of `{space.name}` has a network of {least:,} {cost} or more, so none "
            f"keeps the limit of {most:,}",
            place(source, at.span),
            help,
            severity="warning",
        )
        for cost, least, most in _over(space.limit, least_greatest(space))
    ]


def _over(limit: Limit, costs: tuple[int, ...]) -> list[tuple[str, int, int]]:
    """The costs (in the order of `COSTS`) that are over the limit, with what it allows."""
    said = [(cost, found, getattr(limit, cost)) for cost, found in zip(COSTS, costs, strict=True)]
    return [(cost, found, most) for cost, found, most in said if most is not None and found > most]


def keeps_limit(subnet: Subnet, limit: Limit | None) -> bool:
    """Whether a network costs no more than a limit says."""
    if limit is None:
        return True
    cost = subnet_cost(subnet)
    return not _over(limit, (cost.flops, cost.params, subnet_memory(subnet)))


def written(limit: Limit) -> str:
    """As a page says it."""
    amounts = [(cost, getattr(limit, cost)) for cost in COSTS]
    return "limit " + ", ".join(f"{c} {_short(n)}" for c, n in amounts if n is not None)


def _short(amount: int) -> str:
    for letter in ("G", "M", "K"):
        scale = SCALES[letter]
        if amount >= scale and amount % (scale // 1_000) == 0:
            return f"{(Decimal(amount) / scale).normalize():f}{letter}"
    return str(amount)
