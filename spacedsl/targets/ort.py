"""Running ONNX files with ONNX Runtime. Needs the extra `onnx`."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.integer_model import IntegerModel
from spacedsl.compiler.onnx_build import need_onnx
from spacedsl.diagnostics import fault
from spacedsl.targets.machine import onnxruntime_session
from spacedsl.targets.measure import Run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

QUIET = 3
MS_PER_US = 1e-3


def open_session(
    model: bytes | Path,
    threads: int = 1,
    optimised: Path | None = None,
    profile: Path | None = None,
) -> InferenceSession:
    """A session on the CPU, with the kernels of a plain one wherever those are exact.
    `optimised`: where to save the graph that really runs; `profile`: how the file begins into which
    every node's times go. Raises `SpaceError` for a file that ONNX Runtime cannot load."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    for key, value in onnxruntime_session().items():
        options.add_session_config_entry(key, value)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        name = "the model" if isinstance(model, bytes) else str(model)
        raise fault("bad-onnx", f"ONNX Runtime cannot load {name}: {error}") from None


def random_feed(session: InferenceSession, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random float32 inputs; dimensions without a number are 1. Raises `SpaceError` for inputs of
    another type."""
    rng = np.random.default_rng(seed)
    feed: dict[str, NDArray[np.float32]] = {}
    for wanted in session.get_inputs():
        if wanted.type != "tensor(float)":
            raise fault("bad-onnx", f"input {wanted.name} is a {wanted.type}, not a tensor(float)")
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in wanted.shape]
        feed[wanted.name] = rng.standard_normal(shape, dtype=np.float32)
    return feed


EVENT = re.compile(rb'"dur"\s*:\s*(\d+)[^{}]*?"name"\s*:\s*"([^"]+?)(?:_token_\d+)?_kernel_time"')
"""A node's time in microseconds and its name, to which fusions append a number; reading the whole
file as JSON takes three times as long."""


class OnnxRuntime:
    """ONNX Runtime on the CPU, as the profiler sees it."""

    name = "onnxruntime"

    def version(self) -> str:
        """Of the installed package. Raises `SpaceError` where there is none."""
        need_onnx()
        return metadata.version("onnxruntime")

    def session(self) -> dict[str, str]:
        """What its sessions set here beyond a plain one."""
        return onnxruntime_session()

    def emit(self, model: IntegerModel) -> bytes:
        """The file to run."""
        from spacedsl.compiler.onnx_int8 import emit_int8

        return bytes(emit_int8(model).SerializeToString())

    def open(self, artifact: bytes, threads: int) -> Run:
        """One inference on a random image."""
        session = open_session(artifact, threads)
        feed = random_feed(session)
        return lambda: session.run(None, feed)

    def open_profiled(self, artifact: bytes, threads: int, folder: Path) -> ProfiledSession:
        """The same with the times of its nodes; `folder` is for files of this run."""
        return ProfiledSession(artifact, threads, folder)


class ProfiledSession:
    """A session whose nodes are timed by ONNX Runtime itself."""

    def __init__(self, artifact: bytes, threads: int, folder: Path) -> None:
        prefix = folder / f"nodes-{uuid4().hex}"
        self._session = open_session(artifact, threads, profile=prefix)
        self._feed = random_feed(self._session)
        self.runs = 0

    def __call__(self) -> None:
        """One inference."""
        self._session.run(None, self._feed)
        self.runs += 1

    def close(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Names of the nodes (N,) and their times in ms (runs, N), in execution order. Raises
        `SpaceError` where the profiler's file is not whole (a full disk)."""
        path = Path(self._session.end_profiling())
        try:
            data = path.read_bytes()
            path.unlink()
        except OSError as error:
            message = f"cannot read {path}: {error.strerror or error}"
            raise fault("cannot-read", message) from None
        found = EVENT.findall(data)
        count = len(found) // max(self.runs, 1)
        if not count or count * self.runs != len(found):
            message = f"ONNX Runtime's profile {path} does not hold the nodes of {self.runs} runs"
            raise fault("bad-profile", message, "is the disk of temporary files full?")
        times = np.array([int(duration) for duration, _ in found], dtype=np.float64) * MS_PER_US
        names = tuple(name.decode() for _, name in found[:count])
        return names, times.reshape(self.runs, count)


def stamp_of(session: InferenceSession) -> dict[str, str]:
    """The `spacedsl.` metadata of an exported file, without the prefix; empty for other files."""
    prefix = "spacedsl."
    props = session.get_modelmeta().custom_metadata_map
    return {k.removeprefix(prefix): v for k, v in props.items() if k.startswith(prefix)}
