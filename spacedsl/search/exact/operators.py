"""What one elastic stage does to the joint distribution of latency and loss: transforms by the
width that comes in and the width that goes out (see `grid`).

A block's latency and loss term are added to those before, so a depth is a product of matrices over
widths at every pair of frequencies, exactly. The link from a stage's sum u to its loss l is not
linear: exp(-q link(u)) is written as a sum of exp(w u) over the range of u, by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.search.block_tables import StageTables
from spacedsl.search.exact.grid import Complexes, Extent, Grid
from spacedsl.search.exact.shifted import ShiftedLoss
from spacedsl.search.protocols import Floats, Ints, StageLoss
from spacedsl.search.stage_facts import StageFacts

LINK_PERIOD = 1.25
"""Period of the exponentials over the range of u: what lies outside is free."""

LINK_SAMPLES = 6
"""Points of the fit of the link, per frequency on one side."""

LINK_CUTOFF = 1e-11
"""Relative size of the singular values that the fit leaves out."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and greatest of a stage, for R resolutions, C widths in, W widths out: latency in ms
    and the sum before the link (scorer `rows`: the loss itself), (R, C, W) each."""

    least_ms: Floats
    most_ms: Floats
    least: Floats
    most: Floats


@dataclass(frozen=True, slots=True)
class StageOperator:
    """Transforms of a stage, (R, C, W, K + 1, 2 J + 1), and its least loss, (R, C, W)."""

    transform: Complexes
    least_loss: Floats

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.transform.nbytes + self.least_loss.nbytes


def model_bounds(facts: StageFacts, tables: StageTables) -> Bounds:
    """Bounds of a stage of scorer `model`, by dynamic programming over its blocks."""
    parts: list[Bounds] = []
    for d, depth in enumerate(facts.depths):
        arrays: list[Floats] = []
        for latency in (True, False):
            first = tables.first_ms if latency else tables.first_loss[:, :, :, d, 0]
            base = 0.0 if latency else tables.base[:, :, d].T[:, :, None]
            for low in (True, False):
                total = base + _extreme(first, low)
                for p in range(1, depth):
                    later = tables.other_ms if latency else tables.other_loss[:, :, :, d, p - 1]
                    step = _kept(_extreme(later, low), facts, np.inf if low else -np.inf)
                    sums = total[:, :, :, None] + step[:, None]
                    total = sums.min(axis=2) if low else sums.max(axis=2)
                arrays.append(total)
        parts.append(Bounds(*arrays))
    return Bounds(
        least_ms=np.min([p.least_ms for p in parts], axis=0),
        most_ms=np.max([p.most_ms for p in parts], axis=0),
        least=np.min([p.least for p in parts], axis=0),
        most=np.max([p.most for p in parts], axis=0),
    )


def _extreme(array: Floats, low: bool) -> Floats:
    """(R, C, W) of (C, W, R, K)."""
    found: Floats = array.min(axis=-1) if low else array.max(axis=-1)
    return np.moveaxis(found, 2, 0)


def _kept(step: Floats, facts: StageFacts, otherwise: float) -> Floats:
    """`step` (R, W, W), with `otherwise` where a shared width would change."""
    if not facts.shared_width:
        return step
    same = np.eye(step.shape[-1], dtype=bool)
    return np.where(same, step, otherwise)


def model_operator(
    facts: StageFacts, tables: StageTables, losses: StageLoss, grid: Grid
) -> StageOperator:
    """The operator of a stage of scorer `model`; rows are the C widths that may come in."""
    bounds = model_bounds(facts, tables)
    low, high = bounds.least.min(axis=2), bounds.most.max(axis=2)
    middle = (low + high) / 2  # (R, C)
    w, coefficients = fit_link(losses, middle, float((high - low).max()), grid)
    total: Complexes | None = None
    groups = shared_groups(facts)
    for kept in groups:
        for d, depth in enumerate(facts.depths):
            part = _chain(facts, tables, (d, depth), kept, grid.s, w, middle)
            total = part if total is None else total + part
    if total is None:
        raise AssertionError("a stage has a depth")
    scaled = total / (len(groups) * len(facts.depths))
    transform = np.moveaxis(scaled, (3, 4), (1, 2)) @ coefficients[:, :, None]  # (R, C, W, s, q)
    least_loss = losses.link(bounds.least)
    if not (
        np.isfinite(transform).all()
        and (isinstance(losses, ShiftedLoss) or (least_loss > 0).all())
        and (bounds.least_ms > 0).all()
    ):
        message = f"a latency or loss of {facts.block} in {facts.name} is not positive"
        raise fault("bad-table", message, "the tables are damaged, or fitted badly")
    return StageOperator(np.ascontiguousarray(transform), least_loss)


def fit_link(
    losses: StageLoss, middle: Floats, span: float, grid: Grid
) -> tuple[Complexes, Complexes]:
    """Exponents w (I,) and coefficients (R, C, I, 2 J + 1) such that exp(-q link(u)) is close to
    their sum of exp(w (u - m)) for u within `span` / 2 of m, for m `middle` (R, C). The exponents'
    common real part is that of exp(-beta link(u)) on average, so that errors are relative."""
    span = span or 1e-6
    count = grid.detail.inner
    waves, at, inverse = _link_fit(count)
    waves, u = waves / span, at * span
    loss = losses.link(middle[..., None] + u)
    slope = float(np.mean(loss[..., -1] - loss[..., 0])) / span * float(grid.q[0].real)
    wanted = np.exp(slope * u[:, None] - loss[..., None] * grid.q)
    return np.asarray(waves - slope), np.asarray(inverse @ wanted)


@lru_cache(maxsize=8)
def _link_fit(count: int) -> tuple[Complexes, Floats, Complexes]:
    """For a range of u of length 1: waves (I,), points (U,), and from values there to coefficients
    (I, U)."""
    waves = 1j * np.arange(-count, count + 1) * (2 * np.pi / LINK_PERIOD)
    at = np.linspace(-0.5, 0.5, LINK_SAMPLES * count)
    inverse = np.linalg.pinv(np.exp(np.outer(at, waves)), rcond=LINK_CUTOFF)
    return np.asarray(waves), at, np.asarray(inverse)


def _chain(
    facts: StageFacts,
    tables: StageTables,
    at: tuple[int, int],
    kept: Ints,
    s: Complexes,
    w: Complexes,
    middle: Floats,
) -> Complexes:
    """(R, s, w, C, W): E[exp(-s t + w (u - m))] of the stage at one depth."""
    d, depth = at
    count = len(facts.widths)
    first = _block(tables.first_ms, tables.first_loss[:, :, :, d, 0], kept, s, w) / count
    base = np.exp(np.multiply.outer(tables.base[:, :, d].T - middle, w))  # (R, C, w)
    product: Complexes = first * np.swapaxes(base, 1, 2)[:, None, :, :, None]
    for p in range(1, depth):
        step = _block(tables.other_ms, tables.other_loss[:, :, :, d, p - 1], kept, s, w)
        if facts.shared_width:
            product = product * np.einsum("...ii->...i", step)[..., None, :]
        else:
            product = product @ (step / count)
    return product


def _block(latency: Floats, loss: Floats, kept: Ints, s: Complexes, w: Complexes) -> Complexes:
    """(R, s, w, C, W) of one block: latencies (C, W, R, K) and loss terms of the same shape, the
    mean over the settings `kept`."""
    ms, terms = (np.moveaxis(a[..., kept], 2, 0) for a in (latency, loss))  # (R, C, W, K)
    left = np.exp(-ms[..., None, :] * s[:, None]) / len(kept)
    right = np.exp(terms[..., None] * w)
    return np.ascontiguousarray(np.moveaxis(left @ right, (3, 4), (1, 2)))


def shared_groups(facts: StageFacts) -> list[Ints]:
    """Settings by what all blocks of a stage share: positions in `combos` of each group."""
    return [np.array(group) for group in facts.groups]


def rows_operator(rows: Sequence[tuple[Floats, Floats]], grid: Grid) -> StageOperator:
    """The operator of a stage of scorer `rows`: the mean over the rows at each of R resolutions;
    C = W = 1, as stages do not chain."""
    found = [
        np.exp(-np.outer(grid.s, ms)) @ np.exp(-np.outer(loss, grid.q)) / len(ms)
        for ms, loss in rows
    ]
    least = np.array([loss.min() for _, loss in rows])
    return StageOperator(np.stack(found)[:, None, None], least[:, None, None])


def rows_bounds(rows: Sequence[tuple[Floats, Floats]]) -> Bounds:
    """Bounds of a stage of scorer `rows`."""
    table = np.array([[ms.min(), ms.max(), loss.min(), loss.max()] for ms, loss in rows])
    return Bounds(*(column[:, None, None] for column in table.T))


def joined_extent(bounds: Sequence[Bounds], spreads: Sequence[float], fixed_ms: Floats) -> Extent:
    """An extent that holds every sum of stages; `spreads`: of the stages' losses; `fixed_ms` (R,)
    of the other parts."""
    least = np.sum([b.least_ms.min(axis=(1, 2)) for b in bounds], axis=0) + fixed_ms
    most = np.sum([b.most_ms.max(axis=(1, 2)) for b in bounds], axis=0) + fixed_ms
    return Extent(float(least.min()), float(most.max()), float(sum(spreads)))
