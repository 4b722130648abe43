"""Latency of kernels, from what they took inside random networks: one regression per group.

Times of kernels are what the runtime's own profiler says; a network takes something else (the
profiler costs, caches are shared), so each group has a factor, which leans on the work and the
weights of a kernel, and each kernel and each network a constant that is no less than 0, fitted to
whole networks timed without it. All are linear in kernels: search may add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Floats, Ints
from spacedsl.targets.covered import Ranges, grouped
from spacedsl.targets.features import features, work_of
from spacedsl.targets.gaussian import Gaussian

TICK_MS = 1e-3
"""Profilers count whole microseconds."""

NODE_MS = 1e-2
LEAST_SHARE = 0.2
"""What is known beforehand of the profiler's cost per node (its standard deviation), and the share
of a kernel's time that stays at least when it is taken off."""

NODE_NOISE = 0.08
UNSTEADY = 3.0
"""How much noisier a network's figures are that never came to agree with themselves."""

CONSTANT = "fc"
"""The group that carries what every network costs once."""

NONE = 1e-9
NET_NOISE = 0.03
FACTOR_SPREAD = 0.5
LEAN_SPREAD = 0.05
CONSTANTS_MS = (2e-3, 1e-1)
"""What is known beforehand: relative error of a network's prediction, standard deviations of a
group's factor over the common one, of how it leans, and of the cost of a kernel and of a
network."""

LEAST_FACTOR = 0.2
"""The least factor of a group over the common one. Kernels that read weights and little else
(classifiers, convolutions on a pixel) take much less in a network than the profiler says."""

TYPICAL = np.log([1e6, 1e3])
"""Multiply-accumulates and weights of a kernel whose factor is that of its group."""


@dataclass(frozen=True, slots=True)
class NetSample:
    """One measured network: its kernels, their times in ms (K,) and nodes (K,), the network's own
    time in ms and whether that is known well enough."""

    kernels: tuple[Kernel, ...]
    kernel_ms: Floats
    kernel_nodes: Ints
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
        return np.asarray(np.exp(self.gaussian.mean(self._known(points), basis)))

    def deviation(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) standard deviations of the logarithm of `ms`."""
        return self.gaussian.deviation(self._known(features(kernels)[0]))

    def _known(self, points: Floats) -> Floats:
        """The places of kernels by what the regression knows of them."""
        return points[:, : self.gaussian.points.shape[1]]


class KernelModel:
    """Groups by name, the cost of each kernel and of each network in ms, and what is added to a
    kernel's factor for each unit of the logarithms of its work and its weights."""

    def __init__(
        self,
        groups: Mapping[str, GroupModel],
        kernel_ms: float = 0.0,
        network_ms: float = 0.0,
        leans: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.groups = dict(groups)
        self.kernel_ms, self.network_ms, self.leans = kernel_ms, network_ms, leans
        self._ranges = Ranges([k for group in self.groups.values() for k in group.kernels])

    def predict(self, kernels: Sequence[Kernel]) -> tuple[Floats, Floats]:
        """Milliseconds in a network (K,), NaN where uncovered, and coverage (K,)."""
        ms, coverage = np.full(len(kernels), np.nan), self.coverage(kernels)
        for name, at in grouped(kernels).items():
            if name not in self.groups:
                continue
            group, chosen = self.groups[name], [kernels[i] for i in at]
            once = self.network_ms if name == CONSTANT else 0.0
            factor = np.maximum(group.factor + _sizes(chosen) @ self.leans, LEAST_FACTOR / 2)
            ms[at] = factor * group.ms(chosen) + self.kernel_ms + once
        ms[coverage == Coverage.UNCOVERED] = np.nan
        return ms, coverage

    def coverage(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) of `Coverage`."""
        return self._ranges.coverage(kernels)

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
            unknown = self.coverage(chosen) == Coverage.UNCOVERED
            deviation = group.deviation(chosen) + unknown
            total, unsure = total + float(ms.sum()), unsure + float(ms @ deviation)
        return unsure / total


def _sizes(kernels: Sequence[Kernel]) -> Floats:
    """(K, 2) logarithms of work and weights, over those of a typical kernel."""
    work, _, _, weights = np.array([work_of(k) for k in kernels], np.float64).T
    return np.asarray(np.log(np.column_stack([work, weights])) - TYPICAL)


def fit_kernels(samples: Sequence[NetSample], most: int | None = None) -> KernelModel:
    """The model of measured networks; `most`: distinct kernels per group. Raises `ValueError`
    where there is none."""
    kernels = [k for s in samples for k in s.kernels]
    if not kernels:
        raise ValueError("no network was measured")
    cost_ms = node_cost(samples)
    ms = np.concatenate([_own_ms(s, cost_ms) for s in samples])
    unsteady = np.concatenate([np.full(len(s.kernels), not s.steady) for s in samples])
    noise = np.hypot(NODE_NOISE, TICK_MS / 2 / ms) * np.where(unsteady, UNSTEADY, 1.0)
    groups: dict[str, GroupModel] = {}
    for name, at in sorted(grouped(kernels).items()):
        chosen = [kernels[i] for i in at]
        points, basis = features(chosen)
        gaussian, kept = Gaussian.fit(points, basis, np.log(ms[at]), noise[at], most)
        groups[name] = GroupModel(tuple(chosen[i] for i in kept), gaussian)
    return _corrected(groups, samples)


def node_cost(samples: Sequence[NetSample]) -> float:
    """Milliseconds that the profiler adds to a node: what networks' nodes sum up to is the
    networks' own times by a factor, and this for every node."""
    sums = np.array([s.kernel_ms.sum() for s in samples])
    nodes = np.array([s.kernel_nodes.sum() for s in samples])
    columns = np.column_stack([[s.net_ms for s in samples], nodes]) / sums[:, None]
    spread = np.array([1.0, NODE_MS])
    pull = np.square(NET_NOISE / spread)
    return float(_shrunken(columns, _trust(samples), np.array([1.0, 0.0]), pull)[1])


def _own_ms(sample: NetSample, cost_ms: float) -> Floats:
    """What a network's kernels take without the profiler's cost, (K,)."""
    least = np.maximum(LEAST_SHARE * sample.kernel_ms, TICK_MS / 2)
    return np.maximum(sample.kernel_ms - cost_ms * sample.kernel_nodes, least)


def _trust(samples: Sequence[NetSample]) -> Floats:
    return np.where([s.steady for s in samples], 1.0, 1 / UNSTEADY**2)


def _corrected(groups: dict[str, GroupModel], samples: Sequence[NetSample]) -> KernelModel:
    """With factors and constants fitted to the networks' own times, relative errors counting
    alike; what few networks tell is drawn to one common factor and to no constants."""
    names = list(groups)
    columns = np.zeros((len(samples), len(names) + 4))
    for i, sample in enumerate(samples):
        for name, at in grouped(sample.kernels).items():
            chosen = [sample.kernels[j] for j in at]
            ms = groups[name].ms(chosen)
            columns[i, names.index(name)] = ms.sum()
            columns[i, -4:-2] += ms @ _sizes(chosen)
        columns[i, -2:] = len(sample.kernels), 1.0
    net_ms = np.array([s.net_ms for s in samples])
    common = float(np.exp(np.median(np.log(net_ms / columns[:, : len(names)].sum(axis=1)))))
    prior = np.array([common] * len(names) + [0.0] * 4)
    spread = np.array([FACTOR_SPREAD * common] * len(names) + [LEAN_SPREAD] * 2 + [*CONSTANTS_MS])
    least = np.array([LEAST_FACTOR * common] * len(names) + [-np.inf] * 2 + [0.0] * 2)
    found = _bounded(columns / net_ms[:, None], _trust(samples), prior, spread, least).tolist()
    fitted = {
        name: GroupModel(group.kernels, group.gaussian, factor)
        for (name, group), factor in zip(groups.items(), found, strict=False)
    }
    work, weights, kernel_ms, network_ms = found[-4:]
    return KernelModel(fitted, kernel_ms, network_ms, (work, weights))


def _bounded(
    shares: Floats, weights: Floats, prior: Floats, spread: Floats, least: Floats
) -> Floats:
    """As `_shrunken`, drawn to `prior` by standard deviations `spread`; what comes out below
    `least` is held there, and the rest says what it would have said."""
    held = np.zeros(len(prior), bool)
    while True:
        pull = np.square(NET_NOISE / np.where(held, NONE, spread))
        found = np.where(
            held, least, _shrunken(shares, weights, np.where(held, least, prior), pull)
        )
        if not (found < least).any():
            return found
        held |= found < least


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
