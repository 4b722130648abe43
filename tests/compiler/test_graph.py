"""Plans of models: graphs that agree with the cost pass, files that are exactly of this version."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given

from spacedsl.compiler.graph import Graph, Node, lower
from spacedsl.compiler.int8 import GATE, quantise_graph
from spacedsl.compiler.parameters import expected_shapes
from spacedsl.compiler.plans import (
    Int8Plan,
    NetworkPlan,
    Origin,
    int8_plan,
    load_plan,
    network_plan,
    plan_text,
)
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.subnet import Subnet
from spacedsl.json_files import sealed_text
from spacedsl.operators.window import Window
from spacedsl.passes.cost import SCALES_PER_CONV, subnet_cost
from spacedsl.runtimes.table import BUILT_IN, LITERT, ONNXRUNTIME, rules_of
from tests.laws.strategies import subnets
from tests.support import PAGES, SPACES, library_item, library_model, page_id

MODELS = [
    page_id(p)
    for p in PAGES
    if p.parent.name != "std" and isinstance(library_item(page_id(p)), Subnet)
]
GOLDEN = Path(__file__).parents[1] / "golden"
NOWHERE = Origin(model="", hash="", text="", space="", space_hash="", spacedsl="")
UPDATE = "SPACEDSL_UPDATE_GOLDEN" in os.environ


def macs(graph: Graph) -> int:
    """Multiply-accumulates, counted from the graph alone."""
    nodes, total = graph.by_name(), 0
    for name, shapes in expected_shapes(graph).items():
        _, height, width = nodes[name].shape
        cout, fan, rows, columns = shapes["weight"]
        total += cout * fan * rows * columns * height * width
    return total


def parameters(graph: Graph) -> int:
    """Weights, biases, gamma and beta, and the LSQ+ scalars, as the cost pass counts them."""
    total = 0
    for shapes in expected_shapes(graph).values():
        cout, fan, rows, columns = shapes["weight"]
        counted = sum(cout for k in ("bias", "gamma", "beta") if k in shapes)
        total += cout * fan * rows * columns + counted + SCALES_PER_CONV
    return total


@given(subnets())
def test_the_graph_costs_what_the_page_costs(subnet: Subnet) -> None:
    graph, cost = lower(subnet), subnet_cost(subnet)
    assert macs(graph) == cost.flops
    assert parameters(graph) == cost.params


@pytest.mark.parametrize("page", MODELS)
def test_plans_of_the_library_are_the_golden_ones(page: str) -> None:
    """SPACEDSL_UPDATE_GOLDEN=1 writes them anew. `tiny-a0` is kept whole, to be read and diffed,
    of the others the hash. Page text and page hashes are tested elsewhere."""
    model = library_model(page)
    assert macs(lower(model)) == subnet_cost(model).flops
    network = network_plan(model)
    for plan in (network, int8_plan(network, ONNXRUNTIME.rules)):
        text = plan_text(plan)
        assert type(plan).model_validate_json(text) == plan
        kept = plan_text(plan.model_copy(update={"origin": NOWHERE}))
        if model.name != "tiny-a0":
            kept = hashlib.sha256(kept.encode()).hexdigest() + "\n"
        path = GOLDEN / f"{model.name}.{plan.kind}.txt"
        if UPDATE:
            path.parent.mkdir(exist_ok=True)
            path.write_text(kept)
        assert path.read_text() == kept


def test_a_plan_is_stamped_and_comes_back(tmp_path: Path) -> None:
    plan = network_plan(library_model("models/tiny-a0"))
    path = tmp_path / "p.json"
    path.write_text(sealed_text(plan_text(plan)))
    assert load_plan(path, NetworkPlan) == plan
    assert plan.origin.text.startswith("language 1")
    assert len(plan.origin.hash) == len(plan.origin.space_hash) == 64


def test_other_versions_kinds_and_damage_are_refused(tmp_path: Path) -> None:
    plan = network_plan(library_model("models/tiny-a0"))
    text, path = sealed_text(plan_text(plan)), tmp_path / "p.json"
    loaded = json.loads(text)
    del loaded["checksum"]
    nodes = loaded["graph"]["nodes"]
    dropped = {**nodes[-1], "op": "dropout", "name": "dropped", "inputs": [nodes[-1]["name"]]}
    for bad, message in (
        ({**loaded, "format": 2}, "kind 'network', format 2; what is needed is of .*, format 1"),
        ({**loaded, "kind": "int8"}, "kind 'int8', format 1; what is needed is of kind 'network'"),
        ({**loaded, "more": 1}, "more: Extra inputs are not permitted"),
        ({**loaded, "graph": {"nodes": nodes[1:]}}, "the first node is the input"),
        ({**loaded, "graph": {"nodes": nodes[::-1]}}, "the first node is the input"),
        ({**loaded, "graph": {"nodes": [*nodes, nodes[1]]}}, "two nodes are called"),
        ({**loaded, "graph": {"nodes": [*nodes, dropped]}}, "dropout does nothing at inference"),
    ):
        path.write_text(sealed_text(json.dumps(bad)))
        with pytest.raises(SpaceError, match=f"bad-plan.*{message}"):
            load_plan(path, NetworkPlan)
    path.write_text(text.replace("stem.0.conv0", "stem.0.conv1"))
    with pytest.raises(SpaceError, match="is damaged: its checksum"):
        load_plan(path, NetworkPlan)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(SpaceError, match="no JSON, or cut short"):
        load_plan(path, NetworkPlan)
    with pytest.raises(SpaceError, match="No such file"):
        load_plan(tmp_path / "missing.json", Int8Plan)


def test_a_runtime_without_an_op_says_so() -> None:
    poorer = LITERT.rules.model_copy(update={"acts": (("relu", "saturate"),)})
    with pytest.raises(SpaceError, match="litert has no 8-bit form of the activation"):
        quantise_graph(lower(library_model("models/seqnet-vnni-a0")), poorer)


def test_one_integer_model_serves_both_runtimes() -> None:
    for page in MODELS:
        graph = lower(library_model(page))
        assert (
            quantise_graph(graph, LITERT.rules).nodes
            == quantise_graph(graph, ONNXRUNTIME.rules).nodes
        )


def test_targets_of_the_library_name_runtimes() -> None:
    from spacedsl import api

    for path in (SPACES / "targets").glob("*.space"):
        assert rules_of(api.load_target(path.stem)) in [r.rules for r in BUILT_IN.values()]


def test_unfriendly_ops_become_integer_ones() -> None:
    graph = quantise_graph(lower(library_model("models/seqnet-vnni-a0")), ONNXRUNTIME.rules)
    nodes = graph.by_name()
    excite = nodes["stage5.0.se0.excite"]
    assert (excite.op, excite.fixed, excite.offset) == ("conv", GATE, 3.0)
    product = nodes["stage5.0.dwconv0.hswish"]
    assert product.op == "mul"
    assert product.inputs == ("stage5.0.dwconv0", "stage5.0.dwconv0.hswish.gate")
    assert nodes["stem.0.conv0"].clip == "relu"
    values = [n.value for n in graph.nodes if n.value]
    assert len(values) == len(set(values))


@pytest.mark.parametrize(
    ("size", "out", "kernel", "stride", "pads"),
    [
        (7, 7, 1, 1, (0, 0)),
        (8, 4, 3, 2, (1, 1)),
        (7, 4, 5, 2, (2, 2)),
        (8, 4, 2, 2, (0, 0)),
        (7, 4, 2, 2, (0, 1)),
        (7, 7, 2, 1, (0, 1)),
        (8, 4, 1, 2, (0, 0)),
    ],
)
def test_padding(size: int, out: int, kernel: int, stride: int, pads: tuple[int, int]) -> None:
    window = Window(kernel, stride)
    assert (window.output(size), window.pads(size)) == (out, pads)
    assert (size + sum(pads) - kernel) // stride + 1 == out


def test_a_graph_reads_only_what_is_made() -> None:
    image = Node(name="input", op="input", shape=(3, 8, 8))
    pool = Node(name="pool", op="pool", inputs=("nowhere",), shape=(3, 1, 1))
    with pytest.raises(ValueError, match="reads nowhere"):
        Graph(nodes=(image, pool))
