"""Running ONNX files with ONNX Runtime. Needs the extra `onnx`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from spacedsl.runtimes.record import Options, Run

Floats = NDArray[np.float32]

QUIET = 3
MS_PER_US = 1e-3


def open_session(
    model: bytes | Path,
    threads: int,
    options: Options,
    optimised: Path | None = None,
    profile: Path | None = None,
    exact: bool = False,
) -> InferenceSession:
    """A session on the CPU, with the kernels of a plain one but for `options`. `optimised`: where
    to save the graph that really runs; `profile`: how the file begins into which every node's times
    go; `exact`: the graph as it is written. Raises `SpaceError` for a file that ONNX Runtime cannot
    load."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = QUIET
    for key, value in options.items():
        settings.add_session_config_entry(key, value)
    if exact:
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimised is not None:
        settings.optimized_model_filepath = str(optimised)
    if profile is not None:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(profile)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        name = "the model" if isinstance(model, bytes) else str(model)
        raise fault("bad-onnx", f"ONNX Runtime cannot load {name}: {error}") from None


def random_feed(session: InferenceSession, seed: int = 0) -> dict[str, Floats]:
    """Random float32 inputs; dimensions without a number are 1. Raises `SpaceError` for inputs of
    another type."""
    rng = np.random.default_rng(seed)
    feed: dict[str, Floats] = {}
    for wanted in session.get_inputs():
        if wanted.type != "tensor(float)":
            raise fault("bad-onnx", f"input {wanted.name} is a {wanted.type}, not a tensor(float)")
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in wanted.shape]
        feed[wanted.name] = rng.standard_normal(shape, dtype=np.float32)
    return feed


EVENT = re.compile(rb'"dur"\s*:\s*(\d+)[^{}]*?"name"\s*:\s*"([^"]+?)(?:_token_\d+)?_kernel_time"')
"""A node's time in microseconds and its name, to which fusions append a number; reading the whole
file as JSON takes three times as long."""


def timed(model: bytes | Path, threads: int, options: Options, seed: int = 0) -> Run:
    """One inference at batch 1 on the random input of `seed`."""
    session = open_session(model, threads, options)
    feed = random_feed(session, seed)
    return lambda: session.run(None, feed)


class ProfiledSession:
    """A session whose nodes are timed by ONNX Runtime itself."""

    def __init__(self, model: bytes, threads: int, options: Options, folder: Path) -> None:
        prefix = folder / f"nodes-{uuid4().hex}"
        self._session = open_session(model, threads, options, profile=prefix)
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


def profiled(model: bytes, threads: int, options: Options, folder: Path) -> ProfiledSession:
    """The same, its nodes timed; `folder` is for files of this run."""
    return ProfiledSession(model, threads, options, folder)


def logits(model: Path, threads: int, options: Options) -> Callable[[Floats], Floats]:
    """Normalised images (N, C, H, W) to logits (N, classes)."""
    session = open_session(model, threads, options)
    (image,) = (wanted.name for wanted in session.get_inputs())

    def run(images: Floats) -> Floats:
        try:
            (found,) = session.run(None, {image: images})
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise fault("bad-onnx", f"{model} does not run: {error}") from None
        return np.asarray(found, np.float32)

    return run


def tensors(model: bytes, names: Sequence[str]) -> Callable[[Floats], Sequence[Any]]:
    """Images (1, C, H, W) to the values of these outputs."""
    session = open_session(model, 1, {}, exact=True)
    (image,) = (wanted.name for wanted in session.get_inputs())
    wanted = list(names)
    return lambda images: session.run(wanted, {image: images})
