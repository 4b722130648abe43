"""Latency of kernels, from what they took inside random networks: one regression per group.

Times of kernels are what the runtime's own profiler says; a network takes something else (the
profiler costs, caches are shared), so each group has a factor, each kernel and each network a
constant, fitted to whole networks timed without it. All are linear in kernels: search may add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Floats
from spacedsl.targets.features import features, group_of
from spacedsl.targets.gaussian import Gaussian

TICK_MS = 1e-3
"""Profilers count whole microseconds."""

NODE_NOISE = 0.04
UNSTEADY = 3.0
"""How much noisier a network's figures are that never came to agree with themselves."""

INSIDE = log(1.001)
NEAR = log(2.0)
"""How far outside the range of a group's channels and sizes is still estimated."""

CONSTANT = "fc"
"""The group that carries what every network costs once."""

NET_NOISE = 0.03
FACTOR_SPREAD = 0.08
CONSTANTS_MS = (2e-3, 1e-1)
"""What is known beforehand: relative error of a network's prediction, standard deviations of a
group's factor over the common one, and of the cost of a kernel and of a network."""


@dataclass(frozen=True, slots=True)
class NetSample:
    """One measured network: its kernels, their times in ms (K,), the network's own time in ms and
    whether that is known well enough."""

    kernels: tuple[Kernel, ...]
    kernel_ms: Floats
    net_ms: float
    steady: bool = True


@dataclass(frozen=True, slots=True)
class GroupModel:
    """A group's regression of log milliseconds, on the distinct `kernels` it was fitted to;
    `factor`: what its kernels cost in a network, over what the profiler says."""

    kernels: tuple[Kernel, ...]
    gaussian: Gaussian
    factor: float = 1.0

    def ms(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) milliseconds as the profiler would measure them."""
        points, basis = features(kernels)
        return np.asarray(np.exp(self.gaussian.mean(points, basis)))


class KernelModel:
    """Groups by name, the cost of each kernel and of each network in ms."""

    def __init__(
        self, groups: Mapping[str, GroupModel], kernel_ms: float = 0.0, network_ms: float = 0.0
    ) -> None:
        self.groups = dict(groups)
        self.kernel_ms, self.network_ms = kernel_ms, network_ms
        self._ranges = {name: _Range.of(group.kernels) for name, group in self.groups.items()}

    def predict(self, kernels: Sequence[Kernel]) -> tuple[Floats, Floats]:
        """Milliseconds in a network (K,), NaN where uncovered, and coverage (K,)."""
        ms, coverage = np.full(len(kernels), np.nan), self.coverage(kernels)
        for name, at in grouped(kernels).items():
            if name not in self.groups:
                continue
            group, chosen = self.groups[name], [kernels[i] for i in at]
            plain = group.factor * group.ms(chosen)
            constant = self.kernel_ms + (self.network_ms if name == CONSTANT else 0.0)
            ms[at] = np.maximum(plain + constant, plain / 3)
        ms[coverage == Coverage.UNCOVERED] = np.nan
        return ms, coverage

    def coverage(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) of `Coverage`: measured, between measured ones, near them, or none of that."""
        found = np.full(len(kernels), float(Coverage.UNCOVERED))
        for name, at in grouped(kernels).items():
            if name in self._ranges:
                found[at] = self._ranges[name].coverage([kernels[i] for i in at])
        return found

    def doubt(self, kernels: Sequence[Kernel]) -> float:
        """How unsure the latency of a network of these kernels is: the sum of its kernels'
        standard deviations over its latency. What is not covered counts as unknown."""
        total = unsure = 0.0
        for name, at in grouped(kernels).items():
            chosen = [kernels[i] for i in at]
            if name not in self.groups:
                total, unsure = total + len(at), unsure + len(at)
                continue
            group = self.groups[name]
            ms = group.ms(chosen)
            unknown = self._ranges[name].coverage(chosen) == Coverage.UNCOVERED
            deviation = group.gaussian.deviation(features(chosen)[0]) + unknown
            total, unsure = total + float(ms.sum()), unsure + float(ms @ deviation)
        return unsure / total


def grouped(kernels: Iterable[Kernel]) -> dict[str, list[int]]:
    """Positions of kernels by group."""
    found: dict[str, list[int]] = {}
    for i, kernel in enumerate(kernels):
        found.setdefault(group_of(kernel), []).append(i)
    return found


@dataclass(frozen=True, slots=True)
class _Range:
    """Where a group was measured: distinct kernels, windows with strides, and the least and
    greatest log channels and sizes, (3,) each."""

    known: frozenset[Kernel]
    windows: frozenset[tuple[int, int]]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> _Range:
        logs = _logs(kernels)
        windows = frozenset((k.kernel, k.stride) for k in kernels)
        return cls(frozenset(kernels), windows, logs.min(axis=0), logs.max(axis=0))

    def coverage(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) of `Coverage`."""
        logs = _logs(kernels)
        outside = np.maximum(self.low - logs, logs - self.high).max(axis=1)
        found = np.full(len(kernels), float(Coverage.UNCOVERED))
        found[outside <= NEAR] = Coverage.ESTIMATED
        found[outside <= INSIDE] = Coverage.INTERPOLATED
        for i, kernel in enumerate(kernels):
            if kernel in self.known:
                found[i] = Coverage.MEASURED
            elif (kernel.kernel, kernel.stride) not in self.windows:
                found[i] = max(found[i], self._unseen(kernel))
        return found

    def _unseen(self, kernel: Kernel) -> Coverage:
        """Window and stride that were seen apart but never together are estimated."""
        windows, strides = zip(*self.windows, strict=True)
        apart = kernel.kernel in windows and kernel.stride in strides
        return Coverage.ESTIMATED if apart else Coverage.UNCOVERED


def _logs(kernels: Sequence[Kernel]) -> Floats:
    return np.log(np.array([(k.cin, k.cout, k.size) for k in kernels], np.float64))


def fit_kernels(samples: Sequence[NetSample], most: int | None = None) -> KernelModel:
    """The model of measured networks; `most`: distinct kernels per group. Raises `ValueError`
    where there is none."""
    kernels = [k for s in samples for k in s.kernels]
    if not kernels:
        raise ValueError("no network was measured")
    ms = np.maximum(np.concatenate([s.kernel_ms for s in samples]), TICK_MS / 2)
    unsteady = np.concatenate([np.full(len(s.kernels), not s.steady) for s in samples])
    noise = np.hypot(NODE_NOISE, TICK_MS / 2 / ms) * np.where(unsteady, UNSTEADY, 1.0)
    groups: dict[str, GroupModel] = {}
    for name, at in sorted(grouped(kernels).items()):
        chosen = [kernels[i] for i in at]
        points, basis = features(chosen)
        gaussian, kept = Gaussian.fit(points, basis, np.log(ms[at]), noise[at], most)
        groups[name] = GroupModel(tuple(chosen[i] for i in kept), gaussian)
    return _corrected(groups, samples)


def _corrected(groups: dict[str, GroupModel], samples: Sequence[NetSample]) -> KernelModel:
    """With factors and constants fitted to the networks' own times, relative errors counting
    alike; what few networks tell is drawn to one common factor and to no constants."""
    names = list(groups)
    columns = np.zeros((len(samples), len(names) + 2))
    for i, sample in enumerate(samples):
        for name, at in grouped(sample.kernels).items():
            ms = groups[name].ms([sample.kernels[j] for j in at])
            columns[i, names.index(name)] = ms.sum()
        columns[i, -2:] = len(sample.kernels), 1.0
    net_ms = np.array([s.net_ms for s in samples])
    common = float(np.exp(np.median(np.log(net_ms / columns[:, :-2].sum(axis=1)))))
    prior = np.array([common] * len(names) + [0.0, 0.0])
    spread = np.array([FACTOR_SPREAD * common] * len(names) + list(CONSTANTS_MS))
    weights = np.where([s.steady for s in samples], 1.0, 1 / UNSTEADY**2)
    found = _shrunken(columns / net_ms[:, None], weights, prior, np.square(NET_NOISE / spread))
    factors = np.maximum(found[:-2], common / 2)
    fitted = {
        name: GroupModel(group.kernels, group.gaussian, float(factor))
        for (name, group), factor in zip(groups.items(), factors, strict=True)
    }
    return KernelModel(fitted, float(found[-2]), float(found[-1]))


def _shrunken(shares: Floats, weights: Floats, prior: Floats, pull: Floats) -> Floats:
    """Coefficients (C,) with which shares (N, C) add up to 1, drawn to `prior` with `pull`; robust
    to single rows by reweighting."""
    trust, found = weights, np.asarray(prior)
    for _ in range(5):
        left = (shares.T * trust) @ shares + np.diag(pull)
        right = (shares.T * trust) @ np.ones(len(shares)) + pull * prior
        found = np.asarray(np.linalg.solve(left, right))
        error = np.abs(shares @ found - 1)
        scale = 2 * float(np.median(error)) + 1e-9
        trust = weights * np.minimum(1.0, scale / np.maximum(error, 1e-12))
    return found
