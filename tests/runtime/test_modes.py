"""The same networks in other clothes: compiled, under autocast, on CUDA, as an FP32 ONNX file."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from spacedsl.compiler.graph import Graph
from spacedsl.compiler.integer_model import preprocess_for
from spacedsl.compiler.onnx_build import check
from spacedsl.compiler.onnx_fp32 import emit_fp32
from spacedsl.compiler.parameters import Parameters, expected_shapes
from spacedsl.compiler.plans import network_plan
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl_runtime.elastic.static import folded
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from tests.compiler.onnx_support import by_onnx_runtime, outputs_of
from tests.laws.strategies import RANDOMS, members
from tests.runtime.parity import VNNI, deployed, differences, extracted
from tests.runtime.support import (
    images,
    outputs,
    shake,
    started,
    supernet_of,
    target_plan,
)
from tests.support import library_model, library_space, page_of

VNNI_SPACE = library_space("tiny-a")

NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}

no_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def parameters_of(module: torch.nn.Module, graph: Graph) -> Parameters:
    """A static module's arrays by the names of the network graph; both stand in one order."""
    weighted = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    norms = {
        id(layer): norm
        for seq in module.modules()
        if isinstance(seq, torch.nn.Sequential)
        for layer, norm in pairwise(seq)
        if isinstance(norm, torch.nn.BatchNorm2d)
    }
    found: Parameters = {}
    for (name, shapes), layer in zip(expected_shapes(graph).items(), weighted, strict=True):
        arrays = {"weight": layer.weight.detach().numpy().reshape(shapes["weight"])}
        if layer.bias is not None:
            arrays["bias"] = layer.bias.detach().numpy()
        if (norm := norms.get(id(layer))) is not None:
            state = norm.state_dict()
            arrays |= {name: state[key].numpy() for name, key in NORM.items()}
        found[name] = arrays
    return found


@settings(max_examples=20)
@given(members(elastic=2, most=2), RANDOMS)
def test_the_extracted_module_is_the_fp32_onnx_file(space: Space, rng: random.Random) -> None:
    subnet = random_subnet(space, rng)
    supernet = load_supernet(supernet_plan(space))
    shake(supernet)
    chosen, plan = subnet, network_plan(subnet)
    module = supernet.eval().extract(chosen)
    arrays, x = parameters_of(folded(module), plan.graph), images(3, chosen)
    model = check(emit_fp32(plan, arrays, preprocess_for(3), "test"))
    found = outputs_of(model, x.numpy())
    with torch.no_grad():
        wanted = outputs(module(x))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        most = float(value.abs().max())
        assert np.allclose(found[name], value.numpy(), rtol=1e-3, atol=1e-4 * most)


def extremes(qat: QatSupernet) -> tuple[Subnet, Subnet]:
    return qat.supernet.largest(), qat.supernet.smallest()


MINI = """language 1
space mini {
  input 3 x 8
  stem { conv 3x3 hswish strided  width 8  stride 2 }
  head { pool  linear -> 10 }
}
"""


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("training", [False, True])
def test_qat_can_be_traced_whole_by_torch_compile(training: bool) -> None:
    """A small net: Dynamo takes a second for every four tensors."""
    torch.compiler.reset()
    space = page_of(MINI).get("mini")
    assert isinstance(space, Space)
    qat = started(supernet_plan(space, VNNI)).train(training)
    compiled = torch.compile(qat, backend="aot_eager", fullgraph=True, dynamic=False)
    subnet = qat.supernet.largest()
    x = images(2, subnet)
    mine, theirs = (run(x, subnet) for run in (qat, compiled))
    assert torch.allclose(mine, theirs, atol=1e-4)
    torch.autograd.backward(theirs.square().sum())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in qat.parameters())


@pytest.mark.usefixtures("unchecked_shapes")
def test_the_extracted_module_can_be_compiled() -> None:
    torch.compiler.reset()
    supernet = supernet_of("tiny-a")
    module, x = supernet.extract(supernet.largest()), images(2, supernet.largest())
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True, dynamic=False)
    with torch.no_grad():
        assert torch.allclose(compiled(x), module(x), atol=1e-5)


def test_evaluation_under_autocast_is_still_that_of_integers() -> None:
    qat = started(target_plan("tiny-a"))
    for subnet in extremes(qat):
        x = images(4, subnet)
        with torch.no_grad():
            exact = qat(x, subnet)
            with torch.autocast("cpu", torch.bfloat16):
                assert torch.equal(qat(x, subnet), exact)


def test_qat_trains_under_autocast() -> None:
    qat = started(target_plan("tiny-a")).train()
    subnet = qat.supernet.largest()
    x = images(8, subnet)
    exact = qat(x, subnet, dropout=False)
    with torch.autocast("cpu", torch.bfloat16):
        found = qat(x, subnet, dropout=False)
    assert (found - exact).norm() < 0.1 * exact.norm()
    torch.autograd.backward(found.float().square().sum())
    assert all(torch.isfinite(p.grad).all() for p in qat.parameters() if p.grad is not None)


@no_cuda
def test_qat_runs_on_cuda_and_deploys_the_same_integers(tmp_path: Path) -> None:
    model = library_model("models/tiny-a0")
    qat = started(target_plan("tiny-a")).to("cuda")
    net = extracted(qat, model)
    x = images(4, net.subnet)
    pair = deployed(net, model, tmp_path)
    with torch.no_grad():
        found = net(x.to("cuda")).cpu()
        assert torch.allclose(found, net.cpu()(x), atol=0.1)
    assert all(off.max() <= 1 for _, off in differences(pair, x, by_onnx_runtime))


def test_a_plan_for_qat_is_a_plan_for_fp32() -> None:
    """The target changes nothing but what QAT quantises."""
    plain, stamped = (load_supernet(supernet_plan(VNNI_SPACE, t)).eval() for t in (None, VNNI))
    subnet = plain.smallest()
    x = images(2, subnet)
    with torch.no_grad():
        assert torch.equal(plain(x, subnet), stamped(x, subnet))
