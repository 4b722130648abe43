"""How a search values subnets: with accuracies of its journal, or by the supernet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from spacedsl.cli.runs import counting_bar
from spacedsl.flows.deployment import Valued
from spacedsl.ir.subnet import Subnet

if TYPE_CHECKING:
    from spacedsl.search.exact.task_log import TaskLog
    from spacedsl.search.subnets import Best
    from spacedsl_runtime.train.choose import Chooser

Valuing = Callable[[Sequence[Subnet]], list[float]]


def searched(
    run: Callable[[Valuing], tuple[Best, ...]],
    chooser: Chooser,
    log: TaskLog,
    most: int,
    ms: Callable[[Subnet], float],
    *,
    quiet: bool,
) -> tuple[tuple[Best, ...], tuple[Valued, ...]]:
    """The search, with accuracies of the journal, to which new ones are added. `most`: how many
    subnets it asks for at most. Also all that it valued, with latencies by `ms`."""
    valued: dict[str, Valued] = {}
    done = 0
    bar: AbstractContextManager[Callable[[int], None]]
    bar = counting_bar("searching", most, quiet=quiet)
    with bar as advance:

        def value(subnets: Sequence[Subnet]) -> list[float]:
            nonlocal done
            found: list[float] = []
            for subnet in subnets:
                found.append(_value(subnet, chooser, log))
                key = key_of(subnet)
                valued[key] = Valued(key, ms(subnet), found[-1])
                done += 1
                advance(done)
            return found

        return run(value), tuple(valued.values())


def _value(subnet: Subnet, chooser: Chooser, log: TaskLog) -> float:
    key = key_of(subnet)
    if key not in log.held:
        log.held[key] = chooser.value(subnet)
        log.append(key, log.held[key])
    value = log.held[key]
    if type(value) is not float or not 0 <= value <= 1:
        raise log.malformed(key, f"{value!r} is no accuracy")
    return value


def key_of(subnet: Subnet) -> str:
    """A subnet of a known space in few words: resolution; per stage the blocks' values."""
    stages = (
        ",".join(
            " ".join([str(b.width), *(str(s.value) for s in b.settings)]) for b in stage.blocks
        )
        for stage in subnet.stages
    )
    return ";".join((str(subnet.resolution), *stages))
