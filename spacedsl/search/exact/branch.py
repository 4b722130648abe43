"""What the search for an optimum does with a family of spaces: bound all of them at once, and score
those that the bounds leave.

A family is all spaces whose head ends in one width window and whose tail starts with one gene. The
bound of a pair of head and tail is an inner product (see `bounds`), so a family's bounds under one
tangent are one product of matrices. On several targets the sum of the scores is bounded by the sum
of a tangent of each, the worst of them by a tangent of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.search.candidate import Gene, Genotype
from spacedsl.search.combine import Combine
from spacedsl.search.exact.bounds import Axis, Tangent, axis, probability, tangent
from spacedsl.search.exact.halves import Complex64, Genes, Half, Singles, all_genes
from spacedsl.search.exact.joint import Joint
from spacedsl.search.protocols import Floats
from spacedsl.search.stream import Stream

DENSE = 2
"""Planes that are multiplied out for whole families; the others only for what these leave."""

TANGENTS = 12
"""The most planes there are."""

TRIED = 8
"""References of which the one that prunes the most is taken next."""

SAMPLED_HEADS, SAMPLED_TAILS = 96, 384
"""Per width window: what planes are chosen on."""

HEADS = 2_048
"""Heads whose bounds with all tails of a family are in memory at a time."""

LEFT = 200_000
"""Spaces that a family may leave open; where there are more, they are scored at once."""

KEPT = 2_000
"""Spaces near the best that one piece of work may return; the certificate says where there were
more."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The sum of tangents of some targets, which bounds the score: per target its tangent, None
    where the target is not among them."""

    tangents: tuple[Tangent | None, ...]

    @property
    def constant(self) -> float:
        """What is the same for all spaces."""
        return sum(t.constant for t in self.tangents if t is not None)


@dataclass(frozen=True, slots=True)
class Family:
    """Spaces whose head ends in this window and whose tail starts with this gene."""

    window: int
    gene: Gene


Lefts = Sequence[Complex64]
"""Per target, (heads, R C F)."""

Rights = Sequence[Singles]
"""Per target, (tails, 2 R C F)."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Heads and tails of a window, and per target their transforms."""

    heads: list[Genes]
    tails: list[Genes]
    left: Lefts
    right: Rights


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
    """A family's outcome: how many spaces exceed the limit and how many each plane pruned, and
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
    """The families of a hyperspace, and what bounds their spaces. Spaces whose bound is below
    `least` are pruned."""

    def __init__(self, joint: Joint, best: Sequence[Genotype], least: float) -> None:
        self.joint, self.halves, self.least = joint, joint.halves, least
        self.genome, any_halves = joint.genome, joint.halves[0]
        self.cut, self._stages = any_halves.cut, any_halves.stages
        self._axes: list[Axis] = [axis(h.least_loss, h.grid) for h in self.halves]
        self._heads: tuple[int, list[Complex64]] | None = None
        self._limited: dict[Family, list[Floats]] = {}
        self._rest = all_genes(self.genome, self.cut + 1, self._stages)
        windows = self.genome.shape[self.cut - 1][1] if self.cut else 1
        before = all_genes(self.genome, 0, self.cut)
        self.heads = [[h for h in before if not self.cut or h[-1][1] == w] for w in range(windows)]
        genes = any_halves.genes(self.cut)
        self.families = [Family(w, gene) for w in range(windows) for gene in genes]
        self.planes = self._chosen(best)

    def tails(self, family: Family) -> list[Genes]:
        """The tails of a family."""
        return [(family.gene, *genes) for genes in self._rest]

    def size(self, family: Family) -> int:
        """How many spaces a family has."""
        return len(self.heads[family.window]) * len(self._rest)

    def genotype(self, family: Family, head: int, tail: int) -> Genotype:
        """A space by its numbers."""
        return (*self.heads[family.window][head], family.gene, *self._rest[tail])

    # --- tangents

    def planes_at(self, genotype: Genotype) -> list[Plane]:
        """What touches at a space: of the sum of the targets' scores one plane, of the worst one
        per target."""
        tangents = [self._tangent(i, genotype) for i in range(len(self.halves))]
        if self.joint.combine is Combine.sum:
            return [Plane(tuple(tangents))]
        places = range(len(tangents))
        return [Plane(tuple(tangents[i] if i == k else None for i in places)) for k in places]

    def _tangent(self, target: int, genotype: Genotype) -> Tangent:
        halves, along = self.halves[target], self._axes[target]
        head, tail = self.joint.pairs[target].split(genotype)
        grid, settings = halves.grid, halves.scorer.settings
        met = (head.transform.astype(complex) * tail.transform).sum(axis=(0, 1))
        transform = met.reshape(len(grid.s), len(grid.q))
        least = float((head.least + tail.least).min())
        reference = probability(transform, least, along, grid)
        return tangent(reference, along, grid, settings.samples, settings.best)

    def _chosen(self, best: Sequence[Genotype]) -> list[Plane]:
        """Planes that prune a sample of all spaces: each is the best of some at the spaces that
        the ones before leave, the first one of some at the best spaces known."""
        samples = self._samples()
        bounds = [np.full((len(s.heads), len(s.tails)), np.inf) for s in samples]
        chosen: list[Plane] = []
        tried = list(best[:: max(1, len(best) // TRIED)])[:TRIED]
        while tried and len(chosen) < TANGENTS:
            found: list[tuple[int, int, Plane, list[Floats]]] = []
            for plane in (plane for genotype in tried for plane in self.planes_at(genotype)):
                lower = [
                    np.minimum(b, _bounds([plane], s.left, s.right)[0])
                    for s, b in zip(samples, bounds, strict=True)
                ]
                found.append((self._count(lower), len(found), plane, lower))
            count, _, plane, lower = min(found, key=lambda f: f[:2])
            if chosen and count >= self._count(bounds):
                break
            chosen.append(plane)
            bounds = lower
            tried = self._open(samples, bounds)
        return chosen

    def _samples(self) -> list[_Sample]:
        """Of the spaces of every width window."""
        stream, found = Stream(0), []
        tails = all_genes(self.genome, self.cut, self._stages)
        for window, heads in enumerate(self.heads):
            some = [heads[i] for i in stream.sample(len(heads), min(SAMPLED_HEADS, len(heads)))]
            picked = stream.sample(len(tails), min(SAMPLED_TAILS, len(tails)))
            others = [tails[i] for i in picked]
            left = [_stacked([h.head(genes) for genes in some]) for h in self.halves]
            right = [_stacked([h.tail(window, genes) for genes in others]) for h in self.halves]
            found.append(_Sample(some, others, left, list(map(_split, right))))
        return found

    def _count(self, bounds: Sequence[Floats]) -> int:
        """How many of a sample are not pruned."""
        return sum(int((b >= self.least).sum()) for b in bounds)

    def _open(self, samples: Sequence[_Sample], bounds: Sequence[Floats]) -> list[Genotype]:
        """Some spaces of a sample that are not pruned, from the greatest bound on."""
        found = [
            (-float(b[i, j]), (*s.heads[i], *s.tails[j]))
            for s, b in zip(samples, bounds, strict=True)
            for i, j in np.argwhere(b >= self.least).tolist()
        ]
        found.sort()
        return [genotype for _, genotype in found[:: max(1, len(found) // TRIED)][:TRIED]]

    # --- work

    def bounded(self, family: Family) -> Bounded:
        """Bound every space of a family."""
        left = self._left(family.window)
        tails = self.tails(family)
        right = [_split(_stacked([h.tail(family.window, t) for t in tails])) for h in self.halves]
        found = []
        pruned = np.zeros(len(self.planes) + 1, dtype=np.int64)
        for start in range(0, len(left[0]), HEADS):
            some = slice(start, start + HEADS)
            bounds, lost = self._pruned([x[some] for x in left], right, self._over(family, some))
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
        within = self.genome.within
        if within is None:
            return None
        if family not in self._limited:
            tails = [within.tail(family.window, genes) for genes in self.tails(family)]
            self._limited = {family: tails}
        heads = [within.head(genes) for genes in self.heads[family.window][some]]
        return within.over(heads, self._limited[family])

    def _pruned(
        self, left: Lefts, right: Rights, over: NDArray[np.bool_] | None
    ) -> tuple[Singles, NDArray[np.int64]]:
        """(heads, tails) bounds, and how many spaces exceed the limit and each plane prunes."""
        dense, sparse = self.planes[:DENSE], self.planes[DENSE:]
        rows = np.arange(len(left[0]))
        bounds = np.full((len(left[0]), len(right[0])), np.inf, dtype=np.float32)
        if over is not None:
            bounds[over] = np.nan  # less than anything
        open_ = [bounds.size, int((bounds > self.least).sum())]
        for plane in dense:
            lower = _bounds([plane], [x[rows] for x in left], right)[0]
            bounds[rows] = np.minimum(bounds[rows], lower)
            counts = (bounds >= self.least).sum(axis=1)
            open_.append(int(counts.sum()))
            rows = np.flatnonzero(counts)
        lost = np.zeros(len(sparse), dtype=np.int64)
        for i in rows.tolist() if sparse else ():
            at = np.flatnonzero(bounds[i] >= self.least)
            one, those = [x[i : i + 1] for x in left], [x[at] for x in right]
            running = np.minimum.accumulate(_bounds(sparse, one, those)[:, 0], axis=0)
            lost += np.diff((running < self.least).sum(axis=1), prepend=0)
            bounds[i, at] = np.minimum(bounds[i, at], running[-1])
        return bounds, np.concatenate([-np.diff(open_), lost])

    def scored(self, genotypes: Sequence[Genotype], least: float) -> Scored:
        """Score spaces; candidates have at least the score `least`."""
        scores = self.joint.scores(genotypes)
        near = np.flatnonzero(scores >= least)
        order = near[np.argsort(-scores[near], kind="stable")]
        kept = tuple((float(scores[i]), genotypes[i]) for i in order[:KEPT].tolist())
        return Scored(len(genotypes), float(scores.max(initial=0.0)), kept, len(order) > KEPT)

    def _left(self, window: int) -> list[Complex64]:
        if self._heads is None or self._heads[0] != window:
            genes = self.heads[window]
            self._heads = (window, [_stacked([h.head(g) for g in genes]) for h in self.halves])
        return self._heads[1]


def _stacked(parts: Sequence[Half]) -> Complex64:
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


def _bounds(planes: Sequence[Plane], left: Lefts, right: Rights) -> Singles:
    """(planes, heads, tails)."""
    count = len(left[0])
    constants = np.array([plane.constant for plane in planes], dtype=np.float32)
    bounds = np.repeat(constants, count)[:, None]
    for i, (heads, tails) in enumerate(zip(left, right, strict=True)):
        tangents = [plane.tangents[i] for plane in planes]
        if any(tangents):
            none = np.zeros((count, tails.shape[1]), dtype=np.float32)
            rows = [none if t is None else _weighed(t, heads) for t in tangents]
            bounds = bounds + np.concatenate(rows) @ tails.T
    return bounds.reshape(len(planes), count, len(right[0]))
