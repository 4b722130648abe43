"""From a target and options to a scorer: tables opened, limits chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spacedsl.diagnostics import fault
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.search.protocols import QualityModel
from spacedsl.search.qt_scorers import ModelScorer, RowsScorer
from spacedsl.search.space_score import Definition
from spacedsl.tables.files import load_quality
from spacedsl.tables.stage_rows import TableRows
from spacedsl.targets.device import Device, open_device

ROWS = "rows:"


@dataclass(frozen=True, slots=True)
class Request:
    """What to score by on any device. `limits_ms` empty: the device's; `quality`: a table's name or
    file, or a model of one's own, None: the hyperspace's; `scorer`: "model" or "rows:DIR";
    `samples`, `best` None: the definition's own; `weights` empty: 1 for each limit."""

    limits_ms: tuple[float, ...] = ()
    quality: str | QualityModel | None = None
    scorer: str = "model"
    definition: Definition = "best"
    samples: int | None = None
    best: int | None = None
    seed: int = 0
    weights: tuple[float, ...] = ()


def open_scorer(
    space: Space, target: Target | Device, request: Request
) -> ModelScorer | RowsScorer:
    """The scorer for the spaces of a hyperspace, or for one space (then of what it is `of`, if
    anything), on a target. Rows are those of the outermost hyperspace. Raises `SpaceError`."""
    hyper = space if space.kind == "hyperspace" else space.of or space
    device = open_device(target) if isinstance(target, Target) else target
    latency, limits = device.latency, request.limits_ms or device.limits_ms
    options = (request.samples, request.best, request.seed, request.definition)
    if request.weights and request.scorer != "model":
        raise fault("bad-option", "weights are of the definition best", "leave --weights out")
    if request.scorer == "model":
        quality = open_quality(space, request.quality)
        return ModelScorer(hyper, latency, quality, limits, *options, request.weights)
    if not request.scorer.startswith(ROWS):
        help = "write model, or rows:DIR with a directory of tables"
        raise fault("bad-option", f"there is no scorer `{request.scorer}`", help)
    if request.quality is not None:
        message = "rows bring their own losses, so --quality has nothing to say"
        raise fault("bad-option", message, "leave --quality out, or use --scorer model")
    outermost = hyper
    while outermost.of is not None:
        outermost = outermost.of
    rows = TableRows.read(Path(request.scorer.removeprefix(ROWS)), outermost)
    return RowsScorer(hyper, rows, latency, limits, *options)


def open_scorers(
    space: Space, devices: Sequence[Device], request: Request
) -> dict[str, ModelScorer | RowsScorer]:
    """The scorers of several devices, by their targets' names. Raises `SpaceError`."""
    return {device.target.name: open_scorer(space, device, request) for device in devices}


def open_quality(space: Space, asked: str | QualityModel | None) -> QualityModel:
    """The quality model asked for: a table, one's own, or the table that the page names. Raises
    `SpaceError`."""
    if asked is None or isinstance(asked, str):
        return load_quality(quality_name(space, asked))
    return asked


def quality_name(space: Space, asked: str | None) -> str:
    """The quality table asked for, else the one the page names. Raises `SpaceError`."""
    name = asked or space.quality
    if name is None:
        message = f"`{space.name}` names no quality table"
        help = (
            'say --quality TABLE, or write `quality "..."` in it; `spacedsl explain no-quality` '
            "says which blocks the shipped tables know, and how to make a table of your own"
        )
        raise fault("no-quality", message, help)
    return name
