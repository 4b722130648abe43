"""Deployed graphs: what they say of their input, and what runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.stamp import IMAGE, LOGITS
from spacedsl.diagnostics import fault, one_of
from spacedsl.targets.runners import FORMATS, runtime_of, stamp_of

Floats = NDArray[np.float32]

MAX_SIZE = 4096
"""Side of an input in pixels: a file can claim any."""

Run = Callable[[Floats], Floats]
"""Normalised images (N, C, H, W) to logits (N, classes)."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """`model` and `hash` as stamped; images of `channels` x `size` x `size` pixels become its
    input by `preprocess`; `labels` may be empty."""

    model: str
    hash: str
    channels: int
    size: int
    preprocess: Preprocess
    labels: tuple[str, ...]
    run: Run


def open_deployed(path: Path, threads: int = 1) -> Deployed:
    """A graph that `spacedsl export` wrote. Raises `SpaceError` for any other file."""
    runtime = runtime_of(path.name)
    if runtime is None:
        endings = one_of([f".{format}" for format in FORMATS.values()])
        raise fault("wrong-kind", f"{path} does not end in {endings}")
    if not path.is_file():
        raise fault("cannot-read", f"there is no file {path}")
    run = _OPENERS[FORMATS[runtime]](path, threads)
    stamp = stamp_of(path, runtime)
    try:
        shape = [int(n) for n in json.loads(stamp["input"])["shape"][1:]]
        preprocess = Preprocess.model_validate_json(stamp["preprocess"])
        labels = tuple(map(str, json.loads(stamp["labels"])))
        channels, size = min(shape[0], shape[-1]), shape[1]
        square = sorted(shape) == sorted((channels, size, size)) and 0 < size <= MAX_SIZE
        if not square or channels != len(preprocess.mean):
            raise ValueError(f"an input of {shape}")
    except (KeyError, ValueError, TypeError, IndexError, ValidationError) as error:
        raise fault(
            "no-stamp",
            f"{path} does not say how an image becomes its input: {error!r}"[:300],
            "it was not written by `spacedsl export`, or changed since",
        ) from None
    return Deployed(
        stamp.get("model", path.stem),
        stamp.get("hash", ""),
        channels,
        size,
        preprocess,
        labels,
        run,
    )


def _onnx(path: Path, threads: int) -> Run:
    from spacedsl.compiler.onnx_build import need_onnx
    from spacedsl.targets.ort import open_session

    need_onnx()
    session = open_session(path, threads)

    def run(images: Floats) -> Floats:
        try:
            (logits,) = session.run([LOGITS], {IMAGE: images})
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise fault("bad-onnx", f"{path} does not run: {error}") from None
        return np.asarray(logits, np.float32)

    return run


def _tflite(path: Path, threads: int) -> Run:
    """A TFLite file takes one image (1, H, W, C) at a time."""
    from spacedsl.compiler.tflite_build import need_litert
    from spacedsl.targets.litert import Session

    need_litert()
    session = Session(path, threads)

    def run(images: Floats) -> Floats:
        found = [session.run(image[None].transpose(0, 2, 3, 1))[LOGITS][0] for image in images]
        return np.stack(found).astype(np.float32)

    return run


_OPENERS = {"onnx": _onnx, "tflite": _tflite}
"""By format: what runs a file."""
