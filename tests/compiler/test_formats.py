"""What files of both formats have in common: the same bytes each time, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import pytest

from spacedsl.compiler.export import (
    Seeded,
    fp32_onnx,
    fp32_tflite,
    int8_onnx,
    int8_tflite,
    seeded,
)
from spacedsl.compiler.stamps import onnx_stamp, tflite_stamp
from spacedsl.ir.identity import space_identity
from spacedsl.passes.network import subnet_identity
from tests.support import library_model

SMALL = "models/tiny-a0"


class Files(NamedTuple):
    """A format's emitters, what reads its stamp, and how it lays images out."""

    int8: Callable[[Seeded], bytes]
    fp32: Callable[[Seeded], bytes]
    stamp: Callable[[bytes, str], dict[str, str]]
    layout: str
    shape: list[object]


FORMATS = [
    pytest.param(Files(int8_onnx, fp32_onnx, onnx_stamp, "NCHW", ["N", 3, 32, 32]), id="onnx"),
    pytest.param(
        Files(int8_tflite, fp32_tflite, tflite_stamp, "NHWC", ["N", 32, 32, 3]), id="tflite"
    ),
]


@pytest.mark.parametrize("files", FORMATS)
def test_the_same_page_and_seed_give_the_same_bytes(files: Files) -> None:
    model = library_model(SMALL)
    assert files.int8(seeded(model, 3)) == files.int8(seeded(model, 3))
    assert files.int8(seeded(model, 3)) != files.int8(seeded(model, 4))


@pytest.mark.parametrize("files", FORMATS)
def test_a_file_says_where_it_comes_from(files: Files) -> None:
    model = library_model(SMALL)
    for emit, precision in ((files.int8, "int8"), (files.fp32, "fp32")):
        stamp = files.stamp(emit(seeded(model, 0)), "a file")
        assert stamp["hash"] == subnet_identity(model)
        assert stamp["space_hash"] == space_identity(model.of)
        assert stamp["precision"] == precision
        assert "model tiny-a0 of tiny-a at 32" in stamp["page"]
        assert json.loads(stamp["preprocess"])["layout"] == files.layout
        assert json.loads(stamp["input"])["shape"] == files.shape
