"""BKD stages and the NSR loss."""

from __future__ import annotations

import random

import pytest
import torch

from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.operators.size import pair
from spacedsl_runtime.distill.loss import nsr_loss
from spacedsl_runtime.distill.quantised import QatBkdStage
from spacedsl_runtime.distill.stage import load_bkd_stage
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.plan import check_subnet
from spacedsl_runtime.quant.modules import last_of
from tests.runtime.support import bkd_plans_of, plan_of, shake

TINY = bkd_plans_of("tiny")
ONNXW = bkd_plans_of("onnxw")[::5]
QUANTISED = bkd_plans_of("onnxw", "cpu")[1:6:2]


@pytest.mark.parametrize("plan", [*TINY, *ONNXW], ids=lambda p: p.name)
def test_a_stage_maps_teacher_maps_to_teacher_maps(plan: SupernetPlan) -> None:
    stage = load_bkd_stage(plan, teacher_in=20, teacher_out=28).eval()
    shake(stage)
    rng, step = random.Random(0), stage.plan.input_stride
    for drawn in (stage.largest(), stage.smallest(), stage.sample(rng), stage.sample(rng)):
        check_subnet(stage.plan, drawn)
        x = torch.randn(2, 20, 8, 8)
        size = 8 // pair(stage.plan.stages[0].stride)[0]
        with torch.no_grad():
            found = stage(x, drawn)
            static = stage.extract(drawn)
        assert found.shape == (2, 28, size, size)
        near = drawn.model_copy(update={"resolution": 8 * step})
        with torch.no_grad():
            assert torch.equal(found, static(x.contiguous(memory_format=torch.channels_last)))
            assert torch.equal(found, stage(x, near))


def test_every_input_width_is_drawn() -> None:
    stage = load_bkd_stage(TINY[2], 4, 4)
    rng = random.Random(0)
    drawn = [stage.sample(rng) for _ in range(200)]
    assert {s.of.channels for s in drawn} == set(stage.plan.cins)
    windows = {tuple(sorted({b.width for b in s.stages[0].blocks})) for s in drawn}
    assert any(len(w) > 1 for w in windows)


def test_a_few_steps_of_distillation_reduce_the_loss() -> None:
    torch.manual_seed(0)
    stage = load_bkd_stage(TINY[1], 12, 16).train()
    teacher = torch.nn.Conv2d(12, 16, 3, 2, 1)
    optimiser = torch.optim.Adam(stage.parameters(), 0.01)
    rng, losses = random.Random(0), []
    x = torch.randn(16, 12, 12, 12)
    target = teacher(x).detach()
    for _ in range(40):
        optimiser.zero_grad()
        for subnet in (stage.largest(), stage.smallest(), stage.sample(rng)):
            loss = nsr_loss(target, stage(x, subnet))
            torch.autograd.backward(loss)
            losses.append(float(loss.detach()))
        optimiser.step()
    assert losses[-3] < 0.7 * losses[0]
    static = recalibrate(stage.extract(stage.largest()), [x])
    with torch.no_grad():
        assert float(nsr_loss(target, static.eval()(x))) < losses[0]


@pytest.mark.parametrize("number", range(len(QUANTISED)), ids=lambda i: QUANTISED[i].name)
def test_a_stage_in_8_bits(number: int) -> None:
    """Extracted as it is, on a grid of steps, and close to FP32."""
    stage = load_bkd_stage(QUANTISED[number], 12, 16).eval()
    shake(stage)
    qat, rng = QatBkdStage(stage).eval(), random.Random(0)
    drawn = [stage.largest(), stage.smallest(), stage.sample(rng)]
    x = torch.randn(8, 12, 8, 8)
    chosen = qat.covering_all(drawn)
    qat.start(chosen, [x] * len(chosen))
    for subnet in drawn:
        with torch.no_grad():
            net = recalibrate(qat.extract(subnet), [x])
            exact = recalibrate(stage.extract(subnet), [x])(x)
            found = net(x)
            assert torch.equal(qat(x, subnet), qat.extract(subnet)(x))
            assert 0 < float(nsr_loss(exact, found)) < 0.05
            before, _ = stage.projections(subnet)
            made = net.run_graph(net.graph, torch.nn.functional.conv2d(x, before))
            steps = last_of(net.graph, made)
            scale = net.quantiser(net.graph[-1]).active_scale()
            assert torch.allclose((steps / scale).round() * scale, steps)
    with pytest.raises(PlanError, match="names no target"):
        QatBkdStage(load_bkd_stage(TINY[0], 12, 16))


def test_nsr_is_its_definition() -> None:
    torch.manual_seed(0)
    t, s = torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6)
    by_hand = [
        (t[n, c] - s[n, c]).square().mean() / t[n, c].var(correction=0)
        for n in range(3)
        for c in range(4)
    ]
    assert torch.isclose(nsr_loss(t, s), torch.stack(by_hand).mean())
    authors = [
        (t[n, c] - s[n, c]).square().mean() / s[n, c].var(correction=1)
        for n in range(3)
        for c in range(4)
    ]
    assert torch.isclose(nsr_loss(t, s, "authors"), torch.stack(authors).mean())
    assert float(nsr_loss(t, t)) == 0


def test_constant_maps_do_not_break_nsr() -> None:
    t, s = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4, requires_grad=True)
    t[:, 0] = 1.0
    loss = nsr_loss(t, s)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert s.grad is not None
    assert torch.isfinite(s.grad).all()
    assert torch.isfinite(nsr_loss(torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)))


def test_other_plans_and_subnets_are_refused() -> None:
    with pytest.raises(PlanError, match="kind 'supernet' where 'bkd' is needed"):
        load_bkd_stage(plan_of("tiny-a"), 4, 4)
    stage = load_bkd_stage(TINY[0], 4, 4)
    stranger = stage.smallest().model_copy(update={"of": stage.plan.reading(5)})
    with pytest.raises(SubnetError, match="input width 5 is not one of 8"):
        stage.extract(stranger)
