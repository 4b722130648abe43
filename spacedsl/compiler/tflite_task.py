"""TFLite Metadata: what an image classifier says of itself to MediaPipe's and Android's task
libraries (normalisation, image size, labels). Needs the extra `tflite`.

The form is `metadata_schema.fbs` of TensorFlow Lite Support, version 1.1.0: one more FlatBuffer
among the model's metadata, and files in a ZIP archive behind the model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spacedsl.checksum import KEY
from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.stamp import IMAGE, described

if TYPE_CHECKING:
    from flatbuffers import Builder

ENTRY, IDENTIFIER = "TFLITE_METADATA", b"M001"

LABELS, STAMP = "labels.txt", "spacedsl.json"
"""Files in the archive: a class a line, and the stamp as one JSON object."""

IMAGE_PROPERTIES, NORMALIZATION, AXIS_LABELS = 2, 1, 2
"""Members of the schema's unions and enumerations."""

RGB, GRAYSCALE = 1, 2

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest a ZIP archive can say: the same model gives the same bytes."""


def task_metadata(known: Mapping[str, str]) -> bytes:
    """The FlatBuffer under `ENTRY`, of a file with this stamp (keys without their prefix)."""
    import flatbuffers

    build = flatbuffers.Builder(1024)
    how = json.loads(known["preprocess"])
    _, height, width, channels = json.loads(known["input"])["shape"]
    image = _image(build, height, width, channels, how["mean"], how["std"])
    labelled = bool(json.loads(known["labels"]))
    names = [output["name"] for output in json.loads(known["outputs"])]
    outputs = [_output(build, name, labelled=labelled and name == LOGITS) for name in names]
    graph = _table(build, 11, {2: _vector(build, [image]), 3: _vector(build, outputs)})
    model = _table(
        build,
        8,
        {
            0: build.CreateString(known["model"]),
            1: build.CreateString(described(known)),
            3: _vector(build, [graph]),
            7: build.CreateString("1.0.0"),
        },
    )
    build.Finish(model, IDENTIFIER)
    return bytes(build.Output())


def with_files(model: bytes, known: Mapping[str, str]) -> bytes:
    """A TFLite file with its labels and its stamp (keys without their prefix) behind it, which any
    ZIP reader opens."""
    labels = json.loads(known["labels"])
    archive = io.BytesIO()
    archive.write(model)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as files:
        if labels:
            files.writestr(zipfile.ZipInfo(LABELS, ZIP_TIME), "\n".join(labels))
        said = {key: text for key, text in known.items() if key != KEY}  # it stands in one place
        files.writestr(zipfile.ZipInfo(STAMP, ZIP_TIME), json.dumps(said, indent=1))
    return archive.getvalue()


def _image(
    build: Builder,
    height: int,
    width: int,
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> int:
    """The input: pixels of 0..255, minus mean, over std. Equal values of all channels are said
    once: MediaPipe takes no others."""
    if len(set(mean)) == len(set(std)) == 1:
        mean, std = mean[:1], std[:1]
    size = _table(build, 2, {}, {0: width, 1: height})
    colour = RGB if channels == 3 else GRAYSCALE
    properties = _table(build, 2, {1: size}, bytes_={0: colour})
    content = _table(build, 2, {1: properties}, bytes_={0: IMAGE_PROPERTIES})
    means = _floats(build, [255 * m for m in mean])
    options = _table(build, 2, {0: means, 1: _floats(build, [255 * s for s in std])})
    unit = _table(build, 2, {1: options}, bytes_={0: NORMALIZATION})
    units = _vector(build, [unit])
    return _table(build, 7, {0: build.CreateString(IMAGE), 3: content, 4: units})


def _output(build: Builder, name: str, *, labelled: bool) -> int:
    """An output; the logits with the names of their classes."""
    fields = {0: build.CreateString(name)}
    if labelled:
        file = build.CreateString(LABELS)
        fields[6] = _vector(build, [_table(build, 5, {0: file}, bytes_={2: AXIS_LABELS})])
    return _table(build, 7, fields)


def _table(
    build: Builder,
    count: int,
    offsets: Mapping[int, int],
    numbers: Mapping[int, int] | None = None,
    bytes_: Mapping[int, int] | None = None,
) -> int:
    """A table of `count` fields: other objects, 32-bit numbers and bytes by field."""
    build.StartObject(count)
    for field, offset in offsets.items():
        build.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in (numbers or {}).items():
        build.PrependUint32Slot(field, number, 0)
    for field, byte in (bytes_ or {}).items():
        build.PrependUint8Slot(field, byte, 0)
    return int(build.EndObject())


def _vector(build: Builder, offsets: Sequence[int]) -> int:
    build.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        build.PrependUOffsetTRelative(offset)
    return int(build.EndVector())


def _floats(build: Builder, values: Sequence[float]) -> int:
    build.StartVector(4, len(values), 4)
    for value in reversed(values):
        build.PrependFloat32(value)
    return int(build.EndVector())
