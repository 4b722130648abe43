"""One inference of a file, whichever runtime it is for. Needs that runtime's extra."""

from __future__ import annotations

from pathlib import Path

from spacedsl.files import read_bounded
from spacedsl.targets.measure import Run

FORMATS = {"onnxruntime": "onnx", "litert": "tflite"}
"""Runtime -> the format it reads, which is also the file's suffix."""

MAX_BYTES = 2 << 30


def runtime_of(name: str) -> str | None:
    """The runtime that reads a file, by its suffix; None for anything else."""
    suffix = Path(name).suffix.removeprefix(".")
    return next((runtime for runtime, format in FORMATS.items() if format == suffix), None)


def runner(model: bytes | Path, runtime: str, threads: int = 1, seed: int = 0) -> Run:
    """A run at batch 1 on the random input of `seed`. Raises `SpaceError` for a file that the
    runtime cannot load."""
    if runtime == "litert":
        from spacedsl.targets import litert

        interpreter = litert.Session(model, threads)
        interpreter.set_input(interpreter.random_input(seed))
        return interpreter.invoke
    from spacedsl.targets import ort

    session = ort.open_session(model, threads)
    feed = ort.random_feed(session, seed)
    return lambda: session.run(None, feed)


def stamp_of(path: Path, runtime: str) -> dict[str, str]:
    """What an exported file says of itself. Raises `SpaceError` for a damaged file."""
    if runtime == "litert":
        from spacedsl.targets import litert

        return litert.stamp_of(read_bounded(path, MAX_BYTES), str(path))
    from spacedsl.targets import ort

    return ort.stamp_of(ort.open_session(path))
