"""What other tools read of exported files: shapes and words for viewers, labels for apps."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, load_model_from_string
from PIL import Image

from spacedsl.compiler.card import PHOTO, card
from spacedsl.compiler.export import FILES, Seeded, fp32_onnx, int8_onnx, integer_model, seeded
from spacedsl.compiler.retarget import restamped
from spacedsl.compiler.tflite_int8 import emit_int8
from spacedsl.compiler.tflite_task import ENTRY, IDENTIFIER
from spacedsl.operators.size import pair
from spacedsl.runtimes.table import LITERT, ONNXRUNTIME
from spacedsl.targets.deployed import open_deployed
from spacedsl_runtime.data.views import normalised
from tests.support import library_model

LABELS = ("rose", "tulip", "daisy")


@pytest.fixture(scope="module")
def net() -> Seeded:
    return seeded(library_model("models/tiny-a0"), 0)


@pytest.fixture(scope="module")
def tflite(net: Seeded) -> bytes:
    model = integer_model(net, LITERT.rules)
    return emit_int8(replace(model, header=model.header.model_copy(update={"labels": LABELS})))


def test_every_onnx_tensor_has_its_shape(net: Seeded) -> None:
    for data in (int8_onnx(net), fp32_onnx(net)):
        model: ModelProto = load_model_from_string(data)
        graph = model.graph
        known = {v.name: v.type.tensor_type.shape for v in (*graph.value_info, *graph.output)}
        for node in graph.node:
            for name in node.output:
                sizes = [d.dim_value or d.dim_param for d in known[name].dim]
                assert all(sizes), (name, sizes)
        assert "tiny-a0, a network of the space" in model.doc_string


def test_a_tflite_file_is_an_archive_of_its_labels_and_its_stamp(tflite: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(tflite)) as files:
        assert files.read("labels.txt").decode().splitlines() == list(LABELS)
        stamp = json.loads(files.read("spacedsl.json"))
    assert json.loads(stamp["labels"]) == list(LABELS)
    assert stamp["model"] == "tiny-a0"


class Table:
    """A FlatBuffer's table, read by field numbers alone: an oracle of its own."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def number(self, at: int, kind: str = "<i4") -> Any:
        return np.frombuffer(self.data, kind, 1, at)[0].item()

    def place(self, field: int) -> int:
        layout = self.at - self.number(self.at)
        offset = self.number(layout + 4 + 2 * field, "<u2")
        assert offset, f"field {field} is not there"
        return self.at + int(offset)

    def table(self, field: int) -> Table:
        place = self.place(field)
        return Table(self.data, place + self.number(place, "<u4"))

    def items(self, field: int) -> Iterator[int]:
        """Where each of a vector's 4-byte items is."""
        start = self.table(field).at
        return iter(range(start + 4, start + 4 + 4 * self.number(start, "<u4"), 4))

    def tables(self, field: int) -> list[Table]:
        return [Table(self.data, at + self.number(at, "<u4")) for at in self.items(field)]

    def text(self, field: int) -> str:
        start = self.table(field).at
        return self.data[start + 4 : start + 4 + self.number(start, "<u4")].decode()

    def floats(self, field: int) -> list[float]:
        return [self.number(at, "<f4") for at in self.items(field)]


def test_task_libraries_find_size_normalisation_and_labels(tflite: bytes, net: Seeded) -> None:
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(tflite)
    entries = {
        model.Metadata(i).Name().decode(): model.Buffers(model.Metadata(i).Buffer()).DataAsNumpy()
        for i in range(model.MetadataLength())
    }
    data = entries[ENTRY].tobytes()
    assert data[4:8] == IDENTIFIER
    root = Table(data, int(np.frombuffer(data, "<u4", 1)[0]))
    assert root.text(0) == "tiny-a0"
    (graph,) = root.tables(3)
    (image,), (logits,) = graph.tables(2), graph.tables(3)
    size = image.table(3).table(1).table(1)
    height, width = net.plan.graph.input.shape[1:]
    assert (size.number(size.place(0)), size.number(size.place(1))) == (width, height)
    (unit,) = image.tables(4)
    how = net.preprocess
    assert unit.table(1).floats(0) == pytest.approx([255 * m for m in how.mean])
    assert unit.table(1).floats(1) == pytest.approx([255 * s for s in how.std])
    (file,) = logits.tables(6)
    assert file.text(0) == "labels.txt"
    assert file.number(file.place(2), "u1") == 2, "labels of the axis of a tensor"


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_the_app_on_the_card_classifies_a_photo(tmp_path: Path, format: str) -> None:
    """With the packages it names, it finds the class that `eval` would."""
    net = seeded(library_model("models/seqnet-pixel4-a0"), 0)
    labels = tuple(f"class {i}" for i in range(1000))
    model = integer_model(net, LITERT.rules)
    model = replace(model, header=model.header.model_copy(update={"labels": labels}))
    file = tmp_path / f"net.{format}"
    made = restamped(model, ONNXRUNTIME.rules, None) if format == "onnx" else model
    assert made is not None
    data = FILES[format].integers(made)
    file.write_bytes(data)
    rng = np.random.default_rng(3)
    photo = Image.fromarray(rng.integers(0, 255, (240, 320, 3), np.uint8))
    photo = photo.resize((320, 240))
    photo.save(tmp_path / "photo.jpg", quality=95)
    text = card(format, file, FILES[format].stamp(data, file.name), len(data))
    assert text.startswith("---\nlibrary_name:")
    assert "class 19 and 980 more" in text
    (app,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in app.splitlines() if line]) <= 25
    call = [sys.executable, "-c", app]
    found = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
    deployed = open_deployed(file)
    source = decoded(Image.open(tmp_path / "photo.jpg"), pair(deployed.size)[0])
    views = normalised(source[None], deployed.preprocess.mean, deployed.preprocess.std)
    assert found.stdout.strip() == labels[int(deployed.run(views)[0].argmax())]


def decoded(photo: Image.Image, size: int) -> NDArray[np.uint8]:
    """A photo's centre, (C, size, size), as the runtime's data have it."""
    side = 0.875 * min(photo.size)
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR, box)).transpose(2, 0, 1)


def test_the_app_crops_as_its_input_is_shaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 49 rows and 10 columns the photo gives the middle of that form, not a square."""
    photo = Image.fromarray(np.random.default_rng(3).integers(0, 255, (240, 320), np.uint8))
    photo.save(tmp_path / "photo.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {
        "Image": Image,
        "np": np,
        "height": 49,
        "width": 10,
        "how": {"mean": [0], "std": [1]},
    }
    exec(PHOTO.format(mode="L"), known)
    rows, columns = 0.875 * 240, 0.875 * 240 * 10 / 49
    left, top = (320 - columns) / 2, (240 - rows) / 2
    box = (left, top, left + columns, top + rows)
    wanted = Image.open("photo.jpg").resize((10, 49), Image.Resampling.BILINEAR, box)
    assert np.allclose(
        known["image"][..., 0], np.asarray(wanted, np.float32) / 255, atol=1.01 / 255
    )
