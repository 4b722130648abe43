"""What the search for an optimum does with a family of spaces: bound all of them at once, and score
those that the bounds leave.

A family is all spaces whose head ends in one width window and whose tail starts with one gene. The
bound of a pair of head and tail is an inner product (see `bounds`), so a family's bounds under one
tangent are one product of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.candidate import Gene, Genotype
from spacedsl.search.exact.bounds import Axis, Tangent, axis, probability, tangent
from spacedsl.search.exact.halves import Complex64, Genes, Part, Singles, all_genes
from spacedsl.search.exact.pairs import Pairs
from spacedsl.search.protocols import Floats
from spacedsl.search.stream import Stream

DENSE = 2
"""Tangents that are multiplied out for whole families; the others only for what these leave."""

TANGENTS = 12
"""The most tangents there are."""

TRIED = 8
"""References of which the one that prunes the most becomes the next tangent."""

SAMPLED_HEADS, SAMPLED_TAILS = 96, 384
"""Per width window: what tangents are chosen on."""

HEADS = 2_048
"""Heads whose bounds with all tails of a family are in memory at a time."""

LEFT = 200_000
"""Spaces that a family may leave open; where there are more, they are scored at once."""

KEPT = 2_000
"""Spaces near the best that one piece of work may return; the certificate says where there were
more."""


@dataclass(frozen=True, slots=True)
class Family:
    """Spaces whose head ends in this window and whose tail starts with this gene."""

    window: int
    gene: Gene


@dataclass(frozen=True, slots=True)
class Scored:
    """Spaces that were scored: how many, the greatest score, and the (score, genes) that may be
    among the best; `more` where there are more of these than are kept."""

    spaces: int
    best: float
    candidates: tuple[tuple[float, Genotype], ...]
    more: bool

    def encoded(self) -> object:
        """Plain data."""
        return asdict(self)

    @classmethod
    def decoded(cls, value: dict[str, Any]) -> Scored:
        """The inverse of `encoded`."""
        candidates = tuple(
            (float(score), tuple((int(b), int(w)) for b, w in genes))
            for score, genes in value["candidates"]
        )
        spaces, best = int(value["spaces"]), float(value["best"])
        return cls(spaces, best, candidates, bool(value["more"]))


@dataclass(frozen=True, slots=True)
class Bounded:
    """A family's outcome: how many spaces exceed the limit and how many each tangent pruned, and
    the number of head, number of tail and bound of those that are left open, (L,) each; where these
    were too many, none are left and `scored` says what they gave."""

    pruned: tuple[int, ...]
    heads: NDArray[np.int32]
    tails: NDArray[np.int32]
    bounds: Singles
    scored: Scored | None

    def encoded(self) -> object:
        """Plain data."""
        return {
            "pruned": self.pruned,
            "heads": self.heads.tolist(),
            "tails": self.tails.tolist(),
            "bounds": self.bounds.tolist(),
            "scored": self.scored and self.scored.encoded(),
        }

    @classmethod
    def decoded(cls, value: dict[str, Any]) -> Bounded:
        """The inverse of `encoded`."""
        scored = value["scored"]
        return cls(
            pruned=tuple(map(int, value["pruned"])),
            heads=np.array(value["heads"], dtype=np.int32),
            tails=np.array(value["tails"], dtype=np.int32),
            bounds=np.array(value["bounds"], dtype=np.float32),
            scored=None if scored is None else Scored.decoded(scored),
        )


class Branch:
    """The families of a hyperspace, and the tangents that bound their spaces. Spaces whose bound
    is below `least` are pruned."""

    def __init__(self, pairs: Pairs, best: Sequence[Genotype], least: float) -> None:
        self.pairs, self.halves, self.least = pairs, pairs.halves, least
        self.cut = self.halves.cut
        self._axis: Axis = axis(self.halves.least_loss, self.halves.grid)
        self._heads: tuple[int, Complex64] | None = None
        self._limited: dict[Family, list[Floats]] = {}
        self._rest = all_genes(self.halves.genome, self.cut + 1, self.halves.stages)
        windows = self.halves.genome.shape[self.cut - 1][1] if self.cut else 1
        before = all_genes(self.halves.genome, 0, self.cut)
        self.heads = [[h for h in before if not self.cut or h[-1][1] == w] for w in range(windows)]
        genes = self.halves.genes(self.cut)
        self.families = [Family(w, gene) for w in range(windows) for gene in genes]
        self.tangents = self._chosen(best)

    def tails(self, family: Family) -> list[Genes]:
        """The tails of a family."""
        return [(family.gene, *genes) for genes in self._rest]

    def genotype(self, family: Family, head: int, tail: int) -> Genotype:
        """A space by its numbers."""
        return (*self.heads[family.window][head], family.gene, *self._rest[tail])

    # --- tangents

    def tangent(self, genotype: Genotype) -> Tangent:
        """The tangent at a space."""
        head, tail = self.pairs.split(genotype)
        grid, settings = self.halves.grid, self.halves.scorer.settings
        met = (head.transform.astype(complex) * tail.transform).sum(axis=(0, 1))
        transform = met.reshape(len(grid.s), len(grid.q))
        least = float((head.least + tail.least).min())
        reference = probability(transform, least, self._axis, grid)
        return tangent(reference, self._axis, grid, settings.samples, settings.best)

    def _chosen(self, best: Sequence[Genotype]) -> list[Tangent]:
        """Tangents that prune a sample of all spaces: each is the best of some at the spaces that
        the ones before leave, the first one of some at the best spaces known."""
        stream, parts = Stream(0), []
        for window, heads in enumerate(self.heads):
            some = [heads[i] for i in stream.sample(len(heads), min(SAMPLED_HEADS, len(heads)))]
            tails = all_genes(self.halves.genome, self.cut, self.halves.stages)
            picked = stream.sample(len(tails), min(SAMPLED_TAILS, len(tails)))
            others = [tails[i] for i in picked]
            left = _stacked([self.halves.head(h) for h in some])
            right = _split(_stacked([self.halves.tail(window, t) for t in others]))
            parts.append((some, others, left, right, np.full((len(some), len(others)), np.inf)))
        chosen: list[Tangent] = []
        tried = list(best[:: max(1, len(best) // TRIED)])[:TRIED]
        while tried and len(chosen) < TANGENTS:
            found: list[tuple[int, int, Tangent, list[Singles]]] = []
            for genotype in tried:
                t = self.tangent(genotype)
                bounds = [np.minimum(b, _bounds(t, x, y)) for _, _, x, y, b in parts]
                left_open = sum(int((b >= self.least).sum()) for b in bounds)
                found.append((left_open, len(found), t, bounds))
            count, _, t, bounds = min(found, key=lambda f: f[:2])
            if chosen and count >= sum(int((p[4] >= self.least).sum()) for p in parts):
                break
            chosen.append(t)
            parts = [(*p[:4], b) for p, b in zip(parts, bounds, strict=True)]
            tried = self._open(parts)
        return chosen

    def _open(
        self, parts: Sequence[tuple[list[Genes], list[Genes], object, object, Floats]]
    ) -> list[Genotype]:
        """Some spaces of a sample that are not pruned, from the greatest bound on."""
        found = [
            (-float(b[i, j]), (*heads[i], *tails[j]))
            for heads, tails, _, _, b in parts
            for i, j in np.argwhere(b >= self.least).tolist()
        ]
        found.sort()
        return [genotype for _, genotype in found[:: max(1, len(found) // TRIED)][:TRIED]]

    # --- work

    def bounded(self, family: Family) -> Bounded:
        """Bound every space of a family."""
        left = self._left(family.window)
        tails = [self.halves.tail(family.window, genes) for genes in self.tails(family)]
        right = _split(_stacked(tails))
        found = []
        pruned = np.zeros(len(self.tangents) + 1, dtype=np.int64)
        for start in range(0, len(left), HEADS):
            some = slice(start, start + HEADS)
            bounds, lost = self._pruned(left[some], right, self._over(family, some))
            row, column = np.nonzero(bounds >= self.least)
            found.append((row + start, column, bounds[row, column]))
            pruned += lost
        heads, columns, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        rules = tuple(pruned.tolist())
        if len(heads) <= LEFT:
            return Bounded(rules, heads.astype(np.int32), columns.astype(np.int32), values, None)
        pairs = zip(heads.tolist(), columns.tolist(), strict=True)
        scored = self.scored([self.genotype(family, h, t) for h, t in pairs], self.least)
        none = np.empty(0, dtype=np.int32)
        return Bounded(rules, none, none, np.empty(0, dtype=np.float32), scored)

    def _over(self, family: Family, some: slice) -> NDArray[np.bool_] | None:
        """(heads, tails): which spaces of a family exceed the hyperspace's limit."""
        within = self.halves.genome.within
        if within is None:
            return None
        if family not in self._limited:
            tails = [within.tail(family.window, genes) for genes in self.tails(family)]
            self._limited = {family: tails}
        heads = [within.head(genes) for genes in self.heads[family.window][some]]
        return within.over(heads, self._limited[family])

    def _pruned(
        self, left: Complex64, right: Singles, over: NDArray[np.bool_] | None
    ) -> tuple[Singles, NDArray[np.int64]]:
        """(heads, tails) bounds, and how many spaces exceed the limit and each tangent prunes."""
        dense, sparse = self.tangents[:DENSE], self.tangents[DENSE:]
        rows = np.arange(len(left))
        bounds = np.full((len(left), len(right)), np.inf, dtype=np.float32)
        if over is not None:
            bounds[over] = np.nan  # less than anything
        open_ = [bounds.size, int((bounds > self.least).sum())]
        for t in dense:
            bounds[rows] = np.minimum(bounds[rows], _bounds(t, left[rows], right))
            counts = (bounds >= self.least).sum(axis=1)
            open_.append(int(counts.sum()))
            rows = np.flatnonzero(counts)
        lost = np.zeros(len(sparse), dtype=np.int64)
        for i in rows.tolist() if sparse else ():
            at = np.flatnonzero(bounds[i] >= self.least)
            weighed = np.concatenate([_weighed(t, left[i : i + 1]) for t in sparse])
            constants = np.array([t.constant for t in sparse], dtype=np.float32)
            running = np.minimum.accumulate(right[at] @ weighed.T + constants, axis=1)
            lost += np.diff((running < self.least).sum(axis=0), prepend=0)
            bounds[i, at] = np.minimum(bounds[i, at], running[:, -1])
        return bounds, np.concatenate([-np.diff(open_), lost])

    def scored(self, genotypes: Sequence[Genotype], least: float) -> Scored:
        """Score spaces; candidates have at least the score `least`."""
        scores = self.pairs.limits(genotypes).sum(axis=1)
        near = np.flatnonzero(scores >= least)
        order = near[np.argsort(-scores[near], kind="stable")]
        kept = tuple((float(scores[i]), genotypes[i]) for i in order[:KEPT].tolist())
        return Scored(len(genotypes), float(scores.max(initial=0.0)), kept, len(order) > KEPT)

    def _left(self, window: int) -> Complex64:
        if self._heads is None or self._heads[0] != window:
            parts = [self.halves.head(genes) for genes in self.heads[window]]
            self._heads = (window, _stacked(parts))
        return self._heads[1]


def _stacked(parts: Sequence[Part]) -> Complex64:
    """(N, R C F)."""
    return np.stack([p.transform for p in parts]).reshape(len(parts), -1)


def _split(transforms: Complex64) -> Singles:
    """(N, 2 R C F): real and imaginary parts."""
    return np.concatenate([transforms.real, transforms.imag], axis=1)


def _weighed(t: Tangent, left: Complex64) -> Singles:
    """(N, 2 R C F): what meets `_split` to give Re(weights * left * right)."""
    weights = t.weights.ravel().astype(np.complex64)
    product = (left.reshape(-1, len(weights)) * weights).reshape(left.shape)
    return np.concatenate([product.real, -product.imag], axis=1)


def _bounds(t: Tangent, left: Complex64, right: Singles) -> Singles:
    """(heads, tails) bounds under a tangent."""
    return np.asarray(_weighed(t, left) @ right.T + np.float32(t.constant))
