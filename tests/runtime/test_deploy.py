"""A subnet and an INT8 plan that do not belong together: one clear error, nothing written."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import spacedsl_runtime
from spacedsl.compiler.integer_model import load_model
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.sampling import smallest
from spacedsl_runtime.errors import DeployError, PlanError, SpacedslError
from spacedsl_runtime.quant.deployment import deploy
from tests.compiler.onnx_support import by_onnx_runtime
from tests.runtime.parity import VNNI, Pair, differences, extracted, int8_json
from tests.runtime.support import images, started
from tests.support import library_model, library_space

MODEL = library_model("models/tiny-a0")
NET = extracted(started(supernet_plan(library_space("tiny-a"), VNNI)), MODEL)
PLAN = int8_json(MODEL)
HALF = (0.5, 0.5, 0.5)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The plan with one entry replaced."""
    data = copy.deepcopy(PLAN)
    here: Any = data
    *parents, last = [int(k) if k.isdigit() else k for k in path.split("/")]
    for key in parents:
        here = here[key]
    here[last] = value
    return data


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (changed("format", 2), "kind 'int8', format 2; what is needed is of kind 'int8', format 1"),
        (
            changed("kind", "network"),
            "is of kind 'network', format 1; what is needed is of kind 'int8'",
        ),
        (changed("graph/nodes/0/op", 3), r"the plan: graph.nodes.0.op: Input should be 'input'"),
        (changed("graph", {}), "the plan: graph.runtime: Field required"),
        (changed("network/nodes", 1), "the plan: network.nodes: Input should be a valid tuple"),
        (
            changed("origin/space_hash", "00"),
            r"space 00; the weights are of tiny-a, space",
        ),
        (changed("rules/acts/0/1", "gate"), "onnxruntime, whose relu is gate; QAT was for"),
        (changed("graph/nodes/1/kernel", 5), "stem.0.conv0 has kernel 5; tiny-a0 has 3"),
        (changed("graph/nodes/1/clip", "relu6"), "has clip relu6; tiny-a0 has relu"),
        (changed("graph/nodes/0/shape", [3, 24, 24]), r"shape \(3, 24, 24\); tiny-a0 has"),
        (changed("graph/nodes", PLAN["graph"]["nodes"][:-1]), r"has .*; tiny-a0 has"),
        (int8_json(smallest(library_space("tiny-a"))), "plan is of smallest, whose"),
        (int8_json(library_model("models/seqnet-vnni-a0")), "of seqnet-vnni-a0 of vnni, space"),
    ],
)
def test_plans_of_something_else(plan: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((DeployError, PlanError), match=message):
        deploy(NET, plan, tmp_path / "w.npz", mean=HALF, std=HALF)
    assert not list(tmp_path.iterdir())


def test_damaged_plans_and_numbers(tmp_path: Path) -> None:
    path, out = tmp_path / "p.json", tmp_path / "w.npz"
    path.write_text(json.dumps(PLAN)[:-20])
    with pytest.raises(PlanError, match="no JSON, or cut short"):
        deploy(NET, path, out, mean=HALF, std=HALF)
    with pytest.raises(PlanError, match=r"cannot read .*: No such file"):
        deploy(NET, tmp_path / "none.json", out, mean=HALF, std=HALF)
    with pytest.raises(DeployError, match="mean and std need 3 values each"):
        deploy(NET, PLAN, out, mean=(0.5,), std=(0.5,))
    with pytest.raises(DeployError, match=r"cannot write .*: No such file"):
        deploy(NET, PLAN, tmp_path / "no" / "w.npz", mean=HALF, std=HALF)
    broken = copy.deepcopy(NET)
    with torch.no_grad():
        next(broken.layers.parameters()).fill_(torch.nan)
    with pytest.raises(SpacedslError, match=r"stem.0.conv0: its weight is no finite number"):
        deploy(broken, PLAN, out, mean=HALF, std=HALF)
    assert not out.exists()


def test_the_same_subnet_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    for path in (first, second):
        spacedsl_runtime.deploy(NET, PLAN, path, mean=HALF, std=HALF, labels=["a", "b"])
    assert first.read_bytes() == second.read_bytes()
    header = load_model(first).header
    assert header.labels == ("a", "b")
    assert header.preprocess.mean == HALF
    assert header.plan.origin.space_hash == NET.plan.hash


def test_channels_and_classes_are_those_of_the_data(tmp_path: Path) -> None:
    """They are in no hash: a page with other numbers gives the plan."""
    qat = started(supernet_plan(library_space("tiny-a"), VNNI), channels=1, classes=7)
    net, path = extracted(qat, MODEL), tmp_path / "w.npz"
    deploy(net, PLAN, path, mean=(0.5,), std=(0.5,))
    model = load_model(path)
    assert model.header.plan.network.input.shape == (1, 32, 32)
    assert model.nodes[-1].shape == (7, 1, 1)
    x = images(4, net.subnet, 1)
    assert all(off.max() <= 1 for _, off in differences(Pair(net, model), x, by_onnx_runtime))
