"""The latency model: what is fitted, what is predicted, what is said to be unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spacedsl import api
from spacedsl.compiler.graph import lower
from spacedsl.diagnostics import SpaceError
from spacedsl.operators.size import area
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.kernels import Kernel, kernels
from spacedsl.search.protocols import Coverage
from spacedsl.targets.attribution import attribute, kernel_owners
from spacedsl.targets.features import ROWS, group_of, work_of
from spacedsl.targets.kernel_model import (
    GroupModel,
    KernelModel,
    NetSample,
    fit_kernels,
    node_cost,
)
from spacedsl.targets.latency import model_latency
from spacedsl.targets.profile_file import BatchRecord, NetRecord, ProfileHeader, SpaceNote
from spacedsl.targets.profile_fit import samples_of
from spacedsl.targets.profiled_latency import FitNote, ProfiledLatency, load_fit, save_fit
from spacedsl.targets.ranges import latency_range
from tests.support import PAGES, SPACES, library_model

MODELS = sorted(p for p in PAGES if p.parent == SPACES / "models")
OVERHEAD_MS, SLOWER = 0.004, 0.9
NODES = {"se": 4, "swish": 2, "hswish": 2, "fc": 4}
"""Nodes of a kernel; others have one."""


def law_ms(kernel: Kernel) -> float:
    """A made-up device: a fixed cost, work in full registers, bytes moved."""
    work, read, written, weights = work_of(kernel)
    full = (-(-kernel.cout // 16) * 16) / kernel.cout
    return 0.004 + 2e-8 * work * full + 2e-8 * (read + written) + 5e-8 * weights


@pytest.fixture(scope="module")
def samples() -> list[NetSample]:
    """60 networks on that device; the profiler adds to every node, and is slow itself."""
    rng = np.random.default_rng(0)
    found = []
    for subnet in api.sample(api.load_space("hyper"), 60, seed=3):
        names = kernel_owners(subnet)[0]
        ms = np.array([law_ms(k) for k in names])
        nodes = np.array([NODES.get(k.kind, 1) for k in names])
        profiled = (ms / SLOWER + nodes * OVERHEAD_MS) * rng.normal(1, 0.03, len(ms))
        found.append(NetSample(names, profiled, nodes, float(ms.sum())))
    return found


@pytest.fixture(scope="module")
def model(samples: list[NetSample]) -> KernelModel:
    return fit_kernels(samples[:45])


def test_unseen_networks_are_predicted(samples: list[NetSample], model: KernelModel) -> None:
    errors = []
    for sample in samples[45:]:
        ms, coverage = model.predict(sample.kernels)
        assert coverage.max() < Coverage.UNCOVERED
        errors.append(abs(ms.sum() / sample.net_ms - 1))
    assert np.median(errors) < 0.02
    assert max(errors) < 0.06


def test_the_profilers_cost_is_of_nodes_and_taken_off(samples: list[NetSample]) -> None:
    assert node_cost(samples) == pytest.approx(OVERHEAD_MS, rel=0.25)
    free = [replace(s, kernel_ms=s.net_ms / s.kernel_ms.sum() * s.kernel_ms) for s in samples]
    assert abs(node_cost(free)) < 0.1 * OVERHEAD_MS


def test_factors_lean_on_work_and_weights(samples: list[NetSample]) -> None:
    """On a device whose kernels take less in a network the more weights and the less work they
    have."""

    def in_network(kernel: Kernel) -> float:
        work, _, _, weights = work_of(kernel)
        lean = 0.04 * np.log(work / 1e6) - 0.02 * np.log(weights / 1e3)
        return law_ms(kernel) * float(1 + lean)

    own = [replace(s, net_ms=sum(map(in_network, s.kernels))) for s in samples]
    fitted = fit_kernels(own[:45])
    assert fitted.leans[0] > 0.01
    assert fitted.leans[1] < -0.01
    errors = [abs(fitted.predict(s.kernels)[0].sum() / s.net_ms - 1) for s in own[45:]]
    assert np.median(errors) < 0.02
    assert max(errors) < 0.06


def test_kernels_are_told_apart_by_what_a_set_of_rows_leaves(samples: list[NetSample]) -> None:
    """On a device that takes 6 pixels at a time where there are many weights: 25 pixels cost as
    much as 30 there."""

    def in_rows(kernel: Kernel) -> float:
        pixels = area(kernel.out_size)
        work, read, written, weights = work_of(kernel)
        full = -(-pixels // 6) * 6 / pixels if weights > 5e4 else 1.0
        return 0.004 + 2e-8 * work * full**2 + 2e-8 * (read + written)

    rng, own = np.random.default_rng(0), []
    for sample in samples:
        ms = np.array([in_rows(k) for k in sample.kernels])
        noisy = ms * rng.normal(1, 0.03, len(ms))
        own.append(replace(sample, kernel_ms=noisy, net_ms=float(ms.sum())))
    group = fit_kernels(own[:45]).groups["conv 1x1"]
    unseen = {k for s in own[45:] for k in s.kernels if group_of(k) == "conv 1x1"}
    few = [k for k in sorted(unseen) if area(k.out_size) < 50]
    errors = np.abs(group.ms(few) / [in_rows(k) for k in few] - 1)
    assert np.median(errors) < 0.03  # 0.034 where they are not


@pytest.mark.parametrize("format", [2, 3])
def test_a_fit_of_before_says_what_it_said(format: int, model: KernelModel, tmp_path: Path) -> None:
    """Carried profiles of format 2 know no leans, those of format 3 no rows."""

    def without_rows(group: GroupModel) -> GroupModel:
        points = group.gaussian.points[:, : -len(ROWS)]
        return replace(group, gaussian=replace(group.gaussian, points=points))

    groups = {name: without_rows(group) for name, group in model.groups.items()}
    leans = (0.0, 0.0) if format == 2 else model.leans
    path, older = tmp_path / "a.npz", KernelModel(groups, 0.001, 0.02, leans)
    save_fit(ProfiledLatency(note_for(older), older), path)
    with np.load(path) as found:
        arrays = dict(found)
    said = json.loads(arrays["header"].tobytes())
    if format == 2:
        del said["leans"]
    arrays["header"] = np.frombuffer(json.dumps(said | {"format": format}).encode(), np.uint8)
    np.savez(path, **arrays)
    names = kernel_owners(library_model("models/seqnet-vnni-a0"))[0]
    assert np.array_equal(load_fit(path).model.predict(names)[0], older.predict(names)[0])


def test_no_clip_swallows_the_constant_of_a_network(model: KernelModel) -> None:
    """It is charged to the classifier, however little that takes itself."""
    kernels = kernel_owners(library_model("models/seqnet-vnni-a0"))[0]
    before = model.predict(kernels)[0].sum()
    for constant in (0.2, -0.2):
        other = KernelModel(model.groups, model.kernel_ms, model.network_ms + constant, model.leans)
        assert other.predict(kernels)[0].sum() == pytest.approx(before + constant)


def test_faster_than_all_that_was_measured_is_estimated(model: KernelModel) -> None:
    subnet = library_model("models/seqnet-vnni-a1")
    total = sum(p.ms for p in model_latency(subnet, ProfiledLatency(note_for(model), model)))
    for fastest_ms, known in ((total * 0.99, True), (total * 1.01, False)):
        latency = ProfiledLatency(note_for(model, fastest_ms=fastest_ms), model)
        parts = model_latency(subnet, latency)
        worst = max(p.coverage for p in parts)
        assert (worst < Coverage.ESTIMATED) == known
        assert latency_range(subnet, latency).coverage == worst


def test_what_was_not_measured_is_said(model: KernelModel, samples: list[NetSample]) -> None:
    known = samples[0].kernels[3]
    far = Kernel("conv-bn-relu", 96, 96, 500, 3, 1)
    near = Kernel("conv-bn-relu", 96, 100, 28, 3, 1)
    other_window = Kernel("conv-bn-relu", 96, 96, 28, 9, 1)
    other_kind = Kernel("maxpool", 96, 96, 28, 3, 2)
    ms, coverage = model.predict([known, near, far, other_window, other_kind])
    assert [Coverage(int(c)).name for c in coverage] == [
        *("MEASURED", "INTERPOLATED"),
        *("UNCOVERED", "UNCOVERED", "UNCOVERED"),
    ]
    assert np.isnan(ms[2:]).all()
    assert (ms[:2] > 0).all()
    assert model.doubt([known]) < model.doubt([near]) < model.doubt([other_kind])


def test_samples_that_never_steadied_count_little(samples: list[NetSample]) -> None:
    wrong = [
        replace(s, kernel_ms=s.kernel_ms * 1.5, net_ms=s.net_ms * 1.5, steady=False)
        for s in samples[:6]
    ]
    fitted = fit_kernels([*wrong, *samples[6:45]])
    found = [np.nansum(fitted.predict(s.kernels)[0]) / s.net_ms - 1 for s in samples[45:]]
    assert abs(np.median(found)) < 0.02


def note_for(model: KernelModel, source: str = "0" * 64, fastest_ms: float = 0.001) -> FitNote:
    header = ProfileHeader(
        target="cpu",
        machine={"cpu": "X", "architecture": "x86_64", "features": "vnni"},
        runtime="onnxruntime",
        version="1.0",
        threads=1,
        session={},
        rules="r",
    )
    groups = {
        name: {
            "length": g.gaussian.length,
            "amplitude": g.gaussian.amplitude,
            "factor": g.factor,
            "kinds": sorted({k.kind for k in g.kernels}),
        }
        for name, g in model.groups.items()
    }
    return FitNote.model_validate(
        {
            "profile": header,
            "source": source,
            "networks": 45,
            "steady": 45,
            "seconds": 1.0,
            "spaces": (SpaceNote(name="hyper", hash="h", resolutions=(160, 224)),),
            "fastest_ms": fastest_ms,
            "kernel_ms": model.kernel_ms,
            "network_ms": model.network_ms,
            "leans": model.leans,
            "groups": groups,
        }
    )


def test_a_saved_fit_predicts_the_same_and_damage_is_named(
    model: KernelModel, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    first = ProfiledLatency(note_for(model), model)
    save_fit(first, path)
    again = load_fit(path)
    sites = [s for stage in subnet_sites(library_model("models/seqnet-vnni-a1")) for s in stage]
    found, wanted = again.predict(sites), first.predict(sites)
    assert np.array_equal(found.ms, wanted.ms)
    assert np.array_equal(found.coverage, wanted.coverage)
    assert again.resolutions == (160, 224)
    data = path.read_bytes()
    save_fit(again, path)
    assert path.read_bytes() == data
    for damaged in (data[:1000], data.replace(b"fitted-profile", b"fatted-profile"), b"no zip"):
        path.write_bytes(damaged)
        with pytest.raises(SpaceError, match=r"a\.npz"):
            load_fit(path)


def test_a_block_costs_the_sum_of_its_kernels(model: KernelModel) -> None:
    latency = ProfiledLatency(note_for(model), model)
    subnet = library_model("models/seqnet-vnni-a0")
    sites = [s for stage in subnet_sites(subnet) for s in stage]
    parts = latency.predict(sites).ms
    whole = model.predict(kernels(layer for site in sites for layer in layers(site.bind())))[0]
    assert parts.sum() == pytest.approx(whole.sum(), rel=1e-9)


def test_batches_come_to_one_scale_by_their_references() -> None:
    def net(name: str, ms: float) -> NetRecord:
        kernels = (("add", 16, 16, 8, 1, 1),)
        times = (ms / 20,)
        return NetRecord(
            space="",
            hash=name,
            kernels=kernels,
            kernel_ms=times,
            kernel_nodes=(1,),
            net_ms=ms,
            split_half=0,
            steady=True,
        )

    def batch(slow: float) -> BatchRecord:
        references = (net("a", 4 * slow), net("b", 5 * slow))
        nets = (net("c", 2 * slow),)
        return BatchRecord(spaces=(), references=references, nets=nets, seconds=1)

    found = samples_of([batch(s) for s in (1.0, 1.3, 0.9)])
    assert [s.net_ms for s in found] == pytest.approx([2.0, 2.0, 2.0, 4.0, 5.0])
    assert [float(s.kernel_ms[0]) for s in found] == pytest.approx([0.1, 0.1, 0.1, 0.2, 0.25])


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_every_node_of_a_model_belongs_to_a_kernel(path: Path) -> None:
    subnet = library_model(f"models/{path.stem}")
    names, owner = kernel_owners(subnet)
    graph = lower(subnet)
    assert set(owner) == {node.name for node in graph.nodes[1:]}
    assert set(owner.values()) == set(range(len(names)))
    bound = [layer for stage in subnet_sites(subnet) for s in stage for layer in layers(s.bind())]
    assert names == kernels(bound)
    for node in graph.nodes:
        if node.op == "act" and node.act in ("swish", "hswish"):
            assert names[owner[node.name]].kind == node.act
        if node.op == "conv" and ".se" not in node.name:
            groups = f"/{node.groups}" if node.groups > 1 else ""
            assert names[owner[node.name]].kind == f"conv-bn-relu{groups}"


def test_a_node_without_a_name_belongs_to_the_one_before() -> None:
    owner = {"stem.conv0": 0, "head.conv0": 1, "head.conv0.hswish": 2}
    names = ["input.quantize", "stem.conv0", "Transpose", "head.conv0", "head.conv0.hswish.gate"]
    assert attribute([*names, "flatten"], owner).tolist() == [0, 0, 0, 1, 2, 2]


def test_groups_keep_apart_what_costs_otherwise() -> None:
    assert group_of(Kernel("conv-bn-relu", 3, 16, 224, 3, 2)) == "image conv"
    assert group_of(Kernel("conv-bn-relu", 64, 16, 28)) == "conv 1x1"
    assert group_of(Kernel("conv-bn-relu", 64, 16, 28, 5)) == "conv"
    assert group_of(Kernel("conv-bn-relu", 1280, 1920, 1)) == "conv 1x1 on a pixel"
