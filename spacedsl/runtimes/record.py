"""What a runtime is: one record of facts, and a module that opens sessions.

A module is imported when a session is opened, never before; it imports numpy, its runtime's
package, and of spacedsl only what `spacedsl.hosts` sends to another machine as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from spacedsl.runtimes.rules import Rules, Without

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Run = Callable[[], object]
"""One inference."""

Options = Mapping[str, str]
"""What sessions set beyond a plain one, besides their threads."""


class Host(Protocol):
    """A machine, as far as it decides what sessions set (`machine.Machine`)."""

    @property
    def onnxruntime_session(self) -> dict[str, str]:
        """What ONNX Runtime's sessions set there."""


class Profiled(Protocol):
    """A network whose nodes are timed as it runs."""

    def __call__(self) -> None:
        """One inference."""

    @property
    def runs(self) -> int:
        """Inferences so far."""

    def close(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the nodes (N,), beginning with those of the plan, and their times in ms
        (runs, N), in execution order."""


class Sessions(Protocol):
    """The functions of a runtime's module. Each raises `SpaceError` for a file that the runtime
    cannot load; a model is a file's content or its path."""

    def timed(self, model: bytes | Path, threads: int, options: Options, seed: int = 0) -> Run:
        """One inference at batch 1 on the random input of `seed`."""

    def profiled(self, model: bytes, threads: int, options: Options, folder: Path) -> Profiled:
        """The same, its nodes timed; `folder` is for files of this run."""

    def logits(
        self, model: Path, threads: int, options: Options
    ) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """Normalised images (N, C, H, W) to logits (N, classes), by a file of ours."""

    def tensors(
        self, model: bytes, names: Sequence[str]
    ) -> Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]:
        """Normalised images (1, C, H, W) to the values of these outputs of an FP32 file of ours, by
        plain float32 arithmetic: what calibrates an INT8 network."""


def _plain(machine: Host) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Runtime:
    """What runs files. `title`: as people write it; `about`: a clause of help texts; `extra`: which
    of spacedsl's extras installs its `packages`, the first of which is the runtime itself;
    `module`: where its `Sessions` are; `rules`: of its INT8 files, and what they are without each
    of the `optional` ones; `options`: what its sessions set on a machine beyond plain ones;
    `stand_ins`: packages that time whole networks on another machine in its stead."""

    title: str
    about: str
    extra: str
    packages: tuple[str, ...]
    module: str
    rules: Rules
    optional: Mapping[str, Without] = field(default_factory=dict)
    options: Callable[[Host], dict[str, str]] = _plain
    stand_ins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As targets' pages and options name it."""
        return self.rules.runtime

    @property
    def format(self) -> str:
        """What it reads, which is also the file's suffix."""
        return self.rules.formats[0]

    @property
    def sessions(self) -> Sessions:
        """Its functions. Imports nothing heavy by itself."""
        return cast(Sessions, import_module(self.module))
