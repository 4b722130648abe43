"""Where work is done: in this process, in forked ones that share its memory, or on a Ray cluster.
Results come in the order of the items and are the same everywhere."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from spacedsl.diagnostics import fault

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Executor(Protocol):
    """`work(state, item)` of every item, in order; `state` is the same for all."""

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]: ...


def serial(work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
    """One item after the other, here."""
    return (work(state, item) for item in items)


_shared: list[tuple[Callable[[Any, Any], Any], Any]] = []
"""What forked processes work with, while they do."""


def _shared_work(item: object) -> object:
    work, state = _shared[-1]
    return work(state, item)


class Processes:
    """`jobs` forked processes, to which the state's memory is visible as it is."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
        jobs = min(self.jobs, len(items))
        if jobs <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            yield from serial(work, state, items)
            return
        _shared.append((work, state))
        try:
            with multiprocessing.get_context("fork").Pool(jobs) as pool:
                yield from pool.imap(_shared_work, items)
        finally:
            _shared.pop()


class Ray:
    """A Ray cluster (extra `ray`): the one at `address`, or a local one. The state is put into its
    object store once. Raises `SpaceError` where ray is not installed."""

    def __init__(self, address: str | None = None, jobs: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            help = "pip install 'spacedsl[ray]'"
            raise fault("missing-extra", "ray is not installed", help) from None
        self._ray: Any = ray
        if not ray.is_initialized():
            ray.init(address=address, num_cpus=None if address else jobs, log_to_driver=False)

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
        held, remote = self._ray.put(state), self._ray.remote(work)
        waiting = [remote.remote(held, item) for item in items]
        for found in waiting:
            yield self._ray.get(found)
