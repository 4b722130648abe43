"""Optuna's trials are networks of a space, and networks are trials."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import spacedsl
from spacedsl import api
from spacedsl.bridges.optuna import parameters, suggest
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.settings import canonical
from spacedsl.passes.cost import subnet_cost
from tests.cli.test_commands import run
from tests.shown import blocks, words_of
from tests.support import ROOT


class Fixed:
    """`optuna.trial.FixedTrial`, so that this runs without Optuna too."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = dict(values)
        self.asked: set[str] = set()

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        assert self.values[name] in choices, name
        assert len(choices) > 1, name
        self.asked.add(name)
        return self.values[name]


@pytest.mark.parametrize("name", ["tiny-a", "tiny", "vnni", "fashion", "proxylessnas", "hyper"])
def test_a_network_is_the_trial_that_asks_for_it(name: str) -> None:
    space, rng = api.load_space(name), random.Random(0)
    for _ in range(20):
        subnet = random_subnet(space, rng)
        trial = Fixed(parameters(subnet))
        assert suggest(space, trial, subnet.name) == subnet
        assert trial.asked == set(trial.values)


def test_the_how_to_ends_in_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "howto" / "optuna.md").read_text(encoding="utf-8")
    first, then = (body for language, _, body in blocks(text) if language == "python")
    there: dict[str, Any] = {}
    exec(first.replace("n_trials=30", "n_trials=5"), there)
    exec(then, there)
    study, best = there["study"], there["best"]
    assert study.trials[0].params == parameters(spacedsl.load_model("seqnet-vnni-a0"))
    assert there["device"].latency(best)[0] == pytest.approx(study.best_trial.user_attrs["ms"])
    assert there["device"].latency(best)[0] <= 10
    assert spacedsl.load_model("best.space#best").hash == best.hash
    assert run(*words_of("howto/optuna.md", "spacedsl export", {})[1:]).exit_code == 0


def test_a_study_finds_the_smallest_network(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = api.load_space("tiny")
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    first = random_subnet(space, random.Random(1))
    study.enqueue_trial(parameters(first))
    seen = []

    def objective(trial: Any) -> float:
        seen.append(suggest(space, trial))
        return float(subnet_cost(seen[-1]).flops)

    study.optimize(objective, n_trials=60)
    assert seen[0].stages == first.stages
    for i, subnet in enumerate(seen[::10]):
        assert canonical(subnet) == subnet
        page = tmp_path / f"{i}.space"
        page.write_text(api.write(subnet.model_copy(update={"name": f"n{i}"})))
        assert api.check(page) == ()
    flops = [subnet_cost(s).flops for s in seen]
    assert study.best_value == min(flops)
    assert (
        suggest(space, optuna.trial.FixedTrial(study.best_params)) == seen[study.best_trial.number]
    )
    assert sum(flops[40:]) < sum(flops[:20])
