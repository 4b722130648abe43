"""All networks on this machine and on every emulated CPU, and the tables of what was found."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacedsl.runtimes.machine import this_machine
from tests.arm.compare import (
    OPERATORS,
    Answers,
    Tallies,
    Tally,
    answers,
    compared,
    plain_logits,
    write_files,
)
from tests.arm.guest import RUNTIMES
from tests.arm.networks import Case
from tests.arm.places import HERE, Cpu, run_emulated, run_here

PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert"}
ONE_OFF_IN = 20_000
"""Of so many elements, the last ones too, an operator may round one otherwise: 50 of a million."""

NEAR = 1e-4
"""Only numbers so near to a tie may be rounded otherwise, in steps; 4.8e-5 was seen."""


@dataclass(slots=True)
class Results:
    """What a runtime made of all networks in one place; `answers` by network."""

    operators: Tallies = field(default_factory=dict)
    answers: dict[str, Answers] = field(default_factory=dict)


Found = dict[str, dict[str, Results]]
"""Runtime -> place -> what it made."""


def measure(cases: Sequence[Case], folder: Path, cpus: Sequence[Cpu]) -> Found:
    """Run every network everywhere; `folder` takes its files."""
    for case in cases:
        write_files(case, folder)
    found: Found = {}
    for runtime in RUNTIMES:
        run_here(folder, runtime)
        here = {case.name: plain_logits(case, folder, runtime) for case in cases}
        found[runtime] = {HERE: results(cases, folder, runtime, here)}
        for cpu in cpus:
            print(f"{runtime} on {cpu.name}", file=sys.stderr)
            run_emulated(cpu, folder, runtime)
            found[runtime][cpu.name] = results(cases, folder, runtime, here)
    return found


def results(
    cases: Sequence[Case], folder: Path, runtime: str, here: Mapping[str, NDArray[np.float32]]
) -> Results:
    """What was just run; `here`: the logits on this machine."""
    found = Results()
    for case in cases:
        for name, one in compared(case, folder, runtime).items():
            found.operators.setdefault(name, Tally()).pool(one)
        there = plain_logits(case, folder, runtime)
        found.answers[case.name] = answers(case, here[case.name], there)
    return found


def failures(found: Found, trained: Sequence[str]) -> Iterator[str]:
    """What breaks the promises: a step more than one, too many elements off, another answer of a
    trained network."""
    for runtime, places in found.items():
        for place, made in places.items():
            for name, tally in made.operators.items():
                where = f"{runtime}, {place}, {name}"
                if tally.most > 1:
                    yield f"{where}: {tally.most} steps off"
                if tally.values > ceil(tally.elements / ONE_OFF_IN):
                    yield f"{where}: {tally.off} of {tally.elements} elements are a step off"
                if tally.tie > NEAR:
                    yield f"{where}: rounded otherwise {tally.tie:.1e} steps from a tie"
            for name in trained:
                one = made.answers[name]
                if one.same_class < one.images:
                    wrong = one.images - one.same_class
                    yield f"{runtime}, {place}, {name}: {wrong} of {one.images} answers differ"


def tables(found: Found, cases: Sequence[Case]) -> Iterator[str]:
    """The lines of two tables in Markdown for each runtime: operators, and answers."""
    for runtime, places in found.items():
        version = metadata.version(PACKAGES[runtime])
        yield f"{runtime} {version}, {len(cases)} networks; this machine: {this_machine().cpu}"
        yield ""
        yield from operators_table(places)
        yield ""
        yield from answers_table(places, cases)
        yield ""


def operators_table(places: Mapping[str, Results]) -> Iterator[str]:
    """Elements a step off, of every operator."""
    yield from heading(["operator", "elements, million", *places, "farthest from a tie, steps"])
    for name in OPERATORS.values():
        tallies = [made.operators[name] for made in places.values() if name in made.operators]
        if tallies:
            cells = [f"{t.off} ({t.per_million:.2g} ppm)" if t.off else "0" for t in tallies]
            tie = max(t.tie for t in tallies)
            yield row([name, f"{tallies[0].elements / 1e6:.2f}", *cells, f"{tie:.1e}"])


def answers_table(places: Mapping[str, Results], cases: Sequence[Case]) -> Iterator[str]:
    """How many images of a kind of networks have the answers that they have on this machine."""
    there = {place: made.answers for place, made in places.items() if place != HERE}
    yield from heading(["networks", "images", *(f"{place}: answers, logits" for place in there)])
    for kind in dict.fromkeys(case.kind for case in cases):
        names = [case.name for case in cases if case.kind == kind]
        cells = []
        for made in there.values():
            ones = [made[name] for name in names]
            same = sum(one.same_class for one in ones), sum(one.same_logits for one in ones)
            most = max(one.steps for one in ones)
            cells.append(f"{same[0]}, {same[1]} (else at most {most} steps)")
        images = sum(len(case.images) for case in cases if case.kind == kind)
        yield row([f"{len(names)} {kind}", str(images), *cells])


def heading(cells: Sequence[str]) -> Iterator[str]:
    """The first lines of a table."""
    yield row(cells)
    yield "|" + "---|" * len(cells)


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"
