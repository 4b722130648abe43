"""QAT as a mode of the supernet: quantisers on every 8-bit tensor, and only there."""

from __future__ import annotations

import random

import pytest
import torch

from spacedsl.compiler.int8 import quantise_graph
from spacedsl.compiler.plans import network_plan
from spacedsl.ir.sampling import random_subnet
from spacedsl.targets.rules import ONNXRUNTIME
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import PlanError, SubnetError
from spacedsl_runtime.quant.qat import QatSupernet, Rewrite
from tests.runtime.support import images, plan_of, supernet_of, to_runtime
from tests.support import library_space

ACTS: dict[str, Rewrite] = dict(ONNXRUNTIME.acts)


def started(name: str, count: int = 12) -> QatSupernet:
    supernet = load_supernet(plan_of(name))
    rng = random.Random(0)
    drawn = [supernet.largest(32), supernet.smallest(32)]
    drawn += [supernet.sample(rng, 32) for _ in range(count)]
    qat = QatSupernet(supernet, ACTS)
    qat.start(drawn, [images(4, s) for s in drawn])
    return qat


def test_the_8_bit_tensors_are_those_of_the_int8_graph() -> None:
    space = library_space("baselines/mobilenetv3")
    drawn = random_subnet(space, random.Random(0)).model_copy(update={"resolution": 32})
    supernet = supernet_of("baselines/mobilenetv3")
    qat = QatSupernet(supernet, ACTS)
    subnet = to_runtime(drawn.model_copy(update={"resolution": 128}))
    qat.start([subnet], [images(1, subnet)])
    graph = quantise_graph(network_plan(drawn).graph, ONNXRUNTIME)
    learned = {n.name for n in graph.nodes if n.fixed is None and not n.shared}
    assert len(qat.edges) == len(learned)
    mine = {key.partition("-")[0] for key in qat.edges}
    assert mine == {name.replace(".", "_") for name in learned}
    weighted = {n.name.replace(".", "_") for n in graph.nodes if n.source}
    assert set(qat.scales) == weighted


def test_quantised_stays_near_fp32_and_trains() -> None:
    torch.manual_seed(0)
    qat = started("tiny-a")
    supernet = qat.supernet
    subnet = supernet.largest(32)
    x = images(8, subnet)
    qat.train()
    full, quantised = supernet(x, subnet, dropout=False), qat(x, subnet)
    labels = torch.randint(0, 10, (8,))
    assert quantised.shape == full.shape
    quantisers = [*qat.edges.parameters(), *qat.scales.parameters()]
    weights = list(supernet.parameters())
    groups = [{"params": weights, "lr": 0.05}, {"params": quantisers, "lr": 1e-4}]
    optimiser = torch.optim.SGD(groups)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(qat(x, subnet), labels)
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    learned = [p.grad for n, p in qat.named_parameters() if n.startswith(("edges", "scales"))]
    assert sum(g is not None and bool(g.abs() > 0) for g in learned) > len(learned) / 4


def test_in_eval_it_is_close_to_fp32() -> None:
    qat = started("tiny-a").eval()
    subnet = qat.supernet.smallest(32)
    x = images(8, subnet)
    qat.supernet.train()
    with torch.no_grad():
        full, quantised = qat.supernet(x, subnet, dropout=False), qat(x, subnet)
    assert (full - quantised).norm() < 0.1 * full.norm()


def test_strangers_are_refused() -> None:
    qat = started("tiny-a", count=0)
    with pytest.raises(PlanError, match="no 8-bit form of the activation swish"):
        QatSupernet(qat.supernet, {"relu": "saturate"}).start(
            [qat.supernet.largest(32)], [images(1, qat.supernet.largest(32))]
        )
    bare = QatSupernet(qat.supernet, ACTS)
    with pytest.raises(SubnetError, match="no quantiser for input"):
        bare(images(1, qat.supernet.largest(32)), qat.supernet.largest(32))
