"""Where kernels were measured, and what of a space is not covered yet."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.operators.size import Size, as_number
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage, Floats
from spacedsl.targets.attribution import kernel_owners
from spacedsl.targets.features import group_of
from spacedsl.targets.reachable import reachable_kernels

INSIDE = log(1.001)
NEAR = log(2.0)
"""How far outside the range of a group's channels and sizes is still estimated."""

MEMBERS, SURE = 30, 0.98
"""Members of a space that are looked at, and the share of their kernels that must not be
extrapolated."""


def grouped(kernels: Iterable[Kernel]) -> dict[str, list[int]]:
    """Positions of kernels by group."""
    found: dict[str, list[int]] = {}
    for i, kernel in enumerate(kernels):
        found.setdefault(group_of(kernel), []).append(i)
    return found


class Ranges:
    """Where the groups of measured kernels reach to."""

    def __init__(self, measured: Sequence[Kernel]) -> None:
        self._known = {
            name: _Range.of([measured[i] for i in at]) for name, at in grouped(measured).items()
        }

    def coverage(self, kernels: Sequence[Kernel]) -> Floats:
        """(K,) of `Coverage`: measured, between measured ones, near them, or none of that."""
        found = np.full(len(kernels), float(Coverage.UNCOVERED))
        for name, at in grouped(kernels).items():
            if name in self._known:
                found[at] = self._known[name].coverage([kernels[i] for i in at])
        return found


@dataclass(frozen=True, slots=True)
class _Range:
    """Where a group was measured: distinct kernels, windows with strides, and the least and
    greatest log channels and sizes, (3,) each."""

    known: frozenset[Kernel]
    windows: frozenset[_Window]
    low: Floats
    high: Floats

    @classmethod
    def of(cls, kernels: Sequence[Kernel]) -> _Range:
        logs = _logs(kernels)
        windows = frozenset(map(_window, kernels))
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
            elif _window(kernel) not in self.windows:
                found[i] = max(found[i], self._unseen(kernel))
        return found

    def _unseen(self, kernel: Kernel) -> Coverage:
        """Window and stride that were seen apart but never together are estimated."""
        windows, strides = zip(*self.windows, strict=True)
        window, stride = _window(kernel)
        apart = window in windows and stride in strides
        return Coverage.ESTIMATED if apart else Coverage.UNCOVERED


_Window = tuple[tuple[Size, Size, bool], Size]
"""A window (its kernel, its dilation, whether it has no padding), and its stride."""


def _window(kernel: Kernel) -> _Window:
    return (kernel.kernel, kernel.dilation, kernel.valid), kernel.stride


def _logs(kernels: Sequence[Kernel]) -> Floats:
    return np.log(np.array([(k.cin, k.cout, as_number(k.size)) for k in kernels], np.float64))


class Wanted:
    """What a profile must cover before members of a space are predicted by it. Raises `BindError`
    where a member cannot be built."""

    def __init__(self, space: Space) -> None:
        rng = random.Random(0)  # noqa: S311  not for secrets
        members = [random_subnet(space, rng, space.name) for _ in range(MEMBERS)]
        self._reachable = sorted(reachable_kernels(space))
        self._members = [k for member in members for k in kernel_owners(member)[0]]

    def gaps(self, ranges: Ranges) -> dict[Kernel, Coverage]:
        """The kernels that are not between measured ones, and how they are known."""
        asked = list(dict.fromkeys([*self._reachable, *self._members]))
        known = zip(asked, ranges.coverage(asked), strict=True)
        return {k: Coverage(int(c)) for k, c in known if c >= Coverage.ESTIMATED}

    def covered(self, gaps: dict[Kernel, Coverage]) -> bool:
        """Is that little enough?"""
        inside = sum(kernel not in gaps for kernel in self._members)
        return not uncovered(gaps) and inside >= SURE * len(self._members)


def uncovered(gaps: dict[Kernel, Coverage]) -> list[Kernel]:
    """Those of which nothing is known."""
    return [kernel for kernel, known in gaps.items() if known == Coverage.UNCOVERED]
