"""What a search of a supernet comes to: all subnets that were valued, and those deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from spacedsl.figures import counted, duration
from spacedsl.files import write_atomic
from spacedsl.flows.watch import Watch, announced
from spacedsl.ir.space import Space
from spacedsl.ir.target import Target
from spacedsl.operators.size import Size

FRONT, MEASURED = "front.json", "measured.json"
FORMAT = 1
"""Of these files."""


@dataclass(frozen=True, slots=True)
class Valued:
    """A subnet in words (its resolution, and stage by stage its blocks), its predicted latency, and
    its accuracy on held-out images."""

    words: str
    predicted_ms: float
    held_out_top1: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed subnet. Accuracies are INT8: `held_out_top1` chose it, `supernet_top1` is torch's
    and `top1` the file's on the `images` of the test split. Files are named in their folder."""

    name: str
    limit_ms: float
    predicted_ms: float
    resolution: Size
    flops: int
    hash: str
    held_out_top1: float
    supernet_top1: float
    top1: float
    images: int
    page: str
    file: str
    weights: str

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `top1`, which follows from the number of images (Wilson's)."""
        return wilson(self.top1, self.images)


@dataclass(frozen=True, slots=True)
class Measured:
    """Median latencies of the files on this machine, by model. `steady`: it was quiet enough."""

    median_ms: Mapping[str, float]
    steady: bool


@dataclass(frozen=True, slots=True, repr=False)
class Searched:
    """A search of a supernet: its `models`, in the order of their limits, and all that was
    `valued`; `settings` decided them. `folder` holds pages, files and `front.json`."""

    space: Space
    target: Target
    data: str
    folder: Path
    settings: Mapping[str, object]
    models: tuple[Deployment, ...]
    valued: tuple[Valued, ...]
    measured: Measured | None = None

    @property
    def front(self) -> dict[str, Any]:
        """The models as plain JSON, each with whether no other is as good on the test split and
        predicted to be faster, or better and as fast; with latencies where they were measured."""
        models = [
            asdict(m) | {"pareto": not any(_beats(o, m) for o in self.models)} for m in self.models
        ]
        found = {"format": FORMAT, "search": dict(self.settings), "models": models}
        if self.measured is None:
            return found
        timed = [m | {"measured_ms": self.measured.median_ms[m["name"]]} for m in models]
        return {**found, "models": timed, "steady": self.measured.steady}

    def latency_ms(self, model: Deployment) -> float:
        """One model's latency: measured where the files were, else predicted."""
        return self.measured.median_ms[model.name] if self.measured else model.predicted_ms

    def __repr__(self) -> str:
        what = f"{counted(len(self.models), 'model')} of {self.space.name}"
        return f"<{what} for {self.target.name} in {self.folder}>"


def _beats(other: Deployment, one: Deployment) -> bool:
    fast, good = other.predicted_ms <= one.predicted_ms, other.top1 >= one.top1
    better = other.predicted_ms < one.predicted_ms or other.top1 > one.top1
    return fast and good and better


def measure(found: Searched, seconds: float, watch: Watch) -> Measured:
    """Latencies of a search's files on this machine, timed interleaved at batch 1 for about
    `seconds`; they are written beside the front, since no two machines or moments give the same
    ones."""
    from spacedsl.hosts.host import HERE
    from spacedsl.hosts.measure import interleave
    from spacedsl.runtimes.table import runtime_of

    runtime, threads = runtime_of(found.target), found.target.threads
    runs = [HERE.open(runtime, found.folder / model.file, threads) for model in found.models]
    take = HERE.rounds("cpu" if threads == 1 else "wall")
    note = f"{counted(len(runs), 'file')}, at most about {duration(seconds)}"
    with announced(watch, f"measuring on {found.target.name}", note) as show:
        timing = interleave(runs, seconds, take=take, progress=show)
    times = {model.name: timing.time_ms(i) for i, model in enumerate(found.models)}
    written = {name: time.to_json() for name, time in times.items()}
    write_json(
        found.folder / MEASURED, {"format": FORMAT, "steady": timing.steady, "latency_ms": written}
    )
    return Measured({name: time.median for name, time in times.items()}, timing.steady)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Lines that a diff shows."""
    write_atomic(path, json.dumps(value, indent=1) + "\n")


Z = 1.96
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent images."""
    middle = share + Z * Z / (2 * count)
    reach = Z * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    whole = 1 + Z * Z / count
    return (middle - reach) / whole, (middle + reach) / whole
