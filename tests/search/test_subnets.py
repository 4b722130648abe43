"""Evolution of subnets under limits, by made-up values."""

from __future__ import annotations

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import cost_range
from spacedsl.search.subnets import EvolutionSettings, search_subnets
from tests.runtime.training import PAGE
from tests.support import item_of


def mega(subnet: Subnet) -> float:
    return subnet_cost(subnet).flops / 1e6


def test_a_greater_limit_is_never_worse() -> None:
    """A faster subnet may be better than all that a limit's own window has: it keeps it too."""
    space = item_of(PAGE, "mini")
    assert isinstance(space, Space)
    flops = cost_range(space).flops
    span = flops.least / 1e6, flops.greatest / 1e6
    limits = tuple(span[0] + share * (span[1] - span[0]) for share in (1.0, 0.2, 0.6))
    plan = EvolutionSettings(population=8, rounds=2)
    valued: list[Subnet] = []

    def value(subnets: list[Subnet]) -> list[float]:
        valued.extend(subnets)
        return [-abs(mega(s) - limits[1]) for s in subnets]

    found = search_subnets(space, limits, span, mega, value, plan)  # type: ignore[arg-type]
    assert [best.limit_ms for best in found] == list(limits)
    assert all(best.ms == mega(best.subnet) <= best.limit_ms for best in found)
    assert len({best.subnet for best in found}) == 1
    most = max(-abs(mega(s) - limits[1]) for s in valued if mega(s) <= limits[1])
    assert found[0].value == most
