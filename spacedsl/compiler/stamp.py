"""What an artifact says of itself, in whatever format: identity, page, versions, preprocessing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from spacedsl.compiler.graph import Shape
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.plans import Origin

IMAGE, LOGITS, BATCH = "image", "logits", "N"
"""Names of an artifact's input, its output and the dimension that may have any size."""

PREFIX = "spacedsl."


def metadata(
    origin: Origin,
    preprocess: Preprocess,
    labels: Iterable[str],
    shape: Shape,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
    **more: str,
) -> dict[str, str]:
    """Keys (with `PREFIX`) and texts; `shape` is the image's, (C, H, W)."""
    channels, height, width = shape
    sizes = [*shape] if layout == "NCHW" else [height, width, channels]
    found = {
        "model": origin.model,
        "hash": origin.hash,
        "page": origin.text,
        "space": origin.space,
        "space_hash": origin.space_hash,
        "version": origin.spacedsl,
        "input": json.dumps({"shape": [BATCH, *sizes], "dtype": "float32"}),
        "preprocess": preprocess.model_copy(update={"layout": layout}).model_dump_json(
            exclude_none=True
        ),
        "labels": json.dumps(list(labels)),
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
