"""What learning scales and offsets brings in QAT: INT8 accuracy of subnets at equal steps.

    python -m benchmarks.lsq [--data fashion-mnist] [--device cuda] [--jobs 8] [--spaces A B]
        [--seeds 0 1] [--steps 600] [--qat-steps 300] [--rates 0.001 0.004] [--out DIR]

Every space is trained in FP32 with every seed; from there each way trains on for the same steps:
`frozen` scales; `raw`, the rule of before (SGD on LSQ's gradients at a rate of 1e-4, their scale
counting the batch); `share RATE`, the present rule; and `fp32`, which is not quantised. Accuracy
is that of the integers that are deployed, on the test split, mean over five subnets. Prints one
JSON object a line: a training as it ends, then for every way its mean distance to `frozen` in
points, and each training's. Runs are processes, `--jobs` at a time."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.optim import SGD

from spacedsl import api
from spacedsl.compiler.int8 import QMAX
from spacedsl.compiler.supernet import supernet_plan
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.quant import fused
from spacedsl_runtime.train import loop
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.loop import Job, train
from spacedsl_runtime.train.optimise import SHARE, optimiser_of
from spacedsl_runtime.train.quantise import fp32_settings
from spacedsl_runtime.train.recipe import Recipe, qat_recipe_for, recipe_for
from spacedsl_runtime.train.run import CHECKPOINT
from spacedsl_runtime.train.state import load_weights, read_training

SPACES = [f"{Path(__file__).with_suffix('.space')}#{name}" for name in ("gated", "plain")]

RAW_RATE = 1e-4
BEGIN = "begin"
"""The FP32 training that every way goes on with."""


class Task(NamedTuple):
    """A training: `way` is how it goes on, `rate` the share of `share`."""

    space: str
    seed: int
    way: str
    rate: float = 0.0

    @property
    def name(self) -> str:
        """Of the way, with its rate."""
        return f"{self.way} {self.rate:g}" if self.way == "share" else self.way

    def folder(self, asked: argparse.Namespace) -> Path:
        """Of the FP32 training; the others are within."""
        return Path(asked.out) / f"{short(self.space)}-{self.seed}"


def short(space: str) -> str:
    """A space's name without its page."""
    return space.rpartition("#")[2].replace("/", "-")


def run(task: Task, asked: argparse.Namespace) -> dict[str, Any]:
    """One training in a process of its own; its accuracy, and how far scales moved."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    folder = task.folder(asked)
    quantised = task.way not in (BEGIN, "fp32")
    target = api.load_target(asked.target) if quantised else None
    plan = supernet_plan(api.load_space(task.space), target)
    data = open_data(asked.data)
    normalise = Normalise((0.5,) * data.channels, (0.5,) * data.channels)
    if task.way == BEGIN:
        recipe = recipe_for(data, steps=asked.steps, batch=asked.batch, seed=task.seed)
        job = Job(plan, data, recipe, normalise, folder, 10**9, 10**9, asked.device)
    else:
        settings = fp32_settings(folder)
        recipe = qat_recipe_for(data, settings, steps=asked.qat_steps, quantiser_lr=task.rate)
        job = Job(plan, data, recipe, normalise, folder / task.name, 10**9, 10**9, asked.device)
        job = replace(job, fp32=folder) if quantised else job
    with ExitStack() as stack:
        if task.way == "raw":
            stack.enter_context(raw_rule())
        if task.way == "fp32":
            stack.enter_context(trained_on(folder))
        scores = train(job, False, lambda reached: None, lambda words: None)
    return {
        **task._asdict(),
        "space": short(task.space),
        "way": task.name,
        "top1": mean(s.top1 for s in scores),
        "loss": mean(s.loss for s in scores),
        "subnets": {s.name: s.top1 for s in scores},
        "seconds": time.perf_counter() - began,
    }


@contextmanager
def raw_rule() -> Iterator[None]:
    """A stand-in for the rule of before: gradients of scales as they are, n with the batch."""

    def with_batch(x: Tensor) -> float:
        return 1.0 / sqrt(max(1, x.numel()) * QMAX)

    def optimiser(model: nn.Module, recipe: Recipe) -> SGD:
        found = usual(model, recipe)
        found._optimizer_step_pre_hooks.clear()
        found.param_groups[2][SHARE] = RAW_RATE / recipe.lr
        return found

    usual: Callable[[nn.Module, Recipe], SGD] = optimiser_of
    with (
        patch.object(loop, "optimiser_of", optimiser),
        patch.object(fused, "activation_gradient", with_batch),
    ):
        yield


@contextmanager
def trained_on(folder: Path) -> Iterator[None]:
    """FP32 trainings begin with the weights of `folder`."""

    def model(job: Job, plan: Any, evaluation: Any, *_: Any) -> Any:
        supernet = load_supernet(plan, job.data.channels, job.data.classes)
        load_weights(folder / CHECKPOINT, supernet)
        return supernet.to(evaluation.device).train()

    with patch.object(loop, "_model", model):
        yield


def main() -> None:
    """Print a JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--target", default="vnni")
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--qat-steps", type=int, default=300)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rates", nargs="*", type=float, default=[0.001, 0.004])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out")
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        asked.out = asked.out or temporary
        rows = list(trainings(asked))
        for row in compared(rows, asked):
            print(json.dumps(row), flush=True)


def trainings(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every training's row, printed as it ends."""
    ways = [("frozen", 0.0), ("raw", 0.0), ("fp32", 0.0), *(("share", r) for r in asked.rates)]
    with ProcessPoolExecutor(asked.jobs, get_context("spawn")) as pool:
        first = [Task(space, seed, BEGIN) for space in asked.spaces for seed in asked.seeds]
        begun = {pool.submit(run, task, asked): task for task in first}
        running: set[Future[dict[str, Any]]] = set(begun)
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                row = future.result()
                print(json.dumps(row), flush=True)
                yield row
                if row["way"] == BEGIN:
                    tasks = [Task(*begun[future][:2], *way) for way in ways]
                    running |= {pool.submit(run, task, asked) for task in tasks}


def compared(rows: list[dict[str, Any]], asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """For every way its distances to frozen scales, in points of top-1, and how far from them its
    own scales are."""
    plain = {(r["space"], r["seed"]): r["top1"] for r in rows if r["way"] == "frozen"}
    for way in dict.fromkeys(r["way"] for r in rows):
        mine = [r for r in rows if r["way"] == way]
        points = [100 * (r["top1"] - plain[r["space"], r["seed"]]) for r in mine]
        yield {
            "way": way,
            "top1": mean(r["top1"] for r in mine),
            "points_above_frozen": mean(points),
            "each": {f"{r['space']} {r['seed']}": p for r, p in zip(mine, points, strict=True)},
            "moved": [moved(Task(r["space"], r["seed"], way).folder(asked), way) for r in mine],
        }


def moved(folder: Path, way: str) -> dict[str, float] | None:
    """How far the scales of a way ended from the frozen ones, as shares of them."""
    if way in (BEGIN, "fp32"):
        return None
    ends, begins = (read_training(folder / name / CHECKPOINT)[1] for name in (way, "frozen"))
    names = [n for n in begins if n.startswith("model.") and n.endswith(".scale")]
    shares = [abs(float(ends[n] / begins[n]) - 1) for n in names]
    return {"median": median(shares), "largest": max(shares)}


if __name__ == "__main__":
    main()
