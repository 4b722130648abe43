"""Two elastic stages in a row as one: what no other configuration of both beats.

For many multipliers m the least `loss + m ms` of a part is known too. Such least values add over
parts, so the greatest of `sum - m limit` over the multipliers bounds from below what any network
under a limit loses (Lagrange's relaxation): a bound for the price of a few additions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacedsl.search.best.line import Line
from spacedsl.search.best.shelf import Column, Part, Shelf
from spacedsl.search.candidate import Gene, Genotype
from spacedsl.search.exact.front import Front, unbeaten
from spacedsl.search.protocols import Floats, Ints

PART_BYTES = 384 << 20
"""Memory for parts."""

PAIR = 2
"""Stages of a part. Where several best networks are asked for, a part is one stage: what two stages
must keep then is too much."""

MULTIPLIERS = np.concatenate([[0.0], np.geomspace(1e-2, 1e2, 64)])
"""In units of the spread of losses over the greatest limit; the optimum's is about 1."""


class Parts:
    """The parts of spaces of a line, kept by the genes and the width in that they depend on: spaces
    share them although the windows before them differ. `multipliers` (M,) in loss per ms; `near`:
    what is known apart of configurations whose sum is at most so much above the least one."""

    def __init__(self, line: Line, multipliers: Floats, near: float) -> None:
        self.line, self.multipliers, self.near = line, multipliers, near
        self.span = PAIR if line.layers == 1 else 1
        self.count = -(-line.stages // self.span)
        self._shelves = [Shelf() for _ in range(self.count)]

    def columns(self, genotypes: Sequence[Genotype]) -> list[Column]:
        """The parts of some spaces, from the input on, by the widths that may come in there."""
        numbers = self._numbers(genotypes)
        if sum(shelf.nbytes for shelf in self._shelves) > PART_BYTES:
            self._shelves = [Shelf() for _ in range(self.count)]
            numbers = self._numbers(genotypes)
        return [
            shelf.column(np.array(rows)) for shelf, rows in zip(self._shelves, numbers, strict=True)
        ]

    def _numbers(self, genotypes: Sequence[Genotype]) -> list[list[list[int]]]:
        return [[self._kept(i, genotype) for genotype in genotypes] for i in range(self.count)]

    def _kept(self, i: int, genotype: Genotype) -> list[int]:
        """The numbers of a part of a space, by width in; they are made where they are not kept."""
        genes, window = self._genes(i, genotype)
        shelf, found = self._shelves[i], []
        for cin in range(*window):
            number = shelf.number((cin, genes))
            if number is None:
                number = shelf.put((cin, genes), self._made(i, genes, cin))
            found.append(number)
        return found

    def _genes(self, i: int, genotype: Genotype) -> tuple[tuple[Gene, ...], tuple[int, int]]:
        """The genes of a part, and which of the widths come in: from, to."""
        before = self.span * i - 1
        window = (0, 1)
        if i and self.line.carries[before]:
            widths = self.line.window(before, genotype[before])
            window = (widths.start, widths.stop)
        return genotype[self.span * i : self.span * (i + 1)], window

    def _made(self, i: int, genes: tuple[Gene, ...], cin: int) -> Part:
        line, last = self.line, self.span * i + len(genes) - 1
        rows: list[tuple[Floats, Floats, Ints]] = []
        outs: list[list[int]] = []
        for r in range(len(line.resolutions)):
            found = [
                _pruned(*_summed(ways), line.layers) for ways in self._ways(i, genes, (r, cin))
            ]
            if not line.carries[last]:
                ms, loss, way = (np.concatenate(a) for a in zip(*found, strict=True))
                found = [_pruned(ms, loss, way, line.layers)]
            outs.append([len(ms) for ms, _, _ in found])
            rows += found
        sizes = np.array(outs)
        ms, loss, way = (np.concatenate(a) for a in zip(*rows, strict=True))
        begin = np.concatenate([[0], np.cumsum(sizes)])
        sums = loss + self.multipliers[:, None] * ms
        some = np.flatnonzero(sizes)
        least = np.full((len(sums), sizes.size), np.inf)
        least[:, some] = np.minimum.reduceat(sums, begin[some], axis=1)
        least_ms = np.full(sizes.size, np.inf)
        least_ms[some] = np.minimum.reduceat(ms, begin[some])
        near = np.flatnonzero(sums <= np.repeat(least, sizes.ravel(), axis=1) + self.near)
        first = np.arange(len(sums))[:, None] * len(ms)
        return Part(
            ms=ms,
            loss=loss,
            way=way,
            begin=begin,
            near=near % len(ms),
            near_begin=np.searchsorted(near, first + begin),
            least=least.T.reshape(*sizes.shape, len(sums)),
            least_ms=least_ms.reshape(sizes.shape),
        )

    def _ways(
        self, i: int, genes: tuple[Gene, ...], at: tuple[int, int]
    ) -> list[list[tuple[int, Front, Front | None]]]:
        """Per width out, what leads there at (resolution, width in): numbered from 0 through all
        combinations of all widths out, the number of the first one beside each pair of fronts."""
        (r, cin), number = at, 0
        stage = self.span * i
        first = self.line.front(stage, genes[0]).fronts[r][cin]
        if len(genes) == 1:
            found: list[list[tuple[int, Front, Front | None]]] = []
            for front in first:
                found.append([(number, front, None)])
                number += len(front.ms)
            return found
        then = self.line.front(stage + 1, genes[1]).fronts[r]
        start = self.line.window(stage, genes[0]).start
        carries = self.line.carries[stage]
        found = [[] for _ in then[0]]
        for out, ways in enumerate(found):
            for middle, front in enumerate(first):
                other = then[start + middle if carries else 0][out]
                ways.append((number, front, other))
                number += len(front.ms) * len(other.ms)
        return found

    def blocks(self, i: int, genotype: Genotype, at: tuple[int, int], way: int) -> list[Ints]:
        """The blocks of each stage of a part's configuration, as a `Front` has them, by the `way`
        it was numbered with; `at`: resolution, and width in of those that may come in here."""
        genes, window = self._genes(i, genotype)
        ways = self._ways(i, genes, (at[0], window[0] + at[1]))
        for number, front, then in (w for out in ways for w in out):
            size = len(front.ms) * (1 if then is None else len(then.ms))
            if way < number + size:
                if then is None:
                    return [front.blocks[way - number]]
                a, b = divmod(way - number, len(then.ms))
                return [front.blocks[a], then.blocks[b]]
        raise AssertionError("ways are numbered through")


def _summed(ways: list[tuple[int, Front, Front | None]]) -> tuple[Floats, Floats, Ints]:
    """Latency, loss and number of every combination."""
    ms, loss, way = [], [], []
    for number, front, then in ways:
        if then is None:
            ms.append(front.ms)
            loss.append(front.loss)
        else:
            ms.append(np.add.outer(front.ms, then.ms).ravel())
            loss.append(np.add.outer(front.loss, then.loss).ravel())
        way.append(np.arange(number, number + len(ms[-1]), dtype=np.int32))
    return np.concatenate(ms), np.concatenate(loss), np.concatenate(way)


def _pruned(ms: Floats, loss: Floats, way: Ints, layers: int) -> tuple[Floats, Floats, Ints]:
    at = unbeaten(ms, loss, layers)
    return ms[at], loss[at], way[at]
