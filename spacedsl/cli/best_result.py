"""What a search by the best networks ends with: the closing table, how sure each stage's choice is,
and a page per limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from spacedsl.cli.best import UNCALIBRATED, Origin, best_json, optimism_said, scored
from spacedsl.cli.words import wrapped
from spacedsl.files import write_atomic
from spacedsl.flows.evolve import Evolved
from spacedsl.flows.open_scorers import by_target
from spacedsl.ir.space import Space
from spacedsl.lang.written import page_in
from spacedsl.search.best.calls import Call
from spacedsl.search.best.networks import BestScore, Network, beyond_said
from spacedsl.search.combined import CombinedScore
from spacedsl.search.compare import UNCERTAINTIES, Compared, Comparison
from spacedsl.search.protocols import Unit
from spacedsl.search.space_score import SpaceScore

CALLED = (
    "How sure the choice of each stage is, with the other stages as found "
    "(in percent of the score):"
)

UNLESS = (
    "  Transferred losses come from another hyperspace's table: here they were not measured. "
    f'"Unless" stands where {UNCERTAINTIES:g} standard uncertainties of them turn the choice.'
)


def write_models(
    folder: Path, space: Space, scores: Mapping[str, BestScore], origin: str | None
) -> list[Path]:
    """Write the best network under every limit as a page into `folder`; `origin`: the page that
    defines the space. The pages."""
    written = []
    for target, result in scores.items():
        for networks in result.networks:
            for network in networks[:1]:
                subnet = network.subnet
                if len(scores) > 1:
                    name = subnet.name.replace(space.name, f"{space.name}-{target}", 1)
                    subnet = subnet.model_copy(update={"name": name})
                written.append(folder / f"{subnet.name}.space")
                write_atomic(written[-1], page_in(folder, subnet, origin))
    return written


def print_best(comparison: Comparison) -> None:
    """The closing table: per limit the best network of each space, what it is worth, its latency
    and its resolution."""
    rows = [("found", comparison.found)]
    if comparison.reference is not None:
        rows.append((f"published {comparison.reference.name}", comparison.reference))
    if comparison.random_best is not None:
        count = len(comparison.random)
        rows.append((f"best of {count} random", comparison.random_best))
    scores = [(label, list(by_target(compared.result).items())) for label, compared in rows]
    unit = scores[0][1][0][1].unit
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("best networks")
    for name in ("limit", "top-1 %" if unit == "top-1" else "1/loss", "latency", "image"):
        table.add_column(name, justify="right", no_wrap=True)
    for i, (target, result) in enumerate(scores[0][1]):
        for t, limit in enumerate(result.limits):
            said = f"{target} {limit.limit_ms:g} ms" if len(scores[0][1]) > 1 else ""
            for label, parts in scores:
                cells = _cells(parts[i][1].networks[t], unit)
                table.add_row(label, said or f"{limit.limit_ms:g} ms", *cells)
            table.add_section()
    Console(width=100).print(table)
    for label, compared in rows:
        print(wrapped(f"{label}: {scored(compared.result.score, unit)}", "    "))
    if unit == "1/loss":
        print(wrapped(UNCALIBRATED))


def _cells(networks: Sequence[Network], unit: Unit) -> tuple[str, str, str]:
    if not networks:
        return "none", "", ""
    first = networks[0]
    value = f"{first.value:.4f}" if unit == "1/loss" else first.points
    return value, f"{first.latency_ms:.3f} ms", f"{first.subnet.resolution} px"


def print_best_of(evolved: Evolved) -> None:
    """The closing table, and how sure the choice of each stage is."""
    print_best(evolved.comparison)
    for line in beyond_said(shown_networks(evolved.comparison)):
        print(wrapped(line, "  "))
    for line in corrected_lines(evolved.comparison):
        print(wrapped(line))
    print_calls(evolved.calls)


def shown_networks(comparison: Comparison) -> list[tuple[Network, ...]]:
    """The best networks of the closing table."""
    compared = filter(None, (comparison.found, comparison.reference, comparison.random_best))
    scores = [score for c in compared for score in by_target(c.result).values()]
    return [networks[:1] for score in scores for networks in score.networks]


def corrected_lines(comparison: Comparison) -> list[str]:
    """What to expect of the found networks: the best of many predictions is too good."""
    lines = []
    for target, score in by_target(comparison.found.result).items():
        firsts = [networks[0] if networks else None for networks in score.networks]
        said = [network for network in firsts if network is not None and optimism_said(network)]
        if not said or said[0].expected is None:
            continue
        more = said[0].value - said[0].expected
        expected = ", ".join("none" if n is None else f"{n.expected:.1f}" for n in firsts)
        where = f" on {target}" if target else ""
        lines.append(
            f"The best of many predictions is too good: networks that were chosen so and then "
            f"trained had {more:.1f} points less. Expect {expected} % under the limits{where}."
        )
    return lines


def comparison_json(comparison: Comparison, origin: Origin) -> dict[str, Any]:
    """Plain data of the spaces that are compared; `origin`: of the found one."""
    reference = comparison.reference
    return {
        "found": _compared_json(comparison.found, origin),
        "reference": _compared_json(reference, (origin[0], None)) if reference else None,
        "random": [
            {"name": r.name, "hash": r.hash, "score": r.result.score} for r in comparison.random
        ],
    }


def score_json(result: SpaceScore | CombinedScore, origin: Origin) -> dict[str, Any]:
    """A score on one target or on several, as plain data."""
    scores = by_target(result)
    if not isinstance(result, CombinedScore):
        return best_json(scores[""], *origin)
    parts = [{"target": name, **best_json(score, *origin)} for name, score in scores.items()]
    limits = [{"target": part["target"], **limit} for part in parts for limit in part["limits"]]
    whole = {"score": result.score, "combine": result.combine.value, "definition": "best"}
    return {**whole, "limits": limits, "targets": parts}


def _compared_json(compared: Compared, origin: Origin) -> dict[str, Any]:
    score = score_json(compared.result, origin)
    limits = {"limits": score["limits"]}
    return {"name": compared.name, "hash": compared.hash, "score": compared.result.score, **limits}


def print_calls(found: Sequence[Call]) -> None:
    """A line per stage: whether its block type is clearly the best one."""
    asked = [call for call in found if call.rival is not None]
    if asked:
        print(wrapped(CALLED))
    for call in asked:
        print(wrapped(f"  {call.said}", "    "))
    if any(call.unless is not None for call in asked):
        print(wrapped(UNLESS, "  "))
