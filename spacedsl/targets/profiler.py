"""Profiling: kernels timed inside random networks of given spaces, batch after batch.

Every batch holds the same references, which tie batches together; within one, networks take turns
in short rounds. Which networks: of a pool of random ones those about which the model so far is
least sure, some at random, and first of all those that hold what is not covered yet."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.passes.bind import BindError
from spacedsl.passes.kernels import Kernel
from spacedsl.passes.network import subnet_identity
from spacedsl.search.protocols import Coverage, Floats
from spacedsl.targets.attribution import attribute, kernel_owners
from spacedsl.targets.kernel_model import KernelModel, fit_kernels
from spacedsl.targets.measure import CLOCKS, Timing, Visit, timed_round
from spacedsl.targets.profile_cache import check_profile, header_of, profile_path
from spacedsl.targets.profile_file import (
    BatchRecord,
    KernelWords,
    NetRecord,
    Profile,
    SpaceNote,
    append,
    locked,
    read_profile,
)
from spacedsl.targets.profile_fit import samples_of
from spacedsl.targets.profiled_latency import SUFFIX, fit_profile, save_fit
from spacedsl.targets.reachable import reachable_kernels
from spacedsl.targets.runtimes import Runtime, artifact_of, runtime_of

BATCH = 10
POOL = 6
"""Networks that are looked at for each one that is measured."""

GAP_POOL = 24
RANDOM_SHARE = 0.4
GAP_SHARE = 0.5
"""Of the networks of a batch, those chosen at random, and at most those chosen for what is in no
network so far."""

ROUNDS, MOST_ROUNDS = 6, 10
STEADY = 0.03
STEADY_SHARE = 0.8
"""Rounds are added until the two halves of this share of the networks agree so well; a network of
which they never do is marked and counts little."""

VISIT = Visit(warm=1, timed=3)
DESIGN_POINTS = 400
DESIGN_BATCHES = (1, 2, 4, 8, 16, 32)
"""After so many batches the model that chooses is fitted again."""

FASTEST = 1 / 3
"""Of the runs of a kernel, the share that is averaged. Nodes are timed by the wall's clock: on a
busy machine a long one is interrupted more often than not, and then says nothing."""

Progress = Callable[[float, int, int], None]
"""Takes seconds spent, networks measured, distinct kernels."""


@dataclass(frozen=True, slots=True)
class _Net:
    subnet: Subnet
    note: SpaceNote | None
    artifact: bytes


def profile(
    target: Target,
    spaces: Sequence[Space],
    budget_s: float,
    progress: Progress = lambda seconds, nets, kernels: None,
    again: bool = False,
) -> Path:
    """Measure for `target` until `budget_s` seconds are spent on members of `spaces`, those of
    earlier runs included; returns the profile's file. `again`: forget what is there. Raises
    `SpaceError`; what was measured until then is kept."""
    header = header_of(target)
    path = profile_path(header)
    with locked(path):
        if again or not path.exists() or not path.stat().st_size:
            done = Profile(header, (), append(path, 0, header))
        else:
            done = read_profile(path)
            check_profile(path, done.header, header)
        _extend(path, done, target, spaces, budget_s, progress)
        save_fit(fit_profile(path), path.with_suffix(SUFFIX))
    return path


def _extend(
    path: Path,
    done: Profile,
    target: Target,
    spaces: Sequence[Space],
    budget_s: float,
    progress: Progress,
) -> None:
    notes = {space_identity(s): s for s in spaces}
    asked = frozenset(notes)
    runtime, references = runtime_of(target), reference_nets(target)
    batches, size = list(done.batches), done.size
    chooser = _Chooser(spaces, batches)
    while True:
        current = Profile(done.header, tuple(batches), size)
        spent = current.seconds(asked)
        nets, kernels = _counts(batches)
        progress(spent, nets, kernels)
        if spent >= budget_s:
            return
        start = time.perf_counter()
        chosen = [_Net(s, n, artifact_of(s, target)) for s, n in chooser.choose(BATCH, batches)]
        measured = measure_batch(runtime, target.threads, [*references, *chosen], len(references))
        seconds = time.perf_counter() - start
        batches.append(measured.model_copy(update={"seconds": seconds}))
        size = append(path, size, batches[-1])


def _counts(batches: Sequence[BatchRecord]) -> tuple[int, int]:
    nets = [net for batch in batches for net in batch.nets]
    return len(nets), len({kernel for net in nets for kernel in net.kernels})


def reference_nets(target: Target) -> list[_Net]:
    """The networks of every batch: the target's anchor, and one that every runtime runs."""
    from spacedsl import api

    names = dict.fromkeys([*([target.anchor.model] if target.anchor else []), "seqnet-pixel4-a1"])
    found = [api.load(name) for name in names]
    return [_Net(m, None, artifact_of(m, target)) for m in found if isinstance(m, Subnet)]


class _Chooser:
    """Chooses networks; the same ones for the same profile so far."""

    def __init__(self, spaces: Sequence[Space], batches: Sequence[BatchRecord]) -> None:
        self._spaces = [(s, note_of(s)) for s in spaces]
        self._gaps = [set(reachable_kernels(s)) for s in spaces]
        self._model: KernelModel | None = None
        self._fitted_at = 0
        self._measured = {net.hash for batch in batches for net in batch.nets}

    def choose(self, count: int, batches: Sequence[BatchRecord]) -> list[tuple[Subnet, SpaceNote]]:
        """`count` networks, their spaces in turn."""
        number = len(batches)
        self._fit(batches)
        rng = random.Random(f"spacedsl profile {number}")  # noqa: S311  not for secrets
        found: list[tuple[Subnet, SpaceNote]] = []
        for i in range(count):
            place = (number * count + i) % len(self._spaces)
            subnet = self._one(place, i < count * GAP_SHARE, rng)
            self._measured.add(subnet_identity(subnet))
            found.append((subnet, self._spaces[place][1]))
        return found

    def _one(self, place: int, for_gaps: bool, rng: random.Random) -> Subnet:
        space, gaps = self._spaces[place][0], self._gaps[place]
        seek = for_gaps and self._model is not None and gaps
        pool = [
            (subnet, kernel_owners(subnet)[0])
            for subnet in (
                random_subnet(space, rng, space.name) for _ in range(GAP_POOL if seek else POOL)
            )
        ]
        new = [n for n in pool if subnet_identity(n[0]) not in self._measured] or pool
        subnet, kernels = new[0]
        if seek:
            subnet, kernels = max(new, key=lambda n: len(gaps.intersection(n[1])))
        elif self._model is not None and rng.random() >= RANDOM_SHARE:
            subnet, kernels = max(new, key=lambda n: self._doubt(n[1]))
        gaps.difference_update(kernels)
        return subnet

    def _doubt(self, kernels: Sequence[Kernel]) -> float:
        return self._model.doubt(kernels) if self._model else 0.0

    def _fit(self, batches: Sequence[BatchRecord]) -> None:
        due = [n for n in DESIGN_BATCHES if self._fitted_at < n <= len(batches)]
        if due:
            self._fitted_at = len(batches)
            self._model = fit_kernels(samples_of(batches), DESIGN_POINTS)
            self._gaps = [self._uncovered(gaps) for gaps in self._gaps]

    def _uncovered(self, kernels: set[Kernel]) -> set[Kernel]:
        if self._model is None:
            return kernels
        asked = sorted(kernels)
        known = zip(asked, self._model.coverage(asked), strict=True)
        return {kernel for kernel, found in known if found >= Coverage.ESTIMATED}


def note_of(space: Space) -> SpaceNote:
    """How a profile names a space. Raises `SpaceError` where no member can be built."""
    try:
        kernel_owners(random_subnet(space, random.Random(0), space.name))  # noqa: S311
    except BindError as error:
        raise fault("bad-body", f"{space.name}: {error}") from None
    return SpaceNote(name=space.name, hash=space_identity(space), resolutions=space.resolutions)


def measure_batch(
    runtime: Runtime, threads: int, nets: Sequence[_Net], references: int
) -> BatchRecord:
    """Measure networks, the first `references` of which are the references."""
    clock = CLOCKS["cpu" if threads == 1 else "wall"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spacedsl-")))
        plain = [runtime.open(net.artifact, threads) for net in nets]
        profiled = [runtime.open_profiled(net.artifact, threads, folder) for net in nets]
        own: list[list[float]] = []
        while len(own) < ROUNDS or (len(own) < MOST_ROUNDS and _steady(own) < STEADY_SHARE):
            turn = len(own)
            own.append(timed_round(plain, turn, clock, VISIT))
            timed_round(profiled, turn, clock, VISIT)
        closed = [session.close() for session in profiled]
    timing = Timing.of(own).without_common_mode()
    net_ms, halves = np.median(timing.times_s, axis=0) * 1e3, timing.split_half()
    runs = [_kernel_runs(net, *times, len(own)) for net, times in zip(nets, closed, strict=True)]
    sums = Timing(np.stack([ms.min(axis=1).sum(axis=1) for _, ms in runs], axis=1))
    common = sums.times_s / sums.without_common_mode().times_s
    found = [(k, _fastest(ms / common[:, i, None, None])) for i, (k, ms) in enumerate(runs)]
    records = [
        NetRecord(
            space=net.note.hash if net.note else "",
            hash=subnet_identity(net.subnet),
            kernels=names,
            kernel_ms=tuple(np.round(ms, 6).tolist()),
            net_ms=round(float(net_ms[i]), 6),
            split_half=round(float(halves[i]), 6),
            steady=bool(halves[i] <= STEADY),
        )
        for i, (net, (names, ms)) in enumerate(zip(nets, found, strict=True))
    ]
    return BatchRecord(
        spaces=tuple({net.note.hash: net.note for net in nets if net.note}.values()),
        references=tuple(records[:references]),
        nets=tuple(records[references:]),
        seconds=1.0,
    )


def _steady(rounds: Sequence[Sequence[float]]) -> float:
    halves = Timing.of(rounds).without_common_mode().split_half()
    return float((halves <= STEADY).mean())


def _kernel_runs(
    net: _Net, names: tuple[str, ...], node_ms: Floats, rounds: int
) -> tuple[tuple[KernelWords, ...], Floats]:
    """The kernels of a network and their times in its timed runs, (rounds, runs, K)."""
    kernels, owner = kernel_owners(net.subnet)
    runs = node_ms.reshape(rounds, VISIT.warm + VISIT.timed, -1)[:, VISIT.warm :]
    found = np.zeros((*runs.shape[:2], len(kernels)))
    np.add.at(np.moveaxis(found, 2, 0), attribute(names, owner), np.moveaxis(runs, 2, 0))
    return tuple((*kernel,) for kernel in kernels), found


def _fastest(ms: Floats) -> Floats:
    """(rounds, runs, K) to (K,): the mean of the fastest runs of each."""
    ordered = np.sort(ms.reshape(-1, ms.shape[2]), axis=0)
    return np.asarray(ordered[: max(1, round(len(ordered) * FASTEST))].mean(axis=0))
