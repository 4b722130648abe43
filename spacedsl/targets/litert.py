"""Running TFLite files with LiteRT, and reading what they say of themselves. Needs the extra
`tflite`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.stamp import PREFIX, without_prefix
from spacedsl.compiler.tflite_build import IDENTIFIER
from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.targets.quiet import quiet_library

MAX_BYTES = 2 << 30
"""Of a file, which a FlatBuffer cannot exceed."""

MAX_METADATA = 256
"""Entries of metadata that are looked at."""


class Session:
    """A model ready to run on the CPU, by XNNPACK where that has the operators. Raises `SpaceError`
    for a file that LiteRT cannot load."""

    def __init__(self, model: bytes | Path, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            data = model if isinstance(model, bytes) else read_bounded(model, MAX_BYTES)
            with quiet_library():
                self.interpreter = Interpreter(model_content=data, num_threads=threads)
                self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            name = "the model" if isinstance(model, bytes) else str(model)
            raise fault("bad-tflite", f"LiteRT cannot load {name}: {error}") from None

    def set_input(self, image: NDArray[np.float32]) -> None:
        """The image that `invoke` reads, of the shape that the file says."""
        (wanted,) = self.interpreter.get_input_details()
        self.interpreter.set_tensor(wanted["index"], np.ascontiguousarray(image))

    def invoke(self) -> None:
        """Run once, on the input set before."""
        self.interpreter.invoke()

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Every output by its tensor's name."""
        self.set_input(image)
        self.invoke()
        outputs = self.interpreter.get_output_details()
        return {d["name"]: self.interpreter.get_tensor(d["index"]) for d in outputs}

    def random_input(self, seed: int = 0) -> NDArray[np.float32]:
        """A random image. Raises `SpaceError` where the model wants anything else."""
        details = self.interpreter.get_input_details()
        if [d["dtype"] for d in details] != [np.float32]:
            found = ", ".join(np.dtype(d["dtype"]).name for d in details) or "nothing"
            raise fault("bad-tflite", f"its inputs are {found}, not one tensor of float32")
        rng = np.random.default_rng(seed)
        return rng.standard_normal([int(n) for n in details[0]["shape"]], dtype=np.float32)


def stamp_of(data: bytes, name: str) -> dict[str, str]:
    """The `spacedsl.` metadata of a TFLite file, without the prefix; empty for other files. Raises
    `SpaceError` for what is no TFLite file."""
    if data[4:8] != IDENTIFIER:
        raise fault("bad-tflite", f"{name} is not a TFLite file")
    try:
        return without_prefix(dict(_entries(data)))
    except Exception as error:  # the schema's reader checks nothing: any offset may be wrong
        raise fault("bad-tflite", f"{name} is damaged: {error}") from None


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(data)
    for i in range(min(model.MetadataLength(), MAX_METADATA)):
        entry = model.Metadata(i)
        if not entry.Name().startswith(PREFIX.encode()):
            continue
        text = model.Buffers(entry.Buffer()).DataAsNumpy()
        found = text.tobytes() if isinstance(text, np.ndarray) else b""  # 0 where it is empty
        yield entry.Name().decode(), found.decode()
