"""A Q-T score by functions of one's own, of whole models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from spacedsl import api
from spacedsl.diagnostics import fault
from spacedsl.figures import counted
from spacedsl.ir.space import Space as IrSpace
from spacedsl.notebook import html
from spacedsl.notebook.devices import limits_of
from spacedsl.notebook.values import Model, Space, model, space, space_of
from spacedsl.search.protocols import Floats
from spacedsl.search.space_score import LimitScore, limit_score, score_settings


class OfModels(Protocol):
    """A function of models: a latency in milliseconds, or a quality that is better where it is
    greater, for each."""

    def __call__(self, models: Sequence[Model], /) -> ArrayLike:
        """(N,) numbers of N models."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Sampled:
    """A Q-T score and what it is made of: the models drawn, their latencies in ms and qualities,
    (N,), and under each limit the mean quality of the best."""

    space: Space
    score: float
    limits: tuple[LimitScore, ...]
    models: tuple[Model, ...]
    latency_ms: Floats
    quality: Floats

    def best(self, limit_ms: float) -> Model | None:
        """The best model drawn that keeps a limit; None where none does."""
        under = np.flatnonzero(self.latency_ms <= limit_ms)
        return self.models[int(under[np.argmax(self.quality[under])])] if len(under) else None

    def __repr__(self) -> str:
        return (
            f"<{self.space.name}: score {self.score:.4f} of {counted(len(self.models), 'model')}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (f"{limit.limit_ms:g} ms", f"{limit.score:.4f}", found.name if found else "none")
            for limit in self.limits
            for found in [self.best(limit.limit_ms)]
        ]
        said = f"{self.space.name}: score {self.score:.4f} of {counted(len(self.models), 'model')}"
        return html.titled(said, html.table(("limit", "mean of the best", "best model"), rows))


def score_by(
    found: IrSpace | str | Path,
    *,
    quality: OfModels,
    latency: OfModels,
    limits_ms: Sequence[float],
    samples: int = 1000,
    best: int = 20,
    seed: int = 0,
) -> Sampled:
    """The Q-T score of a space (the paper's Sec. 4.1) by functions of one's own: of `samples`
    random models, the mean quality of the `best` ones under each limit, summed. Any function of
    models will do, a predictor, a benchmark's table or a device's `latency`. Raises `SpaceError`
    where a function does not give a number for each."""
    chosen = score_settings(limits_of(limits_ms), samples, best, seed, "qt")
    one = space_of(found)
    models = tuple(model(m) for m in api.sample(one, samples, seed))
    ms, worth = (_numbers(f, models) for f in (latency, quality))
    limits = tuple(limit_score(ms, worth, limit, best) for limit in chosen.limits_ms)
    total = math.fsum(limit.score for limit in limits)
    return Sampled(one if isinstance(one, Space) else space(one), total, limits, models, ms, worth)


def _numbers(function: OfModels, models: Sequence[Model]) -> Floats:
    given = function(models)
    try:
        found = np.asarray(given, dtype=np.float64)
        said = f"an array of shape {found.shape}"
    except (TypeError, ValueError):
        found, said = np.full(0, np.nan), f"a value of {type(given).__name__}"
    if found.shape == (len(models),) and np.isfinite(found).all():
        return found
    name = getattr(function, "__name__", type(function).__name__)
    if found.shape == (len(models),):
        said = f"{np.count_nonzero(~np.isfinite(found))} numbers that are not finite"
    message = f"`{name}` gave {said} for {counted(len(models), 'model')}"
    raise fault("bad-option", message, "it must give one finite number for each model")
