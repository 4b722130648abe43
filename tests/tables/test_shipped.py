"""The shipped tables: sizes, coverage, held-out figures, whole networks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from spacedsl.ir.identity import space_identity
from spacedsl.lang.tables import shipped
from spacedsl.operators.size import as_number
from spacedsl.passes.bind import Site, subnet_sites
from spacedsl.search.protocols import Coverage
from spacedsl.tables.blocks import reachable_sites
from spacedsl.tables.files import load_latency, load_quality, load_table, table_path
from spacedsl.tables.fit import fit_directory
from spacedsl.tables.latency import FittedLatency
from spacedsl.tables.quality import FittedQuality
from spacedsl.tables.rows import held_out, read_directory
from spacedsl.tables.verify import verify
from tests.support import LUT, library_model, library_space, needs_shared

DISTILLED = ("onnxw", "mobilew", "hyper")
"""The shipped tables of NSR losses; test_tables_accuracy has the one of accuracies."""

PARTS = [("onnxw", "onnxw"), ("mobilew", "mobilew"), ("hyper", "onnxw")]


@lru_cache
def latency(name: str) -> FittedLatency:
    return load_latency(name)


@pytest.mark.parametrize("name", shipped())
def test_files_are_small(name: str) -> None:
    assert table_path(name).stat().st_size <= 1_500_000


@pytest.mark.parametrize("name", DISTILLED)
def test_files_say_where_they_come_from(name: str) -> None:
    source = load_table(name).source
    assert source.licence == "MIT"
    assert source.nsr == "student-variance"
    assert source.hyperspace_hash == space_identity(library_space(name))


@pytest.mark.parametrize(("name", "device"), PARTS)
def test_every_reachable_block_has_a_latency(name: str, device: str) -> None:
    sites = list(reachable_sites(library_space(name), (160, 192, 224)))[::5]
    predicted = latency(device).predict(sites)
    assert (predicted.ms > 0).all()
    new = [site.choice.block.name == "fused-se" for site in sites]
    if name == "hyper":
        assert (predicted.coverage[new] == Coverage.ESTIMATED).all()
        assert (predicted.coverage[np.logical_not(new)] <= Coverage.INTERPOLATED).all()
    else:
        assert (predicted.coverage <= Coverage.INTERPOLATED).all()
        assert (predicted.coverage == Coverage.MEASURED).mean() > 0.7


@pytest.mark.parametrize(("name", "device"), PARTS)
def test_resolutions_between_the_measured_ones_lie_between(name: str, device: str) -> None:
    space, model = library_space(name), latency(device)
    stage = space.stage("stage3")
    for choice in stage.choices:
        settings = tuple((a.name, a.values[0]) for a in choice.chosen)
        sites = [Site(choice, 64, 96, size, 1, settings) for size in (10, 11, 12, 13, 14)]
        predicted = model.predict(sites)
        for between in (1, 3):
            low, high = sorted((predicted.ms[between - 1], predicted.ms[between + 1]))
            assert 0.9 * low < predicted.ms[between] < 1.1 * high
        if choice.block.name != "fused-se":
            assert predicted.coverage[1] == predicted.coverage[3] == Coverage.INTERPOLATED


def test_what_the_prior_does_not_know_is_uncovered() -> None:
    stage = library_space("onnxw").stage("stage3")
    fused = next(c for c in stage.choices if c.block.name == "fused")
    far = Site(fused, 64, 96, 28, 1, (("kernel", 9), ("expand", 4)))
    large = Site(fused, 4096, 4096, 28, 1, (("kernel", 3), ("expand", 4)))
    predicted = latency("onnxw").predict(
        [far, large, replace(far, settings=(("kernel", 3), ("expand", 4)))]
    )
    assert predicted.coverage.tolist() == [
        Coverage.UNCOVERED,
        Coverage.UNCOVERED,
        Coverage.INTERPOLATED,
    ]
    assert np.isnan(predicted.ms[:2]).all()


@pytest.mark.parametrize(
    ("model", "device", "ms", "within"),
    [
        ("seqnet-vnni-a1", "onnxw", 8.8, 0.03),
        ("seqnet-vnni-a2", "onnxw", 14.1, 0.03),
        ("seqnet-vnni-a3", "onnxw", 18.9, 0.03),
        ("seqnet-vnni-a0", "onnxw", 4.4, 0.25),
        ("seqnet-pixel4-a0", "mobilew", 5.9, 0.2),
        ("seqnet-pixel4-a2", "mobilew", 19.4, 0.03),
        ("seqnet-pixel4-a3", "mobilew", 30.8, 0.1),
    ],
)
def test_published_networks_take_about_as_long_as_published(
    model: str, device: str, ms: float, within: float
) -> None:
    stages = subnet_sites(library_model(f"models/{model}"))
    predicted = latency(device).predict([site for stage in stages for site in stage])
    assert predicted.ms.sum() == pytest.approx(ms, rel=within)
    assert (predicted.ms > 0).all()
    assert predicted.coverage[0] == predicted.coverage[-1] == Coverage.ESTIMATED


@pytest.mark.parametrize("name", DISTILLED)
def test_losses_cover_their_hyperspace(name: str) -> None:
    space, quality = library_space(name), load_quality(name)
    for number, position in enumerate(space.elastic, 1):
        stage, before = space.stages[position], space.stages[position - 1].widths
        for choice in stage.choices:
            loss = quality.stage(number, choice)
            assert loss is not None
            assert (loss.offset_uncertainty > 0) == (
                name == "hyper" and "-se" in choice.block.name and "fused" in choice.block.name
            )
            depth = stage.depths[-1]
            base = loss.base(176, depth, np.array(before))
            grid = np.array(list(itertools.product(before, stage.widths)))
            settings = {a.name: np.full(len(grid), as_number(a.values[-1])) for a in choice.chosen}
            terms = loss.terms(176, depth, 0, grid[:, 0], grid[:, 1], settings)
            assert np.isfinite(base).all()
            assert np.isfinite(terms).all()
            sums = np.linspace(-2.0, 3.0, 400)
            assert (np.diff(loss.link(sums)) > 0).all()
            assert (loss.link(sums) > 0).all()


def test_losses_outside_the_fitted_range_have_no_answer() -> None:
    space, quality = library_space("onnxw"), load_quality("onnxw")
    choice = space.stage("stage2").choices[1]
    loss = quality.stage(2, choice)
    assert loss is not None
    one = np.array([48])
    inside = {"kernel": np.array([3.0]), "expand": np.array([6.0])}
    assert np.isfinite(loss.terms(160, 2, 0, one, one, inside)).all()
    assert np.isnan(loss.base(128, 2, one)).all()
    assert np.isnan(loss.base(160, 9, one)).all()
    assert np.isnan(loss.terms(160, 2, 2, one, one, inside)).all()
    assert np.isnan(loss.terms(160, 2, 0, one, 3 * one, inside)).all()
    assert np.isnan(loss.terms(160, 2, 0, one, one, inside | {"kernel": np.array([7.0])})).all()
    assert quality.stage(7, choice) is None


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("name", ["onnxw", "mobilew"])
def test_every_published_row_is_met(name: str) -> None:
    space = library_space(name)
    report = verify(read_directory(LUT / name, space), space, latency(name), load_quality(name))
    assert report.flops.max_rel_error <= 2e-5
    assert report.params.max_abs_error <= 1e-4
    assert report.latency.covered == 1.0
    assert report.latency.within_1 >= 0.98
    assert report.quality.covered == 1.0
    assert report.quality.r2 >= 0.94


@pytest.mark.slow
@needs_shared
def test_held_out_rows_are_predicted() -> None:
    space = library_space("onnxw")
    table = fit_directory(LUT / "onnxw", space, hold_out=True)
    assert table.latency is not None
    assert table.quality is not None
    rows = held_out(read_directory(LUT / "onnxw", space))
    report = verify(rows, space, FittedLatency(table.latency), FittedQuality(table.quality))
    assert report.latency.within_1 >= 0.91
    assert report.latency.within_10 >= 0.975
    assert report.quality.r2 >= 0.88
    assert report.quality.tau >= 0.82
