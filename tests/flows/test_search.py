"""The flows that score and search, called from Python: with tables and with models of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.flows.evolve import evolve
from spacedsl.flows.open_scorers import open_all
from spacedsl.flows.optimum import optimum
from spacedsl.flows.ready import ready_devices, separating
from spacedsl.flows.score import score
from spacedsl.flows.watch import Show
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.lang.load import load_space, load_target
from spacedsl.search.candidate import Genome
from spacedsl.search.combine import Combine
from spacedsl.targets.device import Device
from spacedsl.targets.open_scorer import Request
from tests.search.fakes import LIMITS_MS, FakeLatency, FakeQuality, toy


@dataclass
class Listening:
    """Keeps all that it is told."""

    counted: dict[str, list[float]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    @contextmanager
    def counting(
        self, what: str, total: float, unit: str = "", *, always: bool = False
    ) -> Iterator[Show]:
        """Keep what is done."""
        done = self.counted.setdefault(what, [])
        yield lambda amount, *said: done.append(amount)
        assert done[-1] == total

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Keep what is said."""
        self.said.append(what)
        yield self.said.append

    def say(self, line: str) -> None:
        """Keep it."""
        self.said.append(line)

    def warn(self, line: str) -> None:
        """Keep it."""
        self.warned.append(line)


def device(name: str = "mine", factor: float = 1.0) -> Device:
    limits = tuple(factor * limit for limit in LIMITS_MS)
    target = Target(name=name, device="a device of one's own", latency="own", limits_ms=limits)
    return Device(target, FakeLatency(), limits)


OWN = Request(quality=FakeQuality())


def best_of_all(limits_ms: tuple[float, ...]) -> tuple[Space, float]:
    """The toy's best space, by scoring each."""
    genome = Genome(toy())
    scorer = open_all(toy(), [device()], Request(limits_ms, FakeQuality())).each["mine"]
    genotypes = [genome.at(i) for i in range(genome.size)]
    scores = [scorer.total(limits) for limits in scorer.limits(genome, genotypes)]
    place = max(range(len(scores)), key=lambda i: scores[i])
    return genome.to_space(genotypes[place], "any"), scores[place]


def test_an_optimum_by_models_of_ones_own_is_the_best_space_there_is() -> None:
    watch = Listening()
    found = optimum(toy(), [device()], Request((2.0,), FakeQuality()), watch=watch)
    space, most = best_of_all((2.0,))
    assert found.score == pytest.approx(most, rel=1e-12)
    assert space_identity(found.space) == space_identity(space)
    assert found.optimum.complete
    assert watch.said[0] == "preparing the stages"
    assert "with a proof" in found.comments[0]
    (result,) = found.by_target.values()
    ((network,),) = result.networks
    assert network.latency_ms <= 2.0


def test_a_search_tells_how_far_it_is_and_shows_what_it_finds_first() -> None:
    """The found space is told before it is compared, so that it is written whatever comes then."""
    watch, told = Listening(), list[tuple[Space, Sequence[str]]]()
    found = evolve(
        toy(),
        [device()],
        OWN,
        population=10,
        sample=4,
        cycles=30,
        on_found=lambda space, comments: told.append((space, comments)),
        watch=watch,
    )
    assert watch.counted["searching"] == list(range(1, 31))
    assert told == [(found.space, list(found.comments))]
    assert found.score == max(record.score for record in found.found.history)
    assert found.score == found.comparison.found.result.score
    assert [call.stage for call in found.calls] == ["stage1", "stage2", "stage3"]
    assert found.front == ()


def test_no_choice_is_called_clear_that_an_error_of_transferred_losses_would_turn() -> None:
    """One verdict for a stage, whatever statistics stand behind it."""
    plain = evolve(toy(), [device()], OWN, population=10, sample=4, cycles=60)
    sure = next(call for call in plain.calls if call.clear)
    doubtful = Request(quality=FakeQuality(doubtful={sure.block: 50.0}))
    found = evolve(toy(), [device()], doubtful, population=10, sample=4, cycles=60)
    assert space_identity(found.space) == space_identity(plain.space)
    turned = next(call for call in found.calls if call.stage == sure.stage)
    assert (turned.clear, turned.unless, turned.share) == (False, sure.block, sure.share)
    assert turned.said.endswith("unless its transferred losses are too low")
    survives = {doubt.stage: doubt.survives for doubt in found.doubts}
    assert all(survives[call.stage] for call in found.calls if call.clear)


def test_a_search_that_is_broken_off_after_it_found_a_space_has_told_it() -> None:
    class Full(Exception):
        pass

    def full(space: Space, comments: Sequence[str]) -> None:
        raise Full(space.name)

    with pytest.raises(Full, match="mine"):
        evolve(toy(), [device()], OWN, cycles=4, population=2, name="mine", on_found=full)


def test_a_search_on_two_devices_has_a_front() -> None:
    devices = [device("a"), device("b", 0.7)]
    found = evolve(toy(), devices, OWN, combine=Combine.worst, cycles=20, population=8, sample=4)
    assert {name for one in found.front for name in one.scores} == {"a", "b"}
    assert min(found.front[0].scores.values()) <= found.score
    scored = score(found.space, devices, OWN, combine=Combine.worst)
    assert scored.score == found.score
    assert [part.target.name for part in scored.parts] == ["a", "b"]


def test_a_score_lists_the_best_networks() -> None:
    space = load_space("vnni")
    devices = ready_devices([load_target("vnni")], space)
    (part,) = score(space, devices, Request(), top=3).parts
    assert part.limits_ms == devices[0].limits_ms
    for limit, first, top in zip(part.limits_ms, part.networks, part.top, strict=True):
        assert top[0].subnet == first[0].subnet
        assert len(top) == 3
        assert all(network.latency_ms <= limit for network in top)
        values = [network.value for network in top]
        assert values == sorted(values, reverse=True)


def test_a_hyperspace_and_networks_that_are_not_found_are_refused() -> None:
    with pytest.raises(SpaceError, match="toy is a hyperspace"):
        score(toy(), [device()], OWN)
    sampled = Request(quality=FakeQuality(), definition="qt")
    space = Genome(toy()).to_space(((0, 0),) * 3, "one")
    with pytest.raises(SpaceError, match="knows no best networks"):
        score(space, [device()], sampled, top=2)


def test_limits_that_tell_no_networks_apart_are_said_and_replaced() -> None:
    far = Device(device().target, FakeLatency(), (500.0, 600.0))
    watch = Listening()
    other = separating(far, toy(), (), watch)
    assert "taken instead" in watch.warned[0]
    assert other.limits_ms == other.target.limits_ms
    assert all(limit < 500 for limit in other.limits_ms)
    assert separating(far, toy(), (500.0,), watch) == far
    assert "taken instead" not in watch.warned[1]
