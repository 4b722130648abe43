"""Running TFLite files with LiteRT. Needs the extra `tflite`; to time whole networks, the package
`tflite-runtime` will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.runtimes.quiet import quiet_library

if TYPE_CHECKING:
    from spacedsl.runtimes.litert_profile import ProfiledFile
    from spacedsl.runtimes.record import Options, Run

Floats = NDArray[np.float32]

MAX_BYTES = 2 << 30
"""Of a file, which a FlatBuffer cannot exceed."""


class Session:
    """A model ready to run on the CPU, by XNNPACK where that has the operators. Raises `SpaceError`
    for a file that LiteRT cannot load."""

    def __init__(self, model: bytes | Path, threads: int = 1) -> None:
        interpreter = _interpreter()
        try:
            data = model if isinstance(model, bytes) else read_bounded(model, MAX_BYTES)
            with quiet_library():
                self.interpreter = interpreter(model_content=data, num_threads=threads)
                self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            name = "the model" if isinstance(model, bytes) else str(model)
            raise fault("bad-tflite", f"LiteRT cannot load {name}: {error}") from None

    def set_input(self, image: Floats) -> None:
        """The image that `invoke` reads, of the shape that the file says."""
        (wanted,) = self.interpreter.get_input_details()
        self.interpreter.set_tensor(wanted["index"], np.ascontiguousarray(image))

    def invoke(self) -> None:
        """Run once, on the input set before."""
        self.interpreter.invoke()

    def run(self, image: Floats) -> dict[str, NDArray[Any]]:
        """Every output by its tensor's name."""
        self.set_input(image)
        self.invoke()
        outputs = self.interpreter.get_output_details()
        return {d["name"]: self.interpreter.get_tensor(d["index"]) for d in outputs}

    def random_input(self, seed: int = 0) -> Floats:
        """A random image. Raises `SpaceError` where the model wants anything else."""
        details = self.interpreter.get_input_details()
        if [d["dtype"] for d in details] != [np.float32]:
            found = ", ".join(np.dtype(d["dtype"]).name for d in details) or "nothing"
            raise fault("bad-tflite", f"its inputs are {found}, not one tensor of float32")
        rng = np.random.default_rng(seed)
        return rng.standard_normal([int(n) for n in details[0]["shape"]], dtype=np.float32)


def _interpreter() -> Any:
    if util.find_spec("ai_edge_litert") is None and util.find_spec("tflite_runtime") is not None:
        from tflite_runtime.interpreter import Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter
    return Interpreter


def timed(model: bytes | Path, threads: int, options: Options, seed: int = 0) -> Run:
    """One inference at batch 1 on the random input of `seed`."""
    session = Session(model, threads)
    session.set_input(session.random_input(seed))
    return session.invoke


def profiled(model: bytes, threads: int, options: Options, folder: Path) -> ProfiledFile:
    """The same, its operators timed."""
    from spacedsl.runtimes.litert_profile import ProfiledFile

    return ProfiledFile(model, threads)


def logits(model: Path, threads: int, options: Options) -> Callable[[Floats], Floats]:
    """Normalised images (N, C, H, W) to logits (N, classes); a TFLite file takes one image (1, H,
    W, C) at a time."""
    session = Session(model, threads)

    def run(images: Floats) -> Floats:
        found = [session.run(channels_last(image[None])) for image in images]
        return np.stack([next(iter(values.values()))[0] for values in found]).astype(np.float32)

    return run


def tensors(model: bytes, names: Sequence[str]) -> Callable[[Floats], Sequence[Any]]:
    """Images (1, C, H, W) to the values of these outputs."""
    session = Session(model)

    def run(images: Floats) -> list[Any]:
        found = session.run(channels_last(images))
        return [found[name] for name in names]

    return run


def channels_last(images: Floats) -> Floats:
    """(N, C, H, W) to (N, H, W, C)."""
    return images.transpose(0, 2, 3, 1)
