"""What an artifact says of itself, in whatever format: identity, page, versions, preprocessing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from spacedsl.checksum import KEY, checksum
from spacedsl.compiler.graph import Graph
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.plans import Origin

IMAGE, BATCH = "image", "N"
"""Names of an artifact's input and of the dimension that may have any size."""

PREFIX = "spacedsl."

UNSEALED = "spacedsl-crc32:00000000"
"""The checksum of a file that is not finished, which has as many characters as any."""

SEAL = re.compile(rb"spacedsl-crc32:([0-9a-f]{8})")


def seal(data: bytes) -> bytes:
    """A finished file with the checksum of all else in it, in the place that its metadata keep."""
    place = _place(data)
    if place is None:
        return data
    return data[:place] + checksum([data]).encode() + data[place + DIGITS :]


def is_whole(data: bytes) -> bool:
    """Whether a file is as `seal` made it. One without a checksum is nobody's to judge."""
    place = _place(data)
    if place is None:
        return True
    end = place + DIGITS
    blank = [data[:place], b"0" * DIGITS, data[end:]]
    return checksum(blank).encode() == data[place:end]


DIGITS = 8


def _place(data: bytes) -> int | None:
    """Where the checksum's digits stand, if in one place."""
    found = [match.start(1) for match in SEAL.finditer(data)]
    return found[0] if len(found) == 1 else None


def metadata(
    origin: Origin,
    preprocess: Preprocess,
    labels: Iterable[str],
    graph: Graph,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
    **more: str,
) -> dict[str, str]:
    """Keys (with `PREFIX`) and texts of a network's file."""

    def tensor(shape: tuple[int, ...]) -> dict[str, object]:
        first, *rest = shape
        sizes = [first, *rest] if layout == "NCHW" else [*rest, first]
        return {"shape": [BATCH, *sizes], "dtype": "float32"}

    found = {
        "model": origin.model,
        "hash": origin.hash,
        "page": origin.text,
        "space": origin.space,
        "space_hash": origin.space_hash,
        "version": origin.spacedsl,
        "input": json.dumps(tensor(graph.input.shape)),
        "outputs": json.dumps([{"name": o.name, **tensor(o.shape)} for o in graph.outputs]),
        "preprocess": preprocess.model_copy(update={"layout": layout}).model_dump_json(
            exclude_none=True
        ),
        "labels": json.dumps(list(labels)),
        KEY: UNSEALED,
        **more,
    }
    return {f"{PREFIX}{key}": value for key, value in found.items()}


def described(known: Mapping[str, str]) -> str:
    """A few words about an artifact, from its metadata without `PREFIX`. Viewers show them."""
    runtime = f" for {known['runtime']}" if "runtime" in known else ""
    of = f", a network of the space {known['space']}" if known["space"] else ""
    kind = known["precision"].upper()
    return (
        f"{known['model']}{of}: {kind}{runtime}, weights: {known['weights']}. Its metadata hold "
        f"its page ({PREFIX}page), preprocessing ({PREFIX}preprocess) and classes ({PREFIX}labels)."
    )


def without_prefix(found: Mapping[str, str]) -> dict[str, str]:
    """Our keys among an artifact's, without `PREFIX`; empty for a file of somebody else."""
    return {k.removeprefix(PREFIX): v for k, v in found.items() if k.startswith(PREFIX)}
