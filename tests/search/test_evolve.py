"""Aging evolution: what it proposes, and that it does so again."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch
from spacedsl.ir.identity import space_identity
from spacedsl.ir.size import count_spaces
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome, Genotype, mutate
from spacedsl.search.evolve import Evolution, Found, Progress, evolve
from spacedsl.search.journal import Evaluated
from spacedsl.search.stream import Stream, uniforms
from tests.search.fakes import CountingScorer, load, model_scorer, page, toy

OPS_ONLY = page(
    stage1="width 16, 32  depth 1..3  stride 2", stage2="width 32, 48  depth 2"
).replace("width 48, 64, 80  window 2", "width 48, 64  window 2")

WIDTHS_ONLY = page(blocks="\n    mbv2 { kernel 3, 5  expand 4, 6 }")

ONE_SPACE = OPS_ONLY.replace("mbv2 { kernel 3, 5  expand 4, 6 }\n", "").replace(
    "mbv1-dual { kernel 3, 5 }", ""
)


def search(hyper: Space, **options: int) -> tuple[Found, CountingScorer]:
    scorer = CountingScorer(model_scorer(hyper))
    chosen = {"population": 20, "sample": 5, "cycles": 60, **options}
    return evolve(hyper, scorer, **chosen), scorer  # type: ignore[arg-type]


def test_a_search_finds_the_best_of_what_it_scored() -> None:
    hyper = toy()
    found, scorer = search(hyper)
    assert len(found.history) == len(scorer.scored) == len(set(scorer.scored)) == 60
    assert found.score == max(r.score for r in found.history)
    assert [r.index for r in found.history] == list(range(60))
    assert [r.hash for r in found.history] == scorer.scored
    assert found.space.kind == "space"
    assert found.space.name == "found"
    assert found.space.of == hyper
    assert mismatch(hyper, found.space) is None
    assert space_identity(found.space) == found.best.hash
    assert model_scorer(hyper).score(found.space).score == found.score
    assert not found.exhausted


def test_same_seed_same_search() -> None:
    hyper = toy()
    assert search(hyper, seed=4)[0] == search(hyper, seed=4)[0]
    assert search(hyper, seed=4)[0].history != search(hyper, seed=5)[0].history


def test_more_cycles_go_on_where_fewer_stopped() -> None:
    hyper = toy()
    longest = search(hyper, cycles=90)[0].history
    for cycles in (1, 7, 20, 21, 22, 63, 64):
        assert search(hyper, cycles=cycles)[0].history == longest[:cycles]


def test_children_differ_from_a_living_parent_in_one_stage() -> None:
    found, _ = search(toy(), population=10, sample=10, cycles=40)
    for i in range(10, 40, 2):
        living = found.history[i - 10 : i]
        parent = max(living, key=lambda r: (r.score, -r.index)).genotype
        for child, what in zip(found.history[i : i + 2], (0, 1), strict=True):
            places = [p for p in range(3) if child.genotype[p] != parent[p]]
            assert places
            assert all(child.genotype[p][1 - what] == parent[p][1 - what] for p in places)


@pytest.mark.parametrize("text", [OPS_ONLY, WIDTHS_ONLY, ONE_SPACE, page()])
@pytest.mark.parametrize("population", [1, 2, 7, 1000])
def test_small_hyperspaces_are_searched_to_the_end(text: str, population: int) -> None:
    hyper = load(text)
    total = count_spaces(hyper)
    found, scorer = search(hyper, population=population, sample=2000, cycles=5000)
    assert found.exhausted
    assert len(set(scorer.scored)) == len(scorer.scored) == total
    assert search(hyper, population=population, cycles=total - 1 or 1)[0].exhausted == (total == 1)


def test_operators_only_and_widths_only_change_nothing_else() -> None:
    operators, _ = search(load(OPS_ONLY), cycles=20)
    assert {window for r in operators.history for _, window in r.genotype} == {0}
    widths, _ = search(load(WIDTHS_ONLY), cycles=15)
    assert {block for r in widths.history for block, _ in r.genotype} == {0}


def test_a_search_beats_random_spaces() -> None:
    hyper = toy()
    genome, scorer = Genome(hyper), model_scorer(hyper)
    every = [scorer.score(genome.to_space(genome.at(i), "s")).score for i in range(genome.size)]
    best = sum(search(hyper, seed=seed)[0].score >= sorted(every)[-3] for seed in range(5))
    assert best >= 4


def test_progress_tells_the_best_so_far() -> None:
    told: list[Progress] = []
    scorer = model_scorer(toy())
    evolve(toy(), scorer, population=5, sample=2, cycles=12, progress=told.append)
    assert [p.done for p in told] == list(range(1, 13))
    assert all(a.best.score <= b.best.score for a, b in pairwise(told))
    assert {(p.cycles, p.replayed) for p in told} == {(12, 0)}


def test_the_oldest_leave() -> None:
    genome = Genome(toy())
    evolution = Evolution(genome, 4, 2, Stream(0))
    for index in range(0, 17):
        scored = tuple(
            Evaluated(index, genotype, "", float(index), ()) for genotype in evolution.propose()
        )
        assert len(scored) == (2 if index else 4)  # the first population, then two children each
        evolution.tell(scored)
        assert len(evolution.living) == 4
    assert [r.index for r in evolution.living] == [15, 15, 16, 16]


@pytest.mark.parametrize("option", ["population", "sample", "cycles"])
def test_options_are_at_least_one(option: str) -> None:
    with pytest.raises(SpaceError, match=f"{option} 0"):
        search(toy(), **{option: 0})


def test_bad_calls() -> None:
    with pytest.raises(SpaceError, match="seed -1"):
        search(toy(), seed=-1)
    with pytest.raises(SpaceError, match="no journal"):
        evolve(toy(), model_scorer(toy()), resume=True)
    rigid = toy().model_copy(update={"stages": toy().stages[:1]})
    with pytest.raises(SpaceError, match="no elastic stage"):
        search(rigid)


@given(st.integers(0, 323))
def test_genotypes_and_spaces_are_the_same_thing(index: int) -> None:
    genome = Genome(toy())
    genotype = genome.at(index)
    space = genome.to_space(genotype, "s")
    assert genome.from_space(space) == genotype
    assert mismatch(genome.hyper, space) is None


def test_every_index_is_another_space() -> None:
    genome = Genome(toy())
    assert genome.size == count_spaces(genome.hyper) == 324
    hashes = {space_identity(genome.to_space(genome.at(i), "s")) for i in range(genome.size)}
    assert len(hashes) == genome.size


def changed(space: Space, position: int, **update: object) -> Space:
    stages = list(space.stages)
    stages[position] = stages[position].model_copy(update=update)
    return space.model_copy(update={"stages": tuple(stages)})


def test_spaces_that_are_no_genotype_are_refused() -> None:
    genome = Genome(toy())
    space = genome.to_space(genome.at(3), "s")
    narrow = changed(space, 1, widths=(16,), window=1)
    for wrong, code in (
        (narrow, "narrower"),
        (changed(space, 0, widths=(8,), window=1), "narrower"),
        (space.model_copy(update={"resolutions": (32,)}), "narrower"),
        (changed(space, 1, widths=(24, 40)), "not-a-member"),
    ):
        with pytest.raises(SpaceError, match=code):
            genome.from_space(wrong)


@given(st.integers(0, 323), st.integers(0, 1), st.integers(0, 99))
def test_a_mutation_changes_one_gene(index: int, what: int, seed: int) -> None:
    genome = Genome(toy())
    before = genome.at(index)
    after = mutate(genome, before, what, Stream(seed))
    assert after is not None
    differing = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(differing) == 1
    assert differing[0][0][1 - what] == differing[0][1][1 - what]
    genome.to_space(after, "s")


def test_mutations_reach_every_alternative() -> None:
    genome = Genome(toy())
    stream = Stream(1)
    seen: Counter[Genotype | None] = Counter(
        mutate(genome, ((0, 0), (0, 0), (0, 0)), 0, stream) for _ in range(600)
    )
    assert len(seen) == 6
    assert min(seen.values()) > 60


def test_streams_are_uniform_and_stay_as_they_are() -> None:
    stream = Stream(0)
    counts = Counter(stream.below(3) for _ in range(3000))
    assert min(counts.values()) > 900
    assert sorted(stream.sample(9, 9)) == list(range(9))
    assert Stream(5).below(10**30) == Stream(5).below(10**30) < 10**30
    assert [Stream(0).below(1000), Stream(1).below(1000)] == PINNED_BELOW
    assert uniforms(0, (0, 1, 2, 3), 2).tolist() == PINNED_UNIFORMS
    assert uniforms(0, (0, 1), 9)[:3].tolist() == uniforms(0, (0, 1), 3).tolist()


PINNED_BELOW = [271, 127]
PINNED_UNIFORMS = [0.9003027605860106, 0.7527180491361491]
