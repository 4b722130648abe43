"""Limits on FLOPs, parameters and memory: which spaces a search goes over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Limit, Space
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.passes.extremes import cost_range, joined
from spacedsl.search.candidate import Genome
from spacedsl.search.compare import random_genotypes
from spacedsl.search.evolve import evolve
from spacedsl.search.exact.optimum import optimum
from spacedsl.search.exact.scorer import ExactScorer
from spacedsl.search.stream import Stream
from spacedsl.text import Source
from tests.search.fakes import load, model_scorer, page, toy

SMALL = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4, 6 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16..48 step 16  window 2  depth 1..3  stride 2",
)
FEW = page(
    blocks="\n    mbv2 { kernel 3, 5  expand 4 }\n    mbv1-dual { kernel 3, 5 }",
    stage1="width 16..48 step 16  window 2  depth 1..2  stride 2",
    stage2="width 32, 48  window 1  depth 1, 2",
)
BETWEEN = page(middle="between { mbv2 { kernel 3  expand 4 }  width 32, 40  depth 1..2 }")


def limited(text: str, **most: int) -> Space:
    return load(text).model_copy(update={"limit": Limit(**most)})


def greatest(hyper: Space, genotype: tuple[tuple[int, int], ...]) -> tuple[int, int, int]:
    costs = cost_range(Genome(hyper).to_space(genotype, "any"))
    return costs.flops.greatest, costs.params.greatest, costs.memory.greatest


@pytest.mark.parametrize("text", [page(), SMALL, BETWEEN])
def test_what_keeps_a_limit(text: str) -> None:
    """As the costs of each space say, whole or in halves."""
    hyper = limited(text, flops=1, params=1, memory=1)
    within = Genome(hyper).within
    assert within is not None
    for genotype in random_genotypes(Genome(load(text)), 12, Stream(0)):
        whole = -within.head(genotype)
        assert whole.shape[0] == 3
        wanted = greatest(hyper, genotype)
        for cost, most in zip(("flops", "params", "memory"), wanted, strict=True):
            for amount in (most - 1, most):
                genome = Genome(limited(text, **{cost: amount}))
                assert genome.keeps(genotype) is (amount == most)
        if text is not BETWEEN:
            head, tail = within.head(genotype[:1]), within.tail(genotype[0][1], genotype[1:])
            assert tuple((-joined(head, tail).min(axis=1)).tolist()) == wanted


def test_searches_keep_it() -> None:
    every = [greatest(toy(), Genome(toy()).at(i)) for i in range(Genome(toy()).size)]
    flops, params, memory = (int(np.quantile(column, 0.5)) for column in np.array(every).T)
    hyper = limited(page(), flops=flops, params=params, memory=memory)
    kept = sum(f <= flops and p <= params and m <= memory for f, p, m in every)
    assert 0 < kept == Genome(hyper).kept < len(every) / 2
    found = evolve(hyper, model_scorer(hyper), population=20, sample=5, cycles=10_000)
    assert len(found.history) == kept
    assert found.exhausted
    assert all(Genome(hyper).keeps(r.genotype) for r in found.history)
    drawn = random_genotypes(Genome(hyper), 30, Stream(3))
    assert len(set(drawn)) == 30
    assert all(map(Genome(hyper).keeps, drawn))
    nothing = limited(page(), flops=1)
    with pytest.raises(SpaceError, match="keeps its limit") as caught:
        evolve(nothing, model_scorer(nothing))
    assert caught.value.diagnostics[0].code == "over-limit"


def test_the_optimum_keeps_it() -> None:
    """The best of those that do, the others counted."""
    genome = Genome(load(FEW))
    costs = [greatest(load(FEW), genome.at(i))[0] for i in range(genome.size)]
    hyper = limited(FEW, flops=int(np.quantile(costs, 0.3)))
    scorer = model_scorer(hyper, limits_ms=(1.5, 2.0, 3.0), samples=2000, best=10)
    exact, kept = ExactScorer(scorer), Genome(hyper)
    spaces = [kept.to_space(kept.at(i), "any") for i in range(kept.size) if kept.keeps(kept.at(i))]
    found = optimum(ExactScorer(scorer, searching=True), cycles=6)
    assert found.result.score == pytest.approx(max(exact.score(s).score for s in spaces), rel=1e-9)
    assert found.complete
    assert found.pruned["over the limit"] == kept.size - len(spaces) > 0
    assert found.enumerated + sum(found.pruned.values()) == kept.size


def test_pages_say_limits() -> None:
    hyper = limited(SMALL, flops=1_500_000, params=2_000_000_000)
    text = write(hyper)
    assert "limit flops 1.5M, params 2G" in text
    again = load(text)
    assert again == hyper
    assert space_identity(again) != space_identity(load(SMALL))
    space = Genome(hyper).to_space(Genome(hyper).at(0), "first")
    assert space_identity(space) == space_identity(
        Genome(load(SMALL)).to_space(Genome(hyper).at(0), "first")
    )


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("limit flops 1K", "over-limit"),
        ("limit flops 8ms", "bad-value"),
        ("limit flops 0", "bad-value"),
        ("limit flops 0.5, params 1M", "unknown-unit"),
        ("limit flop 1G", "unknown-cost"),
        ("limit flops 1G, flops 2G", "duplicate-key"),
        ("limit flops 1G limit params 1G", "duplicate-key"),
        ("limit flops 3G", "bad-value"),
    ],
)
def test_bad_limits(said: str, code: str) -> None:
    more = f"space first of toy {{ {said}  stage1 {{ mbv2  width 16, 32 }}  "
    more += "stage2 { mbv2  width 32, 48 }  stage3 { mbv2  width 48, 64 } }"
    text = page(more=more).replace("stem {", "limit flops 2G\n  stem {", 1)
    with pytest.raises(SpaceError) as caught:
        Loader().parse(Source("toy.space", text), Path()).get("first")
    assert [d.code for d in caught.value.diagnostics] == [code]


@pytest.mark.slow
def test_a_found_space_keeps_it(tmp_path: Path) -> None:
    hyper, out = tmp_path / "small.space", tmp_path / "found.space"
    library = Path(__file__).parents[2] / "spaces" / "onnxw.space"
    page_ = library.read_text().replace(
        "hyperspace onnxw {", "hyperspace small {\n  limit flops 2G"
    )
    hyper.write_text(page_)
    call = ["evolve", "--hyper", str(hyper), "--target", "vnni", "--out", str(out)]
    few = ["--population", "8", "--sample", "4", "--cycles", "12"]
    few += ["--definition", "qt", "--samples", "200"]
    ran = CliRunner().invoke(app, [*call, *few, "--format", "json"])
    assert ran.exit_code == 0, ran.output
    found = api.load_space(out)
    assert found.limit == Limit(flops=2_000_000_000)
    assert cost_range(found).flops.greatest <= 2_000_000_000
