"""Running ONNX files with ONNX Runtime. Needs the extra `onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

QUIET = 3


def open_session(
    model: bytes | Path, threads: int = 1, optimised: Path | None = None
) -> InferenceSession:
    """A session on the CPU. `optimised`: where to save the graph that really runs. Raises
    `SpaceError` for a file that ONNX Runtime cannot load."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
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


def stamp_of(session: InferenceSession) -> dict[str, str]:
    """The `spacedsl.` metadata of an exported file, without the prefix; empty for other files."""
    prefix = "spacedsl."
    props = session.get_modelmeta().custom_metadata_map
    return {k.removeprefix(prefix): v for k, v in props.items() if k.startswith(prefix)}
