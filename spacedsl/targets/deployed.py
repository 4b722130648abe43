"""Deployed graphs: what they say of their input, and what runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from spacedsl.compiler.export import FILES
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.plans import OWN_HEAD
from spacedsl.diagnostics import fault
from spacedsl.figures import listed
from spacedsl.files import check_meant, read_bounded
from spacedsl.hosts.host import options_here
from spacedsl.operators.size import Size, size_of
from spacedsl.runtimes.table import need, reader

Floats = NDArray[np.float32]

MAX_SIZE = 4096
"""Side of an input in pixels: a file can claim any."""

MAX_BYTES = 2 << 30
"""Of a file, which neither format can exceed."""

Run = Callable[[Floats], Floats]
"""Normalised images (N, C, H, W) to logits (N, classes)."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """`model` and `hash` as stamped; images of `channels` and `size` in pixels become its
    input by `preprocess`; `labels` may be empty; `runtime` is what runs it."""

    model: str
    hash: str
    channels: int
    size: Size
    preprocess: Preprocess
    labels: tuple[str, ...]
    runtime: str
    run: Run


def open_deployed(path: Path, threads: int = 1, runtime: str | None = None) -> Deployed:
    """A graph that `spacedsl export` wrote, for a runtime that reads it (None: the usual one).
    Raises `SpaceError` for any other file, also for one that gives maps."""
    used = reader(str(path), runtime)
    if not path.is_file():
        check_meant(path)
        raise fault("cannot-read", f"there is no file {path}")
    need(used)
    run = used.sessions.logits(path, threads, options_here(used.name))
    stamp = stamp_of(path)
    _check_outputs(path, stamp)
    try:
        shape = [int(n) for n in json.loads(stamp["input"])["shape"][1:]]
        preprocess = Preprocess.model_validate_json(stamp["preprocess"])
        labels = tuple(map(str, json.loads(stamp["labels"])))
        channels, height, width = shape if used.format == "onnx" else (shape[2], *shape[:2])
        fits = all(0 < side <= MAX_SIZE for side in (height, width))
        if not fits or channels != len(preprocess.mean):
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
        size_of(height, width),
        preprocess,
        labels,
        used.name,
        run,
    )


def _check_outputs(path: Path, stamp: Mapping[str, str]) -> None:
    """Raises `SpaceError` for a file that gives maps, by what it says. Files of earlier versions
    say nothing: they give logits."""
    try:
        names = [str(output["name"]) for output in json.loads(stamp.get("outputs", "[]"))]
    except (ValueError, TypeError, KeyError, IndexError):
        names = []  # damaged, as what else it says may be
    if names not in ([], [LOGITS]):
        message = f"{path} gives maps ({listed(names)}), not logits"
        raise fault("no-head", message, OWN_HEAD)


def stamp_of(path: Path) -> dict[str, str]:
    """What an exported file says of itself. Raises `SpaceError` for a damaged file."""
    return FILES[reader(str(path)).format].stamp(read_bounded(path, MAX_BYTES), str(path))
