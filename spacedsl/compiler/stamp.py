"""What an artifact says of itself, in whatever format: identity, page, versions, preprocessing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal

from spacedsl.compiler.graph import Graph
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.plans import Origin

IMAGE, BATCH = "image", "N"
"""Names of an artifact's input and of the dimension that may have any size."""

PREFIX = "spacedsl."


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
