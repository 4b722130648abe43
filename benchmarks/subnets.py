"""Searches for subnets, by prediction and by OFA's evolution: accuracy found by subnets valued.

    python -m benchmarks.subnets --runs DIR [--target cpu] [--train-seeds 0 1] [--seeds 0 1]
        [--images 2500] [--steps 1500]

Trains the two spaces of benchmarks/subnets.space on Fashion-MNIST where DIR does not hold them yet.
A subnet is valued by the FP32 accuracy of the supernet on held-out training images, with batch
norms calibrated on one batch: several times quicker than the INT8 accuracy that `search` takes.
Values are kept in DIR, so a second run is quick. Both ways search under four limits; evolution in
several settings. Prints one JSON object a line: of each search how many subnets were valued (all
limits together) and the mean over the limits of the best accuracy, in percent: on the held-out
images by how many were valued, and of what was found in the end on test images, which no choice
saw."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor

from spacedsl import api
from spacedsl.compiler.subnets import describe
from spacedsl.ir.for_data import for_data
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl.search.predicted import RANDOM, Predicting, opened, search_by_prediction
from spacedsl.search.protocols import LatencyModel
from spacedsl.search.subnets import Best, EvolutionSettings, Value, search_subnets
from spacedsl.tables.fit_accuracy import fewest_rows
from spacedsl.tables.predictor import fit_values
from spacedsl.targets.device import open_device
from spacedsl.targets.ranges import latency_range
from spacedsl.targets.subnet_latency import SubnetLatency
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data
from spacedsl_runtime.data.views import plain_view, to_array
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.recipe import held_out, training_part
from spacedsl_runtime.train.run import CHECKPOINT
from spacedsl_runtime.train.state import load_weights

PAGE = Path(__file__).with_suffix(".space")
SPACES = ("mbv3", "mixed")
SHARES = (0.15, 0.3, 0.45, 0.6)
"""Where limits lie between the fastest and the slowest subnet."""

CALIBRATION, TEST, BATCH = 512, 5_000, 500
"""Images for batch norms, of the test split, and at a time."""

EVOLUTIONS = ((16, 4), (16, 10))
"""Populations and rounds."""

CURVE = (100, 150, 200, 250, 300, 350, 400)
HELD = 6_000
"""Training images that `train` holds out by default."""


@dataclass
class Trained:
    """A trained supernet, what was valued, and images by part and resolution."""

    space: Space
    supernet: Supernet
    data: Data
    normalise: Normalise
    images: int
    file: Path
    known: dict[str, float]
    views: dict[tuple[str, Size], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def part(self, name: str, resolution: Size) -> tuple[Tensor, Tensor]:
        """Images and labels, as a network of a resolution sees them."""
        if (name, resolution) not in self.views:
            split, count = {
                "calibrate": (training_part(self.data, HELD).train, CALIBRATION),
                "value": (held_out(self.data, HELD), self.images),
                "test": (self.data.test, TEST),
            }[name]
            made = [
                to_array(plain_view(split.source(i), resolution, self.data.augment))
                for i in range(count)
            ]
            images = self.normalise(torch.stack([torch.tensor(m) for m in made]))
            self.views[name, resolution] = images, torch.tensor(split.labels[:count])
        return self.views[name, resolution]

    def top1(self, subnet: Subnet, part: str) -> float:
        """The accuracy on a part, a share; computed once."""
        key = f"{part} {describe(subnet)}"
        if key not in self.known:
            network = self.supernet.extract(subnet)
            recalibrate(network, [self.part("calibrate", subnet.resolution)[0]])
            images, labels = self.part(part, subnet.resolution)
            right = 0
            with torch.no_grad():
                for i in range(0, len(labels), BATCH):
                    some = slice(i, i + BATCH)
                    right += int((network(images[some]).argmax(1) == labels[some]).sum())
            self.known[key] = right / len(labels)
            with self.file.open("a") as file:
                file.write(json.dumps([key, self.known[key]]) + "\n")
        return self.known[key]


def trained(folder: Path, name: str, seed: int, steps: int, images: int) -> Trained:
    """The supernet of a space, which is trained where it is not there."""
    run, page = folder / f"{name}-{seed}", f"{PAGE}#subnets-{name}"
    words = ["--out", str(run), "--steps", str(steps), "--seed", str(seed), "--batch", "64"]
    if not (run / CHECKPOINT).exists():
        start = [sys.executable, "-m", "spacedsl", "train", page, "--data", "fashion-mnist"]
        subprocess.run([*start, *words, "--threads", "1", "--resume"], check=True)
    return supernet_of(run, page, images)


def supernet_of(run: Path, page: str, images: int) -> Trained:
    """The supernet of a run that `spacedsl train` made of a page."""
    data = open_data("fashion-mnist")
    space = for_data(api.load_space(page), data.channels, data.classes)
    supernet = load_supernet(space, data.channels, data.classes).eval()
    header = load_weights(run / CHECKPOINT, supernet)
    normalise = Normalise(tuple(header["mean"]), tuple(header["std"]))
    file = run / f"values-{images}.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return Trained(space, supernet, data, normalise, images, file, dict(map(json.loads, lines)))


class Question(NamedTuple):
    """Which limits, and how subnets are timed."""

    latency: LatencyModel
    ms: SubnetLatency
    range_ms: tuple[float, float]
    limits_ms: tuple[float, ...]


def asked(one: Trained, latency: LatencyModel) -> Question:
    """Four limits within the latencies of a space."""
    found = latency_range(one.space, latency)
    if found.least_ms is None or found.greatest_ms is None:
        raise SystemExit(f"`spacedsl target profile cpu --space {one.space.name}` first")
    least, greatest = found.least_ms, found.greatest_ms
    limits = tuple(least + share * (greatest - least) for share in SHARES)
    return Question(latency, SubnetLatency(one.space, latency), (least, greatest), limits)


Search = Callable[[Value], tuple[Best, ...]]


def searches(one: Trained, question: Question, seed: int) -> dict[str, Search]:
    """The searches that are compared, by name."""
    latency, ms, range_ms, limits = question
    space, fit = one.space, partial(fit_values, images=one.images)
    first = max(RANDOM, fewest_rows(opened(space)))
    predicting = Predicting(random=first, seed=seed)
    found: dict[str, Search] = {
        "prediction": lambda value: search_by_prediction(
            space, limits, range_ms, latency, ms, value, fit, predicting
        )
    }
    for population, rounds in EVOLUTIONS:
        evolving = partial(search_subnets, plan=EvolutionSettings(population, rounds, seed=seed))
        found[f"evolution {population} x {rounds}"] = partial(evolving, space, limits, range_ms, ms)
    return found


def compared(one: Trained, question: Question, search: Search) -> dict[str, object]:
    """What a search finds, by how many were valued."""
    ms, limits = question.ms, question.limits_ms
    seen: dict[str, tuple[float, float]] = {}

    def value(subnets: Sequence[Subnet]) -> list[float]:
        found = [one.top1(s, "value") for s in subnets]
        for subnet, top1 in zip(subnets, found, strict=True):
            seen.setdefault(describe(subnet), (top1, ms(subnet)))
        return found

    began = time.process_time()
    best = search(value)
    valued = list(seen.values())

    def at(count: int) -> float:
        some = valued[:count]
        return mean(max((v for v, t in some if t <= limit), default=0.0) for limit in limits)

    return {
        "valued": len(valued),
        "held_out": round(100 * mean(b.value for b in best), 3),
        "test": round(100 * mean(one.top1(b.subnet, "test") for b in best), 3),
        "by_valued": {n: round(100 * at(n), 3) for n in CURVE if n <= len(valued)},
        "seconds": round(time.process_time() - began, 1),
        "limits": [round(100 * b.value, 2) for b in best],
    }


def main() -> None:
    """Print one line of JSON per search."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--spaces", nargs="+", default=list(SPACES))
    parser.add_argument("--train-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=2_500)
    parser.add_argument("--steps", type=int, default=1_500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    latency = open_device(api.load_target(args.target)).latency
    for name in args.spaces:
        for train_seed in args.train_seeds:
            one = trained(args.runs, name, train_seed, args.steps, args.images)
            question = asked(one, latency)
            for seed in args.seeds:
                for way, search in searches(one, question, seed).items():
                    head = {"space": name, "trained": train_seed, "seed": seed, "way": way}
                    print(json.dumps(head | compared(one, question, search)), flush=True)


if __name__ == "__main__":
    main()
