"""Every subnet of a small space, one by one: what the transforms are checked against.

Equal (latency, loss) are kept once, so that the number of atoms, not of subnets, is what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.search.block_tables import StageTables
from spacedsl.search.exact.operators import shared_groups
from spacedsl.search.exact.order import exact_share
from spacedsl.search.protocols import Floats, Ints, StageLoss
from spacedsl.search.stage_facts import StageFacts


class TooMany(Exception):
    """More atoms than asked for."""


@dataclass(frozen=True, slots=True)
class Atoms:
    """A measure on (latency in ms, loss or sum before the link): (N,) each."""

    ms: Floats
    loss: Floats
    weight: Floats

    @classmethod
    def point(cls, ms: float, loss: float, weight: float) -> Atoms:
        """One atom."""
        return cls(np.array([ms]), np.array([loss]), np.array([weight]))

    def plus(self, other: Atoms, limit: int) -> Atoms:
        """The measure of the sum of independent parts."""
        if len(self.ms) * len(other.ms) > limit:
            raise TooMany
        return Atoms(
            np.add.outer(self.ms, other.ms).ravel(),
            np.add.outer(self.loss, other.loss).ravel(),
            np.multiply.outer(self.weight, other.weight).ravel(),
        )


def merged(parts: Sequence[Atoms], limit: int) -> Atoms:
    """Their sum as measures; equal atoms become one."""
    if sum(len(p.ms) for p in parts) > limit:
        raise TooMany
    points = np.stack(
        [np.concatenate([p.ms for p in parts]), np.concatenate([p.loss for p in parts])], axis=1
    )
    weight = np.concatenate([p.weight for p in parts])
    found, at = np.unique(points, axis=0, return_inverse=True)
    return Atoms(found[:, 0], found[:, 1], np.bincount(at.ravel(), weight).astype(np.float64))


def stage_atoms(
    facts: StageFacts, tables: StageTables, losses: StageLoss, r: int, cin: int, limit: int
) -> list[Atoms]:
    """Per width out, the atoms of a stage at resolution `r` with width `cin` (positions) in; all
    their weights add up to 1."""
    groups = shared_groups(facts)
    count = len(facts.widths)
    parts: list[list[Atoms]] = [[] for _ in facts.widths]
    for kept in groups:
        for d, depth in enumerate(facts.depths):
            base = float(tables.base[cin, r, d])
            chosen = 1.0 / (len(groups) * len(facts.depths) * count)
            state = [
                _block(tables.first_ms[cin, w, r], tables.first_loss[cin, w, r, d, 0], kept).plus(
                    Atoms.point(0.0, base, chosen), limit
                )
                for w in range(count)
            ]
            for p in range(1, depth):
                state = _step(facts, tables, state, (r, d, p), kept, limit)
            for w, atoms in enumerate(state):
                parts[w].append(Atoms(atoms.ms, losses.link(atoms.loss), atoms.weight))
    return [merged(found, limit) for found in parts]


def _step(
    facts: StageFacts,
    tables: StageTables,
    state: list[Atoms],
    at: tuple[int, int, int],
    kept: Ints,
    limit: int,
) -> list[Atoms]:
    r, d, p = at
    stepped: list[Atoms] = []
    for w in range(len(state)):
        before = [w] if facts.shared_width else list(range(len(state)))
        share = Atoms.point(0.0, 0.0, 1.0 / len(before))
        parts = [
            state[v].plus(
                _block(tables.other_ms[v, w, r], tables.other_loss[v, w, r, d, p - 1], kept), limit
            )
            for v in before
        ]
        stepped.append(merged(parts, limit).plus(share, limit))
    return stepped


def _block(ms: Floats, terms: Floats, kept: Ints) -> Atoms:
    return Atoms(ms[kept], terms[kept], np.full(len(kept), 1.0 / len(kept)))


def row_atoms(ms: Floats, loss: Floats) -> Atoms:
    """The rows of one stage at one resolution."""
    return Atoms(ms, loss, np.full(len(ms), 1.0 / len(ms)))


def exact_best(atoms: Atoms, limit_ms: float, samples: int, best: int) -> tuple[float, float]:
    """Q(A, T), and the probability of a subnet under the limit."""
    there = atoms.ms <= limit_ms
    if not there.any():
        return 0.0, 0.0
    loss, weight = atoms.loss[there], atoms.weight[there]
    order = np.argsort(loss, kind="stable")
    accuracy = 1.0 / loss[order]
    reached = np.cumsum(weight[order])
    share = exact_share(reached, samples, best)
    value = float(np.sum(accuracy * np.diff(share, prepend=0.0)))
    return value, float(reached[-1])
