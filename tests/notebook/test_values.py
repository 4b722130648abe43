"""Pages as values of the Python API."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spacedsl
from spacedsl import api
from spacedsl.notebook.watching import watching
from spacedsl.passes.cost import subnet_cost
from spacedsl.targets.device import open_device
from spacedsl.targets.latency import model_latency
from tests.search.fakes import LIMITS_MS, FakeLatency, FakeQuality, page
from tests.support import ROOT


def hyperspace(text: str) -> spacedsl.Space:
    found = spacedsl.parse(text)
    assert isinstance(found, spacedsl.Space)
    return found


def test_values_equal_what_the_package_makes_of_a_page() -> None:
    mine, plain = spacedsl.load("vnni"), api.load("vnni")
    assert mine == plain
    assert plain == mine
    assert hash(mine) == hash(plain)
    assert mine != spacedsl.load("pixel4")
    assert isinstance(mine, spacedsl.Space)
    assert spacedsl.parse(mine.text) == mine


def test_a_model_knows_its_costs_and_its_page() -> None:
    space = spacedsl.load_space("tiny-a")
    models = space.sample(5, seed=3)
    assert models == space.sample(5, seed=3) == api.sample(space, 5, 3)
    for model in models:
        cost = subnet_cost(model)
        assert (model.flops, model.params, model.weights) == (cost.flops, cost.params, cost.weights)
        assert space.costs.flops.least <= model.flops <= space.costs.flops.greatest
        assert spacedsl.parse(model.text) == model
    assert not models[0].diff(models[0])
    assert models[0].diff(models[1])


def test_a_saved_page_needs_no_other(tmp_path: Path) -> None:
    model = spacedsl.load_space("tiny-a").sample(1)[0]
    path = model.save(tmp_path / "model.space")
    assert 'use "' not in path.read_text()
    assert spacedsl.load_model(f"{path}#{model.name}").hash == model.hash
    assert spacedsl.load(path).hash == model.hash, "its space is no other choice"
    assert model in spacedsl.load_space("tiny-a")
    assert model not in spacedsl.load_space("vnni")


def test_latencies_are_those_of_single_models() -> None:
    """Of a hyperspace's models too, whose stages have several block types."""
    device = open_device(api.load_target("vnni"))
    models = [*spacedsl.load_space("vnni").sample(3), *spacedsl.load_space("onnxw").sample(3)]
    found = spacedsl.target("vnni").latency(models)
    for model, ms in zip(models, found, strict=True):
        parts = model_latency(model, device.latency)
        assert ms == pytest.approx(math.fsum(part.ms for part in parts), rel=1e-9)
    assert spacedsl.target("vnni").latency([]).shape == (0,)


def test_searches_take_models_of_ones_own() -> None:
    hyper = hyperspace(page())
    mine = spacedsl.target("mine", latency=FakeLatency(), limits_ms=LIMITS_MS)
    told: list[spacedsl.Progress] = []
    found = spacedsl.evolve(
        hyper,
        mine,
        quality=FakeQuality(),
        cycles=30,
        population=10,
        sample=4,
        progress=told.append,
    )
    best = spacedsl.optimum(hyper, mine, quality=FakeQuality())
    assert [each.done for each in told if each.total == 30][-1] == 30
    assert best.score >= found.score
    assert found.detail.comparison.random_mean <= found.score, "of an evolution"
    assert best.detail.optimum.complete, "of an optimum"
    again = spacedsl.score(best.space, mine, quality=FakeQuality())
    assert again.score == pytest.approx(best.score, rel=1e-9)
    for network in again.networks:
        assert network.latency_ms <= network.limit_ms
        assert network.latency_ms == pytest.approx(mine.latency(network.model)[0])


def test_functions_of_ones_own_score_what_they_say() -> None:
    space = spacedsl.load_space("tiny-a")
    found = spacedsl.score_by(
        space,
        quality=lambda models: [m.flops for m in models],
        latency=lambda models: [m.params for m in models],
        limits_ms=[25_000, 1e9],
        samples=50,
        best=3,
    )
    flops = sorted((m.flops for m in found.models), reverse=True)
    assert found.limits[1].score == pytest.approx(np.mean(flops[:3]))
    best = found.best(1e9)
    assert best is not None
    assert best.flops == flops[0]
    assert found.best(1) is None


def test_a_function_that_gives_too_few_numbers_is_named() -> None:
    def worth(models: object) -> list[float]:
        return [1.0]

    with pytest.raises(spacedsl.SpaceError, match="`worth` gave an array"):
        spacedsl.score_by("tiny-a", quality=worth, latency=worth, limits_ms=[1], samples=10)


def numbers(models: object) -> list[float]:
    return [1.0]


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda s: s.target("vnni").latency("tiny-a0"), "'tiny-a0' is not a model"),
    (lambda s: s.target("vnni").latency(s.load("vnni")), "space vnni .* is not a model"),
    (lambda s: s.target("vnni").latency([3]), "a value of int is not a model"),
    (lambda s: s.target("mine", latency=numbers, limits_ms=[1]), "no latency model"),
    (lambda s: s.score("vnni", "vnni", limits_ms=10), "10 is no list of latency limits"),
    (lambda s: s.score("vnni", "vnni", limits_ms="10"), "'10' is no list of latency limits"),
    (lambda s: s.evolve("onnxw", "vnni", limits_ms=["10ms"]), "no list of latency limits"),
    (lambda s: s.optimum("onnxw", "vnni", quality=numbers), "a value of function is no quality"),
    (lambda s: s.best("vnni", "vnni", 0), "0 networks"),
    (lambda s: s.load_space("vnni").sample(-1), "-1 models"),
    (lambda s: s.parse(b"language 1"), "a page is text, not a value of bytes"),
    (lambda s: s.parse(page(more=NARROW)), r"the text has several: toy, narrow"),
    (lambda s: s.score_by("tiny-a", quality=words, latency=words, limits_ms=[1]), "`words` gave"),
]
"""Calls with wrong arguments, and what is said of them."""

NARROW = "space narrow of toy { stage1 { mbv2  width 16, 32 } }"


def words(models: object) -> list[str]:
    return ["fast", "slow"]


@pytest.mark.parametrize(("call", "said"), WRONG, ids=[said for _, said in WRONG])
def test_wrong_arguments_are_named(call: Callable[[Any], object], said: str) -> None:
    """By a sentence, and not by whatever breaks on them later."""
    with pytest.raises(spacedsl.SpaceError, match=said):
        call(spacedsl)


def test_warnings_and_what_takes_minutes_are_said_without_a_callback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = spacedsl.target("mine", latency=FakeLatency(), limits_ms=[1e6])
    with pytest.warns(UserWarning, match="tells few networks of toy apart"):
        spacedsl.evolve(
            hyperspace(page()),
            mine,
            limits_ms=[1e6],
            quality=FakeQuality(),
            cycles=4,
            population=2,
            sample=1,
        )
    watching(None).say("profiling cpu: about 3 minutes")
    assert capsys.readouterr().err == "profiling cpu: about 3 minutes\n"


def test_what_a_notebook_shows_is_short_and_escaped() -> None:
    text = page().replace("hyperspace toy", "# <script>\nhyperspace toy")
    hyper = hyperspace(text)
    mine = spacedsl.target("<b>", latency=FakeLatency(), limits_ms=LIMITS_MS)
    with pytest.warns(UserWarning, match="tell few networks"):
        result = spacedsl.score("tiny-a", mine, quality=FakeQuality())
    values: list[Any] = [
        hyper,
        hyper.sample(1)[0],
        mine,
        result,
        spacedsl.load_space("vnni").diff(hyper),
    ]
    for value in values:
        assert len(repr(value)) < 200
        shown = value._repr_html_()
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert shown.count("<table>") == shown.count("</table>") == 1
    flops = hyper.costs.flops
    assert repr(flops) == f"{flops.least:,} to {flops.greatest:,}"
    assert repr(api.load_target("vnni")).startswith("<target vnni: Intel CPU")


def test_every_name_is_there_and_importing_is_cheap() -> None:
    for name in spacedsl.__all__:
        assert getattr(spacedsl, name) is not None
    assert set(spacedsl.__all__) <= set(dir(spacedsl))
    code = "import sys, spacedsl; dir(spacedsl); print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"numpy", "pydantic", "torch"} & set(found.stdout.split())
