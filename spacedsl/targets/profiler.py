"""Profiling: kernels timed inside random networks of given spaces, batch after batch.

Every batch holds the same references, which tie batches together; within one, networks take turns
in short rounds. Sessions of one file differ by some percent for as long as they live (where their
memory lies), so half of the rounds are of other sessions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.hosts.host import HERE, Host
from spacedsl.hosts.measure import Run, Timing, Visit
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.load import load
from spacedsl.passes.kernels import Kernel
from spacedsl.passes.network import subnet_identity
from spacedsl.runtimes.record import Runtime
from spacedsl.runtimes.table import runtime_of
from spacedsl.search.protocols import Floats, Ints
from spacedsl.targets.attribution import attribute, kernel_owners
from spacedsl.targets.deployment import artifact_of
from spacedsl.targets.profile_cache import check_profile, header_of, profile_path
from spacedsl.targets.profile_choice import Chooser
from spacedsl.targets.profile_file import (
    BatchRecord,
    KernelWords,
    NetRecord,
    Profile,
    SpaceNote,
    append,
    kernel_words,
    locked,
    read_profile,
)
from spacedsl.targets.profiled_latency import SUFFIX, fit_profile, save_fit

BATCH = 10
LEAST = 40
"""Networks without which no space counts as known, as long as there is time: on a busy machine the
first batch can take all that was set aside."""

ROUNDS, MOST_ROUNDS = 6, 10
SESSION_ROUNDS = 3
"""Rounds after which networks are opened again, their memory elsewhere."""

STEADY = 0.03
STEADY_SHARE = 0.8
"""Rounds are added until the two halves of this share of the networks agree so well; a network of
which they never do is marked and counts little."""

VISIT = Visit(warm=1, timed=3)

FASTEST = 1 / 3
"""Of the runs of a kernel, the share that is averaged. Nodes are timed by the wall's clock: on a
busy machine a long one is interrupted more often than not, and then says nothing."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a profile is: seconds spent, networks measured, distinct kernels, and how many that
    are reachable in the spaces asked for are not covered."""

    seconds: float
    networks: int
    kernels: int
    missing: int


Progress = Callable[[Reached], None]


@dataclass(frozen=True, slots=True)
class _Net:
    subnet: Subnet
    note: SpaceNote | None
    artifact: bytes


def profile(
    target: Target,
    spaces: Sequence[Space],
    budget_s: float,
    progress: Progress = lambda reached: None,
    again: bool = False,
    most_s: float | None = None,
    host: Host = HERE,
) -> Path:
    """Measure for `target` on `host` until `budget_s` seconds are spent on members of `spaces`,
    those of earlier runs included; with `most_s` also for as long until the spaces are covered and
    `LEAST` networks are measured. Returns the profile's file. `again`: forget what is there. Raises
    `SpaceError`, with `most_s` also where that was too little to cover the spaces; what was
    measured until then is kept."""
    header = header_of(target, host)
    path = profile_path(header)
    with locked(path):
        if again or not path.exists() or not path.stat().st_size:
            done = Profile(header, (), append(path, 0, header))
        else:
            done = read_profile(path)
            check_profile(path, done.header, header)
        missing = _extend(path, done, target, spaces, (budget_s, most_s), progress, host)
        save_fit(fit_profile(path), path.with_suffix(SUFFIX))
    if missing is not None and most_s is not None:
        message = (
            f"after {most_s / 60:.3g} minutes {missing} kernels that members of "
            f"{', '.join(space.name for space in spaces)} can have are not measured: this machine "
            "is busy, or slow"
        )
        help = f'run "spacedsl target profile {target.name} --budget {longer(most_s)}"'
        raise fault("uncovered", message, help)
    return path


def _extend(
    path: Path,
    done: Profile,
    target: Target,
    spaces: Sequence[Space],
    limits_s: tuple[float, float | None],
    progress: Progress,
    host: Host,
) -> int | None:
    """Add batches; returns how many kernels are missing, None where the spaces are covered."""
    asked = frozenset(space_identity(s) for s in spaces)
    budget_s, most_s = limits_s
    references = reference_nets(target)
    batches, size = list(done.batches), done.size
    chooser = Chooser(spaces, batches)
    while True:
        spent = Profile(done.header, tuple(batches), size).seconds(asked)
        reached = Reached(spent, *_counts(batches), chooser.missing)
        progress(reached)
        covered = asked <= set(chooser.covered)
        enough = covered and reached.networks >= LEAST
        left_s = (budget_s if enough else most_s or budget_s) - spent
        if left_s <= 0:
            return None if covered else chooser.missing
        chosen = chooser.choose(BATCH, batches)
        said = partial(_say, progress, reached)
        batch = _batch(host, target, references, chosen, said, left_s)
        records = (*batch.references, *batch.nets)
        chooser.saw([Kernel(*kernel) for record in records for kernel in record.kernels])
        batches.append(batch.model_copy(update={"covered": chooser.covered}))
        size = append(path, size, batches[-1])


def _say(progress: Progress, reached: Reached, seconds: float) -> None:
    """Progress inside a batch, which takes a minute where the machine is busy."""
    progress(replace(reached, seconds=reached.seconds + seconds))


def _batch(
    host: Host,
    target: Target,
    references: Sequence[_Net],
    chosen: Sequence[tuple[Subnet, SpaceNote]],
    said: Callable[[float], None],
    left_s: float,
) -> BatchRecord:
    """Measure those of the networks that can be built in half of the time that is left, and at
    least one."""
    start = time.perf_counter()

    def tick() -> None:
        said(time.perf_counter() - start)

    nets = list(references)
    for subnet, note in chosen:
        if len(nets) > len(references) and time.perf_counter() - start > left_s / 2:
            break
        nets.append(_Net(subnet, note, artifact_of(subnet, target)))
        tick()
    end = start + left_s
    found = measure_batch(host, target, nets, len(references), tick, end)
    return found.model_copy(update={"seconds": time.perf_counter() - start})


def _counts(batches: Sequence[BatchRecord]) -> tuple[int, int]:
    nets = [net for batch in batches for net in batch.nets]
    return len(nets), len({kernel for net in nets for kernel in net.kernels})


def reference_nets(target: Target) -> list[_Net]:
    """The networks of every batch: the target's anchor, and one that every runtime runs."""
    names = dict.fromkeys([*([target.anchor.model] if target.anchor else []), "seqnet-pixel4-a1"])
    found = [load(name) for name in names]
    return [_Net(m, None, artifact_of(m, target)) for m in found if isinstance(m, Subnet)]


def measure_batch(
    host: Host,
    target: Target,
    nets: Sequence[_Net],
    references: int,
    tick: Callable[[], None],
    end: float,
) -> BatchRecord:
    """Measure networks, the first `references` of which are the references; `tick` is called now
    and then. No rounds are added after `end` (of `perf_counter`) to those that it takes."""
    runtime, threads = runtime_of(target), target.threads
    take = host.rounds("cpu" if threads == 1 else "wall")
    plain: list[Run] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spacedsl-")))
        profiled = [host.profiled(runtime, net.artifact, threads, folder) for net in nets]
        own: list[list[float]] = []
        timed: list[list[int]] = [[] for _ in nets]
        while len(own) < ROUNDS or (
            len(own) < MOST_ROUNDS and time.perf_counter() < end and _steady(own) < STEADY_SHARE
        ):
            turn = len(own)
            if turn % SESSION_ROUNDS == 0:
                plain = _opened(host, runtime, nets, threads, turn)
            own.append(take(plain, turn, VISIT))
            tick()
            take(profiled, turn, VISIT)
            tick()
            for at, session in zip(timed, profiled, strict=True):
                at.extend(range(session.runs - VISIT.timed, session.runs))
        closed = [session.close() for session in profiled]
    timing = Timing.of(own).without_common_mode()
    net_ms, halves = np.median(timing.times_s, axis=0) * 1e3, timing.split_half()
    runs = [
        _kernel_runs(net, node_names, node_ms[at].reshape(len(own), VISIT.timed, -1))
        for net, (node_names, node_ms), at in zip(nets, closed, timed, strict=True)
    ]
    sums = Timing(np.stack([run.ms.min(axis=1).sum(axis=1) for run in runs], axis=1))
    common = sums.times_s / sums.without_common_mode().times_s
    fastest = [_fastest(run.ms / common[:, i, None, None]) for i, run in enumerate(runs)]
    records = [
        NetRecord(
            space=net.note.hash if net.note else "",
            hash=subnet_identity(net.subnet),
            kernels=run.kernels,
            kernel_ms=tuple(np.round(fastest[i], 6).tolist()),
            kernel_nodes=tuple(run.nodes.tolist()),
            net_ms=round(float(net_ms[i]), 6),
            split_half=round(float(halves[i]), 6),
            steady=bool(halves[i] <= STEADY),
        )
        for i, (net, run) in enumerate(zip(nets, runs, strict=True))
    ]
    return BatchRecord(
        spaces=tuple({net.note.hash: net.note for net in nets if net.note}.values()),
        references=tuple(records[:references]),
        nets=tuple(records[references:]),
        seconds=1.0,
    )


def _opened(
    host: Host, runtime: Runtime, nets: Sequence[_Net], threads: int, turn: int
) -> list[Run]:
    """Sessions of the networks, opened in another order each time, each run once."""
    runs: dict[int, Run] = {}
    for i in range(len(nets)):
        place = (i + turn) % len(nets)
        runs[place] = host.open(runtime, nets[place].artifact, threads)
        runs[place]()
    return [runs[place] for place in range(len(nets))]


def longer(seconds: float) -> str:
    """A budget that goes on after `seconds`: twice as many, in whole minutes."""
    return f"{-(-seconds // 30):.0f}m"


def _steady(rounds: Sequence[Sequence[float]]) -> float:
    halves = Timing.of(rounds).without_common_mode().split_half()
    return float((halves <= STEADY).mean())


@dataclass(frozen=True, slots=True)
class _Kernels:
    """The kernels of a network, the nodes of each (K,) and its times (rounds, runs, K) in ms."""

    kernels: tuple[KernelWords, ...]
    nodes: Ints
    ms: Floats


def _kernel_runs(net: _Net, names: tuple[str, ...], node_ms: Floats) -> _Kernels:
    """From the nodes' times (rounds, runs, N)."""
    kernels, owner = kernel_owners(net.subnet)
    owners = attribute(names, owner)
    ms = np.zeros((*node_ms.shape[:2], len(kernels)))
    np.add.at(np.moveaxis(ms, 2, 0), owners, np.moveaxis(node_ms, 2, 0))
    nodes = np.bincount(owners, minlength=len(kernels))
    return _Kernels(tuple(map(kernel_words, kernels)), nodes, ms)


def _fastest(ms: Floats) -> Floats:
    """(rounds, runs, K) to (K,): the mean of the fastest runs of each."""
    ordered = np.sort(ms.reshape(-1, ms.shape[2]), axis=0)
    return np.asarray(ordered[: max(1, round(len(ordered) * FASTEST))].mean(axis=0))
