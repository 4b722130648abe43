"""What the profiler needs of a runtime. One class per runtime implements it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.plans import int8_plan, network_plan
from spacedsl.compiler.untrained import untrained_model
from spacedsl.diagnostics import fault
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.targets.measure import Run
from spacedsl.targets.ort import OnnxRuntime
from spacedsl.targets.rules import rules_of
from spacedsl.targets.runners import runner


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


class Runtime(Protocol):
    """What runs a target's networks."""

    @property
    def name(self) -> str:
        """As targets' pages name it."""

    def version(self) -> str:
        """Of what is installed. Raises `SpaceError` where nothing is."""

    def session(self) -> dict[str, str]:
        """What its sessions set on this machine beyond a plain one."""

    def emit(self, model: IntegerModel) -> bytes:
        """The file that this runtime runs."""

    def open(self, artifact: bytes, threads: int) -> Run:
        """One inference."""

    def open_profiled(self, artifact: bytes, threads: int, folder: Path) -> Profiled:
        """The same, its nodes timed; `folder` is for files of this run."""


class LiteRt:
    """LiteRT with XNNPACK."""

    name = "litert"

    def version(self) -> str:
        """Of the installed package. Raises `SpaceError` where there is none."""
        from spacedsl.compiler.tflite_build import need_litert

        need_litert()
        return metadata.version("ai-edge-litert")

    def session(self) -> dict[str, str]:
        """Nothing: XNNPACK is what LiteRT uses anyway."""
        return {}

    def emit(self, model: IntegerModel) -> bytes:
        """The file to run."""
        from spacedsl.compiler.tflite_int8 import emit_int8

        return emit_int8(model)

    def open(self, artifact: bytes, threads: int) -> Run:
        """One inference on a random image."""
        return runner(artifact, self.name, threads)

    def open_profiled(self, artifact: bytes, threads: int, folder: Path) -> Profiled:
        """The same, timed by LiteRT itself."""
        from spacedsl.targets.litert_profile import ProfiledFile

        return ProfiledFile(artifact, threads)


RUNTIMES: dict[str, Runtime] = {"onnxruntime": OnnxRuntime(), "litert": LiteRt()}


def runtime_of(target: Target) -> Runtime:
    """The runtime that a target's networks run on here. Raises `SpaceError` where there is none, or
    another version than the page asks for."""
    name = rules_of(target).runtime
    if name not in RUNTIMES:
        message = f"target `{target.name}`: networks cannot be measured with {name}"
        raise fault("unknown-runtime", message)
    found = RUNTIMES[name]
    version = found.version()
    if not f"{version}.".startswith(f"{target.version}." if target.version else ""):
        message = f"target `{target.name}` is of {name} {target.version}, here is {version}"
        raise fault("wrong-version", message, "install that version, or change the page")
    return found


def artifact_of(subnet: Subnet, target: Target) -> bytes:
    """A model as its target runs it, with weights of no meaning. Raises `SpaceError`."""
    plan = int8_plan(network_plan(subnet), rules_of(target), target)
    return runtime_of(target).emit(untrained_model(plan, seed=0))
