"""From a page to a trained INT8 file: digits, in seconds, deployed without a difference.

With AVX512 the logits of all images are the same to the bit. With AVX2 a sum here and there rounds
otherwise, so what holds everywhere is asked for: the same answers, and tensor by tensor as few
steps off as in test_parity."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from spacedsl.compiler.integer_model import load_model
from spacedsl.compiler.stamp import IMAGE, LOGITS
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.sampling import largest, smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.runtimes.litert import Session
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.elastic.calibrate import recalibrate
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant.deployment import deploy
from spacedsl_runtime.quant.qat import QatSupernet
from tests.onnx_support import open_session
from tests.runtime.parity import (
    VNNI,
    Pair,
    by_litert,
    by_onnx_runtime,
    differences,
    extracted,
    int8_json,
)
from tests.support import page_of
from tests.test_cli import run
from tests.tflite_support import channels_last

PAGE = """language 1
use "std/blocks.space"

space digits {
  input 3 x 16
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { mbv3 { kernel 3, 5  expand 2  act hswish }  width 8, 16  depth 1..2  stride 2 }
  stage2 { fused { kernel 3  expand 1, 2  act swish }  width 16, 24 }
  stage3 { bottleneck { kernel 3  expand 0.5  act relu6 }  width 24  stride 2 }
  head { pool  dropout 0.1  linear -> 10 }
}
"""
HALF = (0.5, 0.5, 0.5)


def digits() -> tuple[Tensor, Tensor]:
    """Shuffled images (1797, 3, 16, 16) in -1..1, and labels."""
    data = load_digits()
    x = F.interpolate(torch.from_numpy(data.images).float()[:, None] / 16, scale_factor=2)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return (x.repeat(1, 3, 1, 1)[order] - 0.5) / 0.5, torch.from_numpy(data.target)[order]


def train(
    model: Supernet | QatSupernet, groups: Iterable[dict[str, Any]], data: Any, steps: int
) -> None:
    """Sandwich rule: the largest, the smallest and a random subnet in every step."""
    supernet = model if isinstance(model, Supernet) else model.supernet
    rng, generator = random.Random(0), torch.Generator().manual_seed(1)
    optimiser = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    x, y = data
    for _ in range(steps):
        batch = torch.randint(0, len(x), (64,), generator=generator)
        optimiser.zero_grad()
        for subnet in (supernet.largest(), supernet.smallest(), supernet.sample(rng)):
            torch.autograd.backward(F.cross_entropy(model(x[batch], subnet), y[batch]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    return digits()


@pytest.fixture(scope="module")
def space() -> Space:
    found = page_of(PAGE).get("digits")
    assert isinstance(found, Space)
    return found


@pytest.fixture(scope="module")
def checkpoint(
    space: Space, data: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """FP32 for 60 steps, then QAT for 25; the last 500 images are not seen."""
    torch.manual_seed(0)
    supernet = load_supernet(supernet_plan(space, VNNI))
    x, y = data[0][:-500], data[1][:-500]
    train(supernet, [{"params": list(supernet.parameters())}], (x, y), 60)
    qat = QatSupernet(supernet)
    chosen = qat.covering(random.Random(0))
    qat.start(chosen, [x[:64]] * len(chosen))
    weights = {"params": list(qat.weight_parameters()), "lr": 0.02}
    train(qat, [weights, {"params": list(qat.quantiser_parameters()), "lr": 1e-4}], (x, y), 25)
    path = tmp_path_factory.mktemp("digits") / "qat.safetensors"
    save_checkpoint(path, qat)
    return path


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

    x, y = data[0][-500:], data[1][-500:].numpy()
    (onnx,) = open_session(out).run(None, {IMAGE: x.numpy()})
    session = Session(tflite)
    litert = np.concatenate([session.run(channels_last(i[None]))[LOGITS] for i in x.numpy()])
    with torch.no_grad():
        mine = net(x).numpy()
    for theirs in (onnx, litert):
        assert (theirs.argmax(1) == mine.argmax(1)).all()
        assert (theirs.argmax(1) == y).mean() > 0.9
    pair = Pair(net, load_model(weights))
    for runtime in (by_onnx_runtime, by_litert):
        found = [off for _, off in differences(pair, x[:100], runtime)]
        assert max(off.max() for off in found) <= 1
        assert sum(off.sum() for off in found) < 50e-6 * sum(off.size for off in found)
