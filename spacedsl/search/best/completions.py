"""What can still follow in a hyperspace: for every latency that is left, the least loss of all
elastic stages from one on, whatever genes they have.

Latencies are rounded down to a grid, and losses to single precision, so the losses are at most the
true ones: a bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.search.best.line import Line, StageFront
from spacedsl.search.best.steps import Singles, least_after, steps_within
from spacedsl.search.candidate import Gene
from spacedsl.search.exact.executors import Executor
from spacedsl.search.protocols import Floats, Ints

STEPS, FEWEST = 4_096, 256
"""Steps of the grid up to the greatest limit, and the fewest where there is no memory for more."""

BYTES = 512 << 20
"""Memory for what can follow."""


class TimeUp(Exception):
    """The preparation of a search took longer than the whole search may."""


class Completions:
    """Of a line's hyperspace, under a greatest limit in ms. The executor makes the fronts of all
    genes, which the line keeps. Position b of the last axis stands for b steps that are left.
    Raises `TimeUp` at the time `end`."""

    def __init__(self, line: Line, most_ms: float, executor: Executor, end: float) -> None:
        self.steps = grid_steps(line)
        self.step_ms = most_ms / self.steps
        self._by_gene: list[Singles] = []
        after: Singles = np.zeros((len(line.resolutions), 1, self.steps + 1), dtype=np.float32)
        bare = line.layered(line.layers)
        for stage in reversed(range(line.stages)):
            ahead, genes, found = _Ahead(bare, stage, after, self.step_ms), line.genes(stage), []
            for gene, (front, least) in zip(genes, executor(_before, ahead, genes), strict=True):
                line.put(stage, gene, front)
                found.append(least)
                if time.monotonic() > end:
                    raise TimeUp
            self._by_gene.append(np.stack(found))
            after = self._by_gene[-1].min(axis=0)
        self._by_gene.reverse()

    def left(self, ms: Floats) -> Ints:
        """Steps within latencies in ms; -1 where there is nothing left."""
        return steps_within(ms, self.step_ms, self.steps)

    def follow(self, stage: int, r: int, cin: int, steps: Ints) -> Singles:
        """The least loss that a stage and all after it can have, (genes, P), one row for each gene
        of the stage, by the `steps` (P,) that are left, at least 0. `cin` is the place of the
        incoming width among all that may come in. The loss is inf where nothing is fast enough."""
        return self._by_gene[stage][:, r, cin].take(steps, axis=1)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A stage of a line, and the least loss after it, (R, W, steps + 1), by all its widths."""

    line: Line
    stage: int
    after: Singles
    step_ms: float


def _before(ahead: _Ahead, gene: Gene) -> tuple[StageFront, Singles]:
    """The fronts of one gene of a stage, and the least loss from the stage on, (R, C, steps +
    1)."""
    line, stage, found = ahead.line, ahead.stage, []
    front, window = line.front(stage, gene), line.window(stage, gene)
    for rows, rest in zip(front.fronts, ahead.after, strict=True):
        outs = rest[window] if line.carries[stage] else [rest[0] for _ in rows[0]]
        found.append([least_after(row, outs, ahead.step_ms) for row in rows])
    return front, np.array(found)


def grid_steps(line: Line) -> int:
    """As many as there is memory for. Raises `SpaceError` where there is not enough."""
    genes = sum(len(line.genes(stage)) * line.incoming(stage) for stage in range(line.stages))
    return steps_for(len(line.resolutions) * genes, line.genome.hyper.name)


def steps_for(rows: int, name: str) -> int:
    """As `grid_steps`, for so many rows of the hyperspace of a name: by gene, width in and
    resolution."""
    each, steps = 4 * rows, STEPS
    while steps > FEWEST and steps * each > BYTES:
        steps //= 2
    if steps * each > BYTES:
        message = (
            f"what can follow in `{name}` would take {steps * each / 1e9:.1f} "
            f"GB, and an optimum takes at most {BYTES / 1e9:.1f}"
        )
        help = "offer fewer blocks, widths or resolutions, or search it with `spacedsl evolve`"
        raise fault("not-searchable", message, help)
    return steps


def windows(line: Line, genes: Sequence[Gene]) -> slice:
    """The widths that come into the stage after some genes."""
    stage = len(genes) - 1
    return line.window(stage, genes[-1]) if genes and line.carries[stage] else slice(0, 1)
