"""Batches and maps of one value: no variance is known of them, and nothing fails or explodes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from spacedsl.operators.size import pair
from spacedsl_runtime.distill.loss import Definition, nsr_loss
from spacedsl_runtime.elastic.modules import ElasticNorm
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from tests.runtime.training import digits, job, mini_plan, run

SMALL = """language 1
use "std/blocks.space"
space mini {
  input 1 x 4, 8
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 { mbv2 { kernel 3  expand 2 }  width 8, 16  depth 1..2  stride 2 }
  stage2 { mbv2 { kernel 3  expand 2 }  width 16  depth 1  stride 2 }
  head { conv 1x1 -> 32 relu  pool  linear -> 10 }
}
"""
"""Its last maps are of 1 x 1 pixels."""


def test_one_value_is_normalised_by_the_running_statistics() -> None:
    norm = ElasticNorm(3).train()
    norm.running_mean += 2
    x = torch.randn(1, 3, 1, 1)
    assert torch.allclose(norm(x), (x - 2) / (1 + 1e-5) ** 0.5)
    assert norm.running_mean.tolist() == [2, 2, 2]
    norm(torch.randn(1, 3, 1, 2))
    assert norm.running_mean.tolist() != [2, 2, 2]


def test_training_with_one_image_a_step(tmp_path: Path) -> None:
    """In FP32 and then in QAT, whose quantisers start on one image too where there is only one."""
    data = digits(5, 3)
    options: dict[str, Any] = {"plan": mini_plan(SMALL, "cpu"), "batch": 1, "steps": 4}
    scores = run(job(tmp_path / "run", data, holdout=0, **options))
    assert {s.images for s in scores} == {3}
    qat = job(tmp_path / "run" / "qat", data, holdout=0, fp32=tmp_path / "run", **options)
    assert {s.images for s in run(qat)} == {3}


def test_quantisers_start_on_one_image() -> None:
    qat = QatSupernet(load_supernet(mini_plan(SMALL, "cpu"), 1, 10))
    shapes = qat.covering(random.Random(0))
    qat.start(shapes, [torch.randn(1, 1, *pair(s.resolution)) for s in shapes])
    assert all(torch.isfinite(p).all() for p in qat.quantiser_parameters())


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("last", [1, 2])
def test_recalibration_with_a_last_batch_of_one_image(quantised: bool, last: int) -> None:
    """It counts for maps of several pixels; what a 1 x 1 map knows is that of the batch before."""
    torch.manual_seed(0)
    model: Any = load_supernet(mini_plan(SMALL, "cpu"), 1, 10)
    smallest = model.smallest(4)
    batches = [torch.randn(n, 1, 4, 4) for n in (6, last)]
    if quantised:
        model = QatSupernet(model)
        model.start([smallest], [batches[0]])
    model.eval()
    found, first = (recalibrate(model.extract(smallest), batches[:n]) for n in (2, 1))
    kinds = (nn.BatchNorm2d, ElasticNorm)
    norms = [[m for m in net.modules() if isinstance(m, kinds)] for net in (found, first)]
    same = [torch.equal(a.running_var, b.running_var) for a, b in zip(*norms, strict=True)]
    assert not same[0]
    assert any(same) == (last == 1)
    assert not any(m.training for m in found.modules())
    assert not found[0]._forward_pre_hooks if isinstance(found, nn.Sequential) else True


@pytest.mark.parametrize("definition", ["teacher", "authors"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_loss_of_maps_of_one_pixel(definition: Definition, scale: float) -> None:
    """Predicting the mean is a loss of about 1, whatever the scale."""
    torch.manual_seed(0)
    teacher = scale * torch.randn(16, 24, 1, 1)
    student = 0.5 * teacher
    loss = float(nsr_loss(teacher, student, definition))
    assert loss == pytest.approx(0.25 if definition == "teacher" else 1.0, rel=0.05)
    mean = torch.zeros_like(teacher, requires_grad=True)
    nsr_loss(teacher, mean).backward()  # type: ignore[no-untyped-call]
    assert float(nsr_loss(teacher, mean).detach()) == pytest.approx(1, rel=0.05)
    assert mean.grad is not None
    assert torch.isfinite(mean.grad).all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (4, 3, 1, 1), (2, 3, 4, 4)])
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_maps_have_a_finite_loss(shape: tuple[int, ...], value: float) -> None:
    teacher = torch.full(shape, value)
    assert float(nsr_loss(teacher, teacher + 0.5)) == pytest.approx(0.25)
