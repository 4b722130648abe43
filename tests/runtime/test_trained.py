"""From a page to a trained INT8 file: digits, in seconds, deployed without a difference.

With AVX512 the logits of all images are the same to the bit. With AVX2 a sum here and there rounds
otherwise, so what holds everywhere is asked for: the same answers, and tensor by tensor as few
steps off as in test_parity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spacedsl.compiler.graph import LOGITS
from spacedsl.compiler.integer_model import load_model
from spacedsl.compiler.stamp import IMAGE
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.sampling import largest, smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.runtimes.litert import Session
from spacedsl.targets.deployed import open_deployed
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.quant.deployment import deploy
from spacedsl_runtime.quant.qat import QatSupernet
from tests.cli.test_commands import run
from tests.compiler.onnx_support import by_onnx_runtime, open_session
from tests.compiler.tflite_support import channels_last
from tests.runtime.digits import HALF, PAGE, UNSEEN, digits, digits_space, trained_supernet
from tests.runtime.parity import (
    VNNI,
    Pair,
    by_litert,
    differences,
    extracted,
    int8_json,
)


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    return digits()


@pytest.fixture(scope="module")
def space() -> Space:
    return digits_space()


@pytest.fixture(scope="module")
def checkpoint(
    space: Space, data: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("digits") / "qat.safetensors"
    save_checkpoint(path, trained_supernet(space, data))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("choose", [largest, smallest])
def test_a_trained_network_is_deployed_without_a_difference(
    choose: Any, space: Space, data: tuple[Tensor, Tensor], checkpoint: Path, tmp_path: Path
) -> None:
    """A checkpoint and a model's page to files that both runtimes run, by the user's way."""
    model: Subnet = choose(space)
    qat = QatSupernet(load_supernet(supernet_plan(space, VNNI), seed=9)).eval()
    load_checkpoint(checkpoint, qat)
    net = recalibrate(extracted(qat, model), [data[0][:256], data[0][256:512]])
    weights, page, out = (tmp_path / name for name in ("w.npz", "m.space", "m.onnx"))
    deploy(net, int8_json(model), weights, mean=HALF, std=HALF, labels=list("0123456789"))
    (tmp_path / "digits.space").write_text(PAGE)
    page.write_text(write(model))
    options = ("--weights", str(weights))
    result = run("export", str(page), *options, "--out", str(out))
    assert result.exit_code == 0, result.stderr
    tflite = tmp_path / "m.tflite"
    result = run("export", str(page), *options, "--format", "tflite", "--out", str(tflite))
    assert result.exit_code == 0, result.stderr

    x, y = data[0][-UNSEEN:], data[1][-UNSEEN:].numpy()
    (onnx,) = open_session(out).run(None, {IMAGE: x.numpy()})
    session = Session(tflite)
    litert = np.concatenate([session.run(channels_last(i[None]))[LOGITS] for i in x.numpy()])
    with torch.no_grad():
        mine = net(x).numpy()
    for theirs in (onnx, litert):
        assert (theirs.argmax(1) == mine.argmax(1)).all()
        assert (theirs.argmax(1) == y).mean() > 0.9
    others = open_deployed(out, runtime="openvino").run(x.numpy())
    off = np.abs(others - onnx) / np.abs(onnx).max(1, keepdims=True)
    assert (others.argmax(1) == onnx.argmax(1)).mean() >= 0.99
    assert 0 < np.median(off.max(1)) < 0.05, "OpenVINO's numbers are its own"
    assert (others.argmax(1) == y).mean() > 0.9
    pair = Pair(net, load_model(weights))
    for runtime in (by_onnx_runtime, by_litert):
        found = [off for _, off in differences(pair, x[:100], runtime)]
        assert max(off.max() for off in found) <= 1
        assert sum(off.sum() for off in found) < 50e-6 * sum(off.size for off in found)
