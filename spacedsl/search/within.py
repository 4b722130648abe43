"""Which spaces of a hyperspace keep its limit: the greatest FLOPs, parameters and memory of any of
their networks, exact, from sums over stages that are worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from spacedsl.ir.space import Space, Stage
from spacedsl.passes.bind import Site
from spacedsl.passes.costs import costs
from spacedsl.passes.extremes import held, joined, transitions, walk
from spacedsl.search.protocols import Floats

Gene = tuple[int, int]
Alternatives = tuple[tuple[tuple[Stage, ...], ...], ...]


class Within:
    """Of a hyperspace with a limit. Sums are negated, (3, widths): FLOPs, parameters and memory by
    the width that goes out of some stages, or comes into them."""

    def __init__(self, hyper: Space, alternatives: Alternatives) -> None:
        if hyper.limit is None:
            raise ValueError(f"{hyper.name} has no limit")
        said = hyper.limit.flops, hyper.limit.params, hyper.limit.memory
        self._most = np.array([np.inf if most is None else most for most in said])
        self._alternatives = alternatives
        self._stages = list(walk(hyper, hyper.resolutions[-1:]))
        self._elastic = hyper.elastic
        self._steps: dict[tuple[int, Gene | None], Floats] = {}

    def keeps(self, genes: Sequence[Gene]) -> bool:
        """Whether no network of a space, by its gene per elastic stage, costs more."""
        chosen = dict(zip(self._elastic, genes, strict=True))
        state = self._through(self._steps_of(chosen, 0, len(self._stages), 0))
        return bool((-state.min(axis=1) <= self._most).all())

    def exceeds(self, genes: Sequence[Gene]) -> bool:
        """Whether some network of every space that begins with `genes` costs more already before
        the next elastic stage."""
        return bool((-self.head(genes).min(axis=1) > self._most).any())

    def head(self, genes: Sequence[Gene]) -> Floats:
        """From the input to the elastic stage of the last of `genes`, by the width that goes out;
        without genes, up to the first elastic stage."""
        chosen = dict(zip(self._elastic, genes, strict=False))
        stop = max(chosen) + 1 if chosen else self._elastic[0]
        return self._through(self._steps_of(chosen, 0, stop, 0))

    def tail(self, window: int, genes: Sequence[Gene]) -> Floats:
        """From the elastic stage of the first of `genes` to the end, by the width that comes in,
        one of those of window `window` of the elastic stage right before it."""
        chosen = dict(zip(self._elastic[-len(genes) :], genes, strict=True))
        steps = list(self._steps_of(chosen, min(chosen), len(self._stages), window))
        state: Floats = np.zeros((3, steps[-1].shape[2]))
        for step in reversed(steps):
            state = joined(step, state[:, None]).min(axis=2)
        return state

    def over(self, heads: Sequence[Floats], tails: Sequence[Floats]) -> NDArray[np.bool_]:
        """(heads, tails): whether the space of a head and a tail has a network that costs more."""
        left, right = np.stack(heads, axis=1), np.stack(tails, axis=1)  # (3, N, C)
        found = np.zeros((left.shape[1], right.shape[1]), dtype=bool)
        for c in range(left.shape[2]):
            sums = joined(left[:, :, None, c], right[:, None, :, c])
            found |= (-sums > self._most[:, None, None]).any(axis=0)
        return found

    def _steps_of(
        self, chosen: Mapping[int, Gene], start: int, stop: int, window: int
    ) -> Iterator[Floats]:
        """Of the stages from `start` to before `stop`, by the widths there are: those of the window
        of an elastic stage before (`window` where it is not among the `chosen`, by position)."""
        for position in range(start, stop):
            step = self._step(position, chosen.get(position))
            before = position - 1
            if before in self._elastic:
                at = chosen[before][1] if before in chosen else window
                widths = self._alternatives[self._elastic.index(before)][0][at].widths
                known = self._stages[position][1]
                step = step[:, [known.index(width) for width in widths]]
            yield step

    @staticmethod
    def _through(steps: Iterator[Floats]) -> Floats:
        state: Floats = np.zeros((3, 1))
        for step in steps:
            state = joined(state[:, :, None], step).min(axis=1)
        return state

    def _step(self, position: int, gene: Gene | None) -> Floats:
        key = position, gene
        if key not in self._steps:
            stage, cins, sizes, kept = self._stages[position]
            if gene is not None:
                block, window = gene
                stage = self._alternatives[self._elastic.index(position)][block][window]
            steps = transitions(stage, cins, sizes, _greatest, joined)
            self._steps[key] = held(steps, kept)[:, 0]
        return self._steps[key]


def _greatest(sites: Sequence[Site]) -> Floats:
    """Greatest FLOPs, parameters and memory, negated, as `transitions` minimises."""
    return costs(sites)[[1, 3, 7]]
