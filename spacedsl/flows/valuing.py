"""How a search values subnets: with accuracies of its journal, or by the supernet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spacedsl.flows.deployment import Valued
from spacedsl.flows.watch import Show
from spacedsl.ir.subnet import Subnet

if TYPE_CHECKING:
    from spacedsl.search.exact.task_log import TaskLog


@dataclass(slots=True)
class Valuing:
    """Values subnets by `accuracy`, each once, or as the journal `log` says. `valued`: all so far,
    by their words, with latencies by `ms`. `show` is told how many were asked for."""

    accuracy: Callable[[Subnet], float]
    log: TaskLog
    ms: Callable[[Subnet], float]
    show: Show
    asked: int = 0
    valued: dict[str, Valued] = field(default_factory=dict)

    def __call__(self, subnets: Sequence[Subnet]) -> list[float]:
        """Their accuracies. Raises `SpaceError` where the journal holds something else."""
        return [self._value(subnet) for subnet in subnets]

    def _value(self, subnet: Subnet) -> float:
        words, held = key_of(subnet), self.log.held
        if words not in held:
            held[words] = self.accuracy(subnet)
            self.log.append(words, held[words])
        value = held[words]
        if type(value) is not float or not 0 <= value <= 1:
            raise self.log.malformed(words, f"{value!r} is no accuracy")
        self.valued[words] = Valued(words, self.ms(subnet), value)
        self.asked += 1
        self.show(self.asked)
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
