"""A space and data that train in seconds, and trainings of them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spacedsl.api import load_target
from spacedsl.compiler.supernet import SupernetPlan, supernet_plan
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.evaluate import Score
from spacedsl_runtime.train.loop import Job, Reached, train
from spacedsl_runtime.train.recipe import Recipe, recipe_for
from spacedsl_runtime.train.run import CHECKPOINT
from spacedsl_runtime.train.state import read_training
from tests.support import item_of

PAGE = """language 1
use "std/blocks.space"
space mini {
  input 1 x 8, 12
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 { mbv2 { kernel 3, 5  expand 2, 3 }  width 8, 16  depth 1..2  stride 2 }
  head { conv 1x1 -> 32 relu  pool  dropout 0.2  linear -> 10 }
}
"""

ONE = PAGE.replace("8, 12", "12").replace("3, 5", "3").replace("2, 3", "2").replace("8, 16", "16")
"""A space of one network."""
ONE = ONE.replace("depth 1..2", "depth 2").replace("mini", "one")


@cache
def mini_plan(page: str = PAGE, target: str | None = None) -> SupernetPlan:
    space = item_of(page, "one" if "space one" in page else "mini")
    return supernet_plan(space, load_target(target) if target else None)  # type: ignore[arg-type]


@cache
def digits(train: int = 200, test: int = 40) -> Data:
    """Some of the digits."""
    data = open_data("digits")
    return replace(
        data,
        train=data.train.some(np.arange(train)),
        test=data.test.some(np.arange(test)),
        hash=f"{data.hash}-{train}-{test}",
    )


PLAN = mini_plan()
USUAL: dict[str, Any] = {"steps": 12, "batch": 16, "lr": 0.1}
"""The recipe of `job`, unless it is told otherwise."""


def usual_recipe() -> Recipe:
    return recipe_for(digits(), **USUAL)


def job(folder: Path, data: Data | None = None, page: str = PAGE, **more: Any) -> Job:
    """Twelve steps of 16 images, a checkpoint every five."""
    found = data or digits()
    fields = {f: more.pop(f) for f in list(more) if f in Job.__dataclass_fields__}
    recipe: Recipe = fields.pop("recipe", None) or recipe_for(found, **{**USUAL, **more})
    channels = found.channels
    usual: dict[str, Any] = {
        "plan": mini_plan(page),
        "data": found,
        "recipe": recipe,
        "normalise": Normalise((0.5,) * channels, (0.5,) * channels),
        "folder": folder,
        "evaluate_every": 6,
        "save_every": 5,
    }
    return Job(**{**usual, **fields})


class Stopped(Exception):
    """What a training is stopped with."""


def run(
    job: Job, resume: bool = False, stop: int = 0, said: list[str] | None = None
) -> tuple[Score, ...]:
    """Train; stop right after step `stop`."""

    def show(reached: Reached) -> None:
        if reached.step == stop:
            raise Stopped

    return train(job, resume, show, (said if said is not None else []).append)


def weights(folder: Path) -> dict[str, Tensor]:
    """Everything that a run's checkpoint holds."""
    return read_training(folder / CHECKPOINT)[1]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
