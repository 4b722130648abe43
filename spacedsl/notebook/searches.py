"""Scores and searches, as a notebook calls them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from typing_extensions import TypeVar  # the standard one has no default before Python 3.13

from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.flows.evolve import Evolved
from spacedsl.flows.evolve import evolve as evolve_flow
from spacedsl.flows.optimum import Certified
from spacedsl.flows.optimum import optimum as optimum_flow
from spacedsl.flows.score import Scored
from spacedsl.flows.score import score as score_flow
from spacedsl.ir.space import Space as IrSpace
from spacedsl.notebook import html
from spacedsl.notebook.devices import AnyDevice, devices_of, limits_of
from spacedsl.notebook.values import Model, Space, model, space, space_of
from spacedsl.notebook.watching import Callback, watching
from spacedsl.search.best.networks import BestScore, Network
from spacedsl.search.combine import Combine
from spacedsl.search.evolve import CYCLES, POPULATION, SAMPLE
from spacedsl.search.exact.executors import Processes, serial
from spacedsl.search.protocols import QualityModel, Unit
from spacedsl.search.space_score import Definition
from spacedsl.targets.device import Device as Opened
from spacedsl.targets.open_scorer import Request

Devices = AnyDevice | Sequence[AnyDevice]
"""One device or several."""

Quality = str | Path | QualityModel
"""What networks are worth: a table, the folder of a distillation, or a model of one's own."""


@dataclass(frozen=True, slots=True, repr=False)
class BestModel:
    """One of the best networks under a latency limit. `value`: what it is predicted to be worth, in
    `unit` (top-1 in percent, or 1/loss), `sd` the standard deviation of that; `extrapolated`:
    whether accuracies are known of other networks only."""

    model: Model
    target: str
    limit_ms: float
    latency_ms: float
    value: float
    sd: float | None
    unit: str
    extrapolated: bool

    def __repr__(self) -> str:
        return (
            f"<{self.model.name}: {self.latency_ms:.3f} ms on {self.target}, {self.unit} "
            f"{self.value:.4g}{self.beyond}>"
        )

    @property
    def beyond(self) -> str:
        """Words for what is extrapolated."""
        return ", extrapolated" if self.extrapolated else ""


Detail_co = TypeVar(
    "Detail_co",
    bound=Scored | Evolved | Certified,
    covariant=True,
    default=Scored | Evolved | Certified,
)


@dataclass(frozen=True, slots=True, repr=False)
class Result(Generic[Detail_co]):
    """What a score or a search comes to: a space, its score, and the best networks under each
    limit. `detail`: all that the flow found."""

    space: Space
    score: float
    networks: tuple[BestModel, ...]
    detail: Detail_co

    def __repr__(self) -> str:
        return (
            f"<{self.space.name}: score {self.score:.4f}, {counted(len(self.networks), 'network')}>"
        )

    def _repr_html_(self) -> str:
        heads = ("limit", "model", "latency", "worth", "image", "FLOPs")
        rows = [
            (
                f"{n.limit_ms:g} ms",
                n.model.name,
                f"{n.latency_ms:.3f} ms on {n.target}",
                f"{n.value:.4g}"
                + ("" if n.sd is None else f" ± {n.sd:.2g}")
                + f" {n.unit}{n.beyond}",
                f"{n.model.resolution} px",
                f"{n.model.flops:,}",
            )
            for n in self.networks
        ]
        said = f"{self.space.name}: score {self.score:.4f}"
        return html.titled(said, html.table(heads, rows), html.page(self.space.text))


def score(
    space: IrSpace | str | Path,
    target: Devices,
    *,
    limits_ms: Sequence[float] = (),
    quality: Quality | None = None,
    definition: Definition = "best",
    samples: int | None = None,
    seed: int = 0,
    progress: Callback | None = None,
) -> Result[Scored]:
    """What a space is worth on a target: the best of all its networks under each latency limit.
    `quality`: a table, or a model of one's own (`spacedsl.QualityModel`). `definition` `qt` is the
    paper's Q-T score, of random networks. Raises `SpaceError`."""
    found, watch = space_of(space), watching(progress)
    table = _table(quality)
    devices = [d.ready(found, limits_ms, watch) for d in devices_of(target)]
    asked = Request(
        limits_ms=limits_of(limits_ms),
        quality=table,
        definition=definition,
        samples=samples,
        seed=seed,
    )
    scored = score_flow(found, devices, asked, watch=watch)
    parts = {p.target.name: p.result for p in scored.parts if isinstance(p.result, BestScore)}
    return Result(_rich(found), scored.score, _networks(parts), scored)


def best(
    space: IrSpace | str | Path,
    target: AnyDevice,
    n: int = 1,
    *,
    limits_ms: Sequence[float] = (),
    quality: Quality | None = None,
    progress: Callback | None = None,
) -> tuple[BestModel, ...]:
    """The `n` best networks of a space under each latency limit, of all there are, best first.
    Raises `SpaceError`."""
    if n < 1:
        raise fault("bad-option", f"{n} networks under each limit", "say at least 1")
    found, watch = space_of(space), watching(progress)
    table = _table(quality)
    devices = [d.ready(found, limits_ms, watch) for d in devices_of(target)]
    asked = Request(limits_ms=limits_of(limits_ms), quality=table)
    (part,) = score_flow(found, devices, asked, top=n, watch=watch).parts
    return tuple(
        _best_model(one, part.target.name, limit, part.unit)
        for limit, networks in zip(part.limits_ms, part.top, strict=True)
        for one in networks
    )


def evolve(
    hyper: IrSpace | str | Path,
    target: Devices,
    *,
    limits_ms: Sequence[float] = (),
    quality: Quality | None = None,
    combine: Combine | str = Combine.sum,
    population: int = POPULATION,
    sample: int = SAMPLE,
    cycles: int = CYCLES,
    seed: int = 0,
    journal: str | Path | None = None,
    resume: bool = False,
    name: str = "found",
    progress: Callback | None = None,
) -> Result[Evolved]:
    """Search a hyperspace for the space whose best networks are best on a target, by aging
    evolution over `cycles` spaces. Raises `SpaceError`."""
    found, watch = space_of(hyper), watching(progress)
    table = _table(quality)
    devices = [d.ready(found, limits_ms, watch) for d in devices_of(target)]
    evolved = evolve_flow(
        found,
        devices,
        Request(limits_ms=limits_of(limits_ms), quality=table, seed=seed),
        combine=Combine(combine),
        population=population,
        sample=sample,
        cycles=cycles,
        seed=seed,
        journal=None if journal is None else Path(journal),
        resume=resume,
        name=name,
        watch=watch,
    )
    networks = _networks(_named(evolved.by_target, devices))
    return Result(_rich(evolved.space), evolved.score, networks, evolved)


def optimum(
    hyper: IrSpace | str | Path,
    target: Devices,
    *,
    limits_ms: Sequence[float] = (),
    quality: Quality | None = None,
    combine: Combine | str = Combine.sum,
    top: int = 1,
    jobs: int = 1,
    minutes: float = math.inf,
    name: str = "optimum",
    progress: Callback | None = None,
) -> Result[Certified]:
    """The best space of a whole hyperspace; `detail.optimum` is the certificate. `jobs`: processes,
    0 for one per core. Raises `SpaceError`."""
    found, watch = space_of(hyper), watching(progress)
    table = _table(quality)
    devices = [d.ready(found, limits_ms, watch) for d in devices_of(target)]
    certified = optimum_flow(
        found,
        devices,
        Request(limits_ms=limits_of(limits_ms), quality=table),
        combine=Combine(combine),
        executor=serial if jobs == 1 else Processes(jobs),
        top=top,
        seconds=60 * minutes,
        name=name,
        watch=watch,
    )
    networks = _networks(_named(certified.by_target, devices))
    return Result(_rich(certified.space), certified.score, networks, certified)


def _table(quality: Quality | None) -> str | QualityModel | None:
    """As flows take it. Raises `SpaceError` for what is neither a table nor a model."""
    if quality is None or isinstance(quality, str | Path):
        return None if quality is None else str(quality)
    if not hasattr(quality, "stage"):
        message = f"a value of {type(quality).__name__} is no quality: it has no `stage`"
        help = "name a table or the folder of a distillation; `score_by` takes a function of models"
        raise fault("wrong-kind", message, help)
    return quality


def _rich(found: IrSpace) -> Space:
    return found if isinstance(found, Space) else space(found)


def _named(scores: dict[str, BestScore], devices: Sequence[Opened]) -> dict[str, BestScore]:
    """A single target's score has no name."""
    return {name or devices[0].target.name: result for name, result in scores.items()}


def _networks(scores: dict[str, BestScore]) -> tuple[BestModel, ...]:
    """The best network under each limit."""
    return tuple(
        _best_model(n, name, limit.limit_ms, result.unit)
        for name, result in scores.items()
        for limit, networks in zip(result.limits, result.networks, strict=True)
        for n in networks[:1]
    )


def _best_model(one: Network, target: str, limit_ms: float, unit: Unit) -> BestModel:
    found = (one.latency_ms, one.value, one.sd, unit, one.extrapolated)
    return BestModel(model(one.subnet), target, limit_ms, *found)
