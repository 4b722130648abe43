"""Runs the files of a folder, each on its images, and writes every output: what the emulated CPU
runs. Needs numpy and the runtime, nothing of this project.

    python guest.py FOLDER onnxruntime|litert [SESSION OPTION=VALUE ...]

Beside `NAME.onnx` or `NAME.tflite` lies `NAME.npy`, images (N, C, H, W); `NAME.onnxruntime.npz` or
`NAME.litert.npz` is written, every output under its name, one row per image."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = dict[str, NDArray[Any]]


def by_onnxruntime(path: Path, images: NDArray[np.float32], entries: Sequence[str]) -> Outputs:
    """The outputs of an ONNX file."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for entry in entries:
        key, _, value = entry.partition("=")
        options.add_session_config_entry(key, value)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (image,) = session.get_inputs()
    return dict(zip(names, session.run(names, {image.name: images}), strict=True))


def by_litert(path: Path, images: NDArray[np.float32], _: Sequence[str]) -> Outputs:
    """The outputs of a TFLite file, which takes one image at a time."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    outputs = interpreter.get_output_details()
    found: dict[str, list[NDArray[Any]]] = {output["name"]: [] for output in outputs}
    for one in images:
        interpreter.set_tensor(image["index"], np.ascontiguousarray(one.transpose(1, 2, 0)[None]))
        interpreter.invoke()
        for output in outputs:
            found[output["name"]].append(interpreter.get_tensor(output["index"]))
    return {name: np.concatenate(rows) for name, rows in found.items()}


RUNTIMES: dict[str, tuple[str, Callable[..., Outputs]]] = {
    "onnxruntime": ("onnx", by_onnxruntime),
    "litert": ("tflite", by_litert),
}
"""The suffix of a runtime's files, and what runs them."""


def main(folder: str, runtime: str, *entries: str) -> None:
    """Run every file of a runtime."""
    suffix, run = RUNTIMES[runtime]
    for path in sorted(Path(folder).glob(f"*.{suffix}")):
        outputs = run(path, np.load(path.with_suffix(".npy")), entries)
        np.savez(path.with_suffix(f".{runtime}.npz"), **outputs)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
