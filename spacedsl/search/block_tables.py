"""Latencies and loss terms of a stage's blocks, by width in and width out.

A table is asked once per block type, place and pair of widths; windows put the pairs together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.ir.space import Settings
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site
from spacedsl.search.protocols import (
    Coverage,
    Floats,
    Ints,
    LatencyModel,
    QualityModel,
    StageLoss,
)
from spacedsl.search.stage_facts import StageFacts, Upstream

Pair = tuple[int, int]
"""Channels in, channels out."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Where an elastic stage stands: its number (from 1), what comes in, and at each of the R
    network resolutions the height in pixels of its input (`sizes`) and output (`out_sizes`)."""

    number: int
    upstream: Upstream
    resolutions: tuple[Size, ...]
    sizes: tuple[Size, ...]
    out_sizes: tuple[Size, ...]


class PairTable:
    """Arrays by pair of widths; `compute` makes those of M pairs, (M, ...), at once."""

    def __init__(self, compute: Callable[[Sequence[Pair]], Floats]) -> None:
        self._compute = compute
        self._known: dict[Pair, Floats] = {}

    def grid(self, cins: Sequence[int], couts: Sequence[int]) -> Floats:
        """(C, W, ...) of every pair of `cins` (C,) and `couts` (W,)."""
        pairs = [(cin, cout) for cin in cins for cout in couts]
        self._fill(pairs)
        stacked = np.stack([self._known[pair] for pair in pairs])
        return stacked.reshape(len(cins), len(couts), *stacked.shape[1:])

    def diagonal(self, widths: Sequence[int]) -> Floats:
        """(W, W, ...) of pairs that keep the width; NaN elsewhere."""
        self._fill([(width, width) for width in widths])
        first = self._known[widths[0], widths[0]]
        grid = np.full((len(widths), len(widths), *first.shape), np.nan)
        for i, width in enumerate(widths):
            grid[i, i] = self._known[width, width]
        return grid

    def _fill(self, pairs: Iterable[Pair]) -> None:
        missing = [pair for pair in pairs if pair not in self._known]
        if missing:
            self._known.update(zip(missing, self._compute(missing), strict=True))


@dataclass(frozen=True, slots=True)
class StageTables:
    """Tables of one elastic stage in its place, for C widths in, W widths, R resolutions, D
    depths, P blocks at most, K settings. NaN where there is nothing such.

    `first_ms` (C, W, R, K), `other_ms` (W, W, R, K): latencies in ms of the first block and of the
    others; `first_from`, `other_from`: their `Coverage`, same shapes. `base` (C, R, D): constants
    of the loss; `first_loss` (C, W, R, D, 1, K), `other_loss` (W, W, R, D, P-1, K): terms."""

    first_ms: Floats
    first_from: Ints
    other_ms: Floats
    other_from: Ints
    base: Floats
    first_loss: Floats
    other_loss: Floats


class BlockTables:
    """What has been asked of a latency model and a quality model so far."""

    def __init__(self, latency: LatencyModel, quality: QualityModel) -> None:
        self._latency, self._quality = latency, quality
        self._tables: dict[Hashable, PairTable] = {}
        self._losses: dict[Hashable, StageLoss | None] = {}

    def stage_loss(self, number: int, facts: StageFacts) -> StageLoss | None:
        """The losses of elastic stage `number` with this block type, or None."""
        key = (number, facts.choice_id)
        if key not in self._losses:
            self._losses[key] = self._quality.stage(number, facts.choice)
        return self._losses[key]

    def stage(self, facts: StageFacts, place: StagePlace, losses: StageLoss) -> StageTables:
        """The tables of a stage of a space in its place."""
        upstream, widths = place.upstream.widths, facts.widths

        def pairs(first: bool, table: PairTable) -> Floats:
            if first:
                return table.grid(upstream, widths)
            return table.diagonal(widths) if facts.shared_width else table.grid(widths, widths)

        first = pairs(True, self._latencies(facts, place.sizes, facts.stride))
        first_loss = pairs(True, self._terms(facts, place, losses, (0,)))
        later = tuple(range(1, facts.deepest))
        if later:
            other = pairs(False, self._latencies(facts, place.out_sizes, 1))
            other_loss = pairs(False, self._terms(facts, place, losses, later))
        else:
            other = np.zeros((len(widths), len(widths), *first.shape[2:]))
            other_loss = np.empty((len(widths), len(widths), *first_loss.shape[2:4], 0, 0))
        base = self._bases(facts, place, losses).grid(upstream, (0,))
        return StageTables(
            first_ms=first[..., 0],
            first_from=_coverage(first),
            other_ms=other[..., 0],
            other_from=_coverage(other),
            base=base[:, 0],
            first_loss=first_loss,
            other_loss=other_loss,
        )

    def _latencies(self, facts: StageFacts, sizes: tuple[Size, ...], stride: Size) -> PairTable:
        key = ("latency", facts.choice_id, sizes, stride)
        if key not in self._tables:

            def compute(pairs: Sequence[Pair]) -> Floats:
                return _predict(self._latency, facts, sizes, stride, pairs)

            self._tables[key] = PairTable(compute)
        return self._tables[key]

    def _bases(self, facts: StageFacts, place: StagePlace, losses: StageLoss) -> PairTable:
        resolutions = place.resolutions
        key = ("base", place.number, facts.choice_id, resolutions, facts.depths)
        if key not in self._tables:

            def compute(pairs: Sequence[Pair]) -> Floats:
                cins = np.array([cin for cin, _ in pairs], dtype=np.int64)
                base = [[losses.base(r, d, cins) for d in facts.depths] for r in resolutions]
                return np.moveaxis(np.array(base), 2, 0)

            self._tables[key] = PairTable(compute)
        return self._tables[key]

    def _terms(
        self, facts: StageFacts, place: StagePlace, losses: StageLoss, positions: tuple[int, ...]
    ) -> PairTable:
        number, resolutions = place.number, place.resolutions
        key = ("loss", number, facts.choice_id, resolutions, facts.depths, positions)
        if key not in self._tables:

            def compute(pairs: Sequence[Pair]) -> Floats:
                return _loss_terms(losses, facts, resolutions, positions, pairs)

            self._tables[key] = PairTable(compute)
        return self._tables[key]


def _coverage(latencies: Floats) -> Ints:
    return np.nan_to_num(latencies[..., 1], nan=Coverage.UNCOVERED).astype(np.int64)


def _predict(
    model: LatencyModel,
    facts: StageFacts,
    sizes: Sequence[Size],
    stride: Size,
    pairs: Sequence[Pair],
) -> Floats:
    """(M, R, K, 2): latency in ms and coverage of each pair, resolution and setting."""
    sites = [
        Site(facts.choice, cin, cout, size, stride, combo)
        for cin, cout in pairs
        for size in sizes
        for combo in facts.combos
    ]
    found = model.predict(sites)
    both = np.stack([found.ms, found.coverage.astype(np.float64)], axis=-1)
    both[found.coverage == Coverage.UNCOVERED, 0] = np.nan
    return both.reshape(len(pairs), len(sizes), len(facts.combos), 2)


def _loss_terms(
    losses: StageLoss,
    facts: StageFacts,
    resolutions: Sequence[Size],
    positions: Sequence[int],
    pairs: Sequence[Pair],
) -> Floats:
    """(M, R, D, P, K): loss terms of blocks at `positions`; 0 where a depth has no such block."""
    count, combos = len(pairs), len(facts.combos)
    cin, width = np.repeat(np.array(pairs, dtype=np.int64), combos, axis=0).T
    settings = {name: np.tile(column, count) for name, column in facts.columns().items()}
    terms = np.zeros((count, len(resolutions), len(facts.depths), len(positions), combos))
    for r, resolution in enumerate(resolutions):
        for d, depth in enumerate(facts.depths):
            for p, position in enumerate(positions):
                if position < depth:
                    found = losses.terms(resolution, depth, position, cin, width, settings)
                    terms[:, r, d, p] = found.reshape(count, combos)
    return terms


def missing_entries(facts: StageFacts, place: StagePlace, tables: StageTables) -> list[str]:
    """What `tables` do not hold, in words."""
    gaps: list[str] = []
    cins, couts = place.upstream.widths, facts.widths
    at = [f"at {r}" for r in place.resolutions]
    for array, role, rows in (
        (tables.first_ms, "first block", cins),
        (tables.other_ms, "block", couts),
    ):
        if role == "block" and facts.deepest == 1:
            continue
        for c, w, r, k in np.argwhere(np.isnan(array)).tolist():
            if role == "first block" or not facts.shared_width or c == w:
                sizes = f"{rows[c]} -> {couts[w]}{_spelled(facts.combos[k])} {at[r]}"
                gaps.append(f"{facts.name} {facts.block}: latency of a {role} {sizes}")
    for c, r, d in np.argwhere(np.isnan(tables.base)).tolist():
        sizes = f"{cins[c]} channels in, depth {facts.depths[d]} {at[r]}"
        gaps.append(f"{facts.name} {facts.block}: loss of {sizes}")
    for array, first, rows in ((tables.first_loss, 0, cins), (tables.other_loss, 1, couts)):
        for c, w, r, d, p, k in np.argwhere(np.isnan(array)).tolist():
            if not first or not facts.shared_width or c == w:
                which = f"block {first + p + 1} of {facts.depths[d]}"
                sizes = f"{rows[c]} -> {couts[w]}{_spelled(facts.combos[k])} {at[r]}"
                gaps.append(f"{facts.name} {facts.block}: loss of {which}, {sizes}")
    return gaps


def _spelled(settings: Settings) -> str:
    return "".join(f" {name} {value}" for name, value in settings)
