"""Where work is done: in this process, in others on this machine, or on a Ray cluster. Results are
the same everywhere; called, an executor gives them in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol, TypeVar

from spacedsl.diagnostics import fault

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


class Executor(Protocol):
    """`work(state, item)` of every item, in order; `state` is the same for all."""

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]: ...


class Died(NamedTuple):
    """In place of a result: the process that was to find it was killed, more than once."""

    why: str


class Completing(Protocol):
    """Executors of work that takes minutes, in processes to which state and results are sent."""

    def completed(
        self, work: Callable[[S, I], O], state: S, items: Sequence[I]
    ) -> Iterator[tuple[int, O | Died]]:
        """`work(state, item)` of every item, with its index, in the order in which they end. What
        `work` raises is raised."""


def serial(work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
    """One item after the other, here."""
    return (work(state, item) for item in items)


_shared: list[tuple[Callable[[Any, Any], Any], Any]] = []
"""What forked processes work with, while they do."""


def _shared_work(item: object) -> object:
    work, state = _shared[-1]
    return work(state, item)


class Processes:
    """`jobs` forked processes, to which the state's memory is visible as it is; 0: one for each
    core."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs or os.cpu_count() or 1

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
        jobs = min(self.jobs, len(items))
        if jobs <= 1 or "fork" not in multiprocessing.get_all_start_methods():
            yield from serial(work, state, items)
            return
        _shared.append((work, state))
        others = multiprocessing.active_children()
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), _begin)
        found = pool.map(_shared_work, items)
        ours = set(multiprocessing.active_children()).difference(others)
        try:
            yield from found  # type: ignore[misc]
        except BrokenProcessPool:
            reason = "a process was killed, perhaps for its memory"
            raise fault("job-failed", reason, "--jobs 1 needs less memory") from None
        except BaseException:  # nobody waits for what has begun
            for process in ours:
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            _shared.pop()

    def completed(
        self, work: Callable[[S, I], O], state: S, items: Sequence[I]
    ) -> Iterator[tuple[int, O | Died]]:
        """See `Completing`. Processes start afresh: libraries with threads do not survive a fork.
        Where one is killed, what was left is done one item at a time, and tried twice: so the
        culprit is found, and an item that never had a turn is not blamed for one death."""
        left = dict(enumerate(items))
        for index, found in _afresh(min(self.jobs, len(items)), work, state, dict(left)):
            del left[index]
            yield index, found
        for index, item in left.items():
            alone = list(_afresh(1, work, state, {index: item}))
            alone = alone or list(_afresh(1, work, state, {index: item}))
            yield from alone
            if not alone:
                yield index, Died("its process was killed, perhaps for its memory")


def _afresh(
    jobs: int, work: Callable[[S, I], O], state: S, items: Mapping[int, I]
) -> Iterator[tuple[int, O]]:
    """What ended before any process was killed."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, jobs), context, _enter, (work, state)) as pool:
        futures = {pool.submit(_shared_work, item): index for index, item in items.items()}
        try:
            for future in as_completed(futures):
                with suppress(BrokenProcessPool):
                    yield futures[future], future.result()  # type: ignore[misc]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _enter(work: Callable[[Any, Any], Any], state: object) -> None:
    _shared.append((work, state))
    _begin()


def _begin() -> None:
    """Let a process end when it is told to, whatever its parent does at signals, and with it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


LOCAL = "local"
"""The address by which Ray begins a cluster of its own, whatever else runs on this machine."""


CLUSTER = "`ray start --head` begins one; RAY_AUTH_MODE=token where it asks for its token"
"""What helps where no Ray cluster answers."""


class Ray:
    """A Ray cluster (extra `ray`): the one at `address`, or one of our own on this machine. The
    state is put into its object store once; `jobs` items are worked on at a time, by default as
    many as the cluster takes; each has `gpus` cards to itself. Raises `SpaceError` where ray is not
    installed or no cluster answers."""

    def __init__(self, address: str = LOCAL, jobs: int | None = None, gpus: int = 0) -> None:
        try:
            import ray
        except ImportError:
            help = "pip install 'spacedsl[ray]'"
            raise fault("missing-extra", "ray is not installed", help) from None
        self._ray: Any = ray
        self._needs = {"num_gpus": gpus} if gpus else {}
        ours = address == LOCAL
        self._most = None if ours else jobs  # ours is made for as many
        if ray.is_initialized():
            return
        if not ours:
            _require_answer(address)
        try:
            ray.init(address=address, num_cpus=jobs if ours else None, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise fault("bad-option", f"--ray {address}: {reason}", CLUSTER) from None

    def __call__(self, work: Callable[[S, I], O], state: S, items: Sequence[I]) -> Iterator[O]:
        held, remote = self._ray.put(state), self._remote(work)
        waiting: deque[Any] = deque()
        for item in items:
            if len(waiting) == self._most:
                yield self._ray.get(waiting.popleft())
            waiting.append(remote.remote(held, item))
        for found in waiting:
            yield self._ray.get(found)

    def _remote(self, work: Callable[[S, I], O]) -> Any:
        made = self._ray.remote(work)
        return made.options(**self._needs) if self._needs else made

    def completed(
        self, work: Callable[[S, I], O], state: S, items: Sequence[I]
    ) -> Iterator[tuple[int, O | Died]]:
        """See `Completing`; what is done by a process that is killed, Ray itself does again."""
        held, remote = self._ray.put(state), self._remote(work)
        left = enumerate(items)
        waiting: dict[Any, int] = {}
        while True:
            for index, item in islice(left, self._most and self._most - len(waiting)):
                waiting[remote.remote(held, item)] = index
            if not waiting:
                return
            (ready,), _ = self._ray.wait(list(waiting), num_returns=1)
            index = waiting.pop(ready)
            try:
                yield index, self._ray.get(ready)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except self._ray.exceptions.RayError as error:
                yield index, Died(str(error).partition("\n")[0])


def _require_answer(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto`, or something that Ray refuses at once
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fault(
            "bad-option", f"no Ray cluster answers at {address}: {reason}", CLUSTER
        ) from None
