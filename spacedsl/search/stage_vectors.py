"""What one elastic stage contributes to each of n random subnets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.search.block_tables import StagePlace, StageTables
from spacedsl.search.draws import Draws
from spacedsl.search.protocols import Coverage, Floats, Ints, StageLoss
from spacedsl.search.stage_facts import StageFacts

KINDS = len(Coverage) - 1
"""Kinds of coverage that have a latency."""


@dataclass(frozen=True, slots=True)
class StageVectors:
    """Latency in ms and NSR loss of one stage of n subnets, (n,) each, and how many of their
    latencies were measured, interpolated and estimated."""

    latency_ms: Floats
    loss: Floats
    counts: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.latency_ms.nbytes + self.loss.nbytes


def chained_vectors(
    facts: StageFacts, place: StagePlace, tables: StageTables, losses: StageLoss, draws: Draws
) -> StageVectors:
    """Scorer `model`: per subnet a depth, then each block's width and settings; its input width is
    the output width of the block before."""
    number, n = place.number, draws.count
    r = draws.resolution(place.resolutions)
    d = draws.depth(number, facts.depths)
    depth = np.array(facts.depths)[d]
    cin = place.upstream.index(draws)
    latency_ms: Floats = np.zeros(n)
    total: Floats = tables.base[cin, r, d]
    counts: Ints = np.zeros(KINDS, dtype=np.int64)
    for block in range(facts.deepest):
        width = facts.width_index(number, block, draws)
        combo = facts.combo_index(number, block, draws)
        there = np.flatnonzero(depth > block)
        at = (cin[there], width[there], r[there])
        k = combo[there]
        if block == 0:
            ms, origin = tables.first_ms[*at, k], tables.first_from[*at, k]
            terms = tables.first_loss[*at, d[there], 0, k]
        else:
            ms, origin = tables.other_ms[*at, k], tables.other_from[*at, k]
            terms = tables.other_loss[*at, d[there], block - 1, k]
        latency_ms[there] += ms
        total[there] += terms
        counts += np.bincount(origin, minlength=KINDS)
        cin = width
    loss = losses.link(total)
    return checked(facts, StageVectors(latency_ms, loss, tuple(counts.tolist())))


def row_vectors(
    facts: StageFacts, place: StagePlace, rows: list[tuple[Floats, Floats]], draws: Draws
) -> StageVectors:
    """Scorer `rows`: per subnet one row, of those at the subnet's resolution; `rows` has
    (latency in ms, loss), (R,) each, per resolution."""
    r = draws.resolution(place.resolutions)
    latency_ms: Floats = np.empty(draws.count)
    loss: Floats = np.empty(draws.count)
    for i, (row_ms, row_loss) in enumerate(rows):
        there = np.flatnonzero(r == i)
        row = draws.row(place.number, len(row_ms))[there]
        latency_ms[there], loss[there] = row_ms[row], row_loss[row]
    counts = (draws.count, *[0] * (KINDS - 1))
    return checked(facts, StageVectors(latency_ms, loss, counts))


def checked(facts: StageFacts, vectors: StageVectors) -> StageVectors:
    """`vectors`, whose losses must be positive numbers and latencies too, but for a stage that may
    do nothing."""
    for array, what in ((vectors.latency_ms, "latency"), (vectors.loss, "loss")):
        sound = np.isfinite(array) & (array >= 0 if what == "latency" else array > 0)
        if not sound.all():
            wrong = array[~sound][0]
            message = f"a {what} of {wrong:g} for {facts.block} in {facts.name}"
            raise fault("bad-table", message, "the tables are damaged, or fitted badly")
    return vectors
