"""What exported files say of themselves, read back. Needs the extra that writes their format."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spacedsl.checksum import damaged
from spacedsl.compiler.onnx_build import need_onnx
from spacedsl.compiler.stamp import PREFIX, is_whole, without_prefix
from spacedsl.compiler.tflite_build import IDENTIFIER, need_litert
from spacedsl.diagnostics import fault

AGAIN = "export it again; a file that another program has changed is another file"
MAX_METADATA = 256
"""Entries of a TFLite file's metadata that are looked at."""


def onnx_stamp(data: bytes, name: str) -> dict[str, str]:
    """The `spacedsl.` metadata of an ONNX file, without the prefix; empty for other files. Raises
    `SpaceError` for what is no ONNX file."""
    need_onnx()
    import onnx

    if not is_whole(data):
        raise fault("bad-onnx", damaged(name), AGAIN)

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own errors have no common base
        raise fault("bad-onnx", f"{name} is not an ONNX file: {error}") from None
    return without_prefix({entry.key: entry.value for entry in model.metadata_props})


def tflite_stamp(data: bytes, name: str) -> dict[str, str]:
    """The `spacedsl.` metadata of a TFLite file, without the prefix; empty for other files. Raises
    `SpaceError` for what is no TFLite file."""
    need_litert()
    if data[4:8] != IDENTIFIER:
        raise fault("bad-tflite", f"{name} is not a TFLite file")
    if not is_whole(data):
        raise fault("bad-tflite", damaged(name), AGAIN)
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
