"""Accuracy of subnets: extracted, batch norms re-calibrated on training images, on plain views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.subnets import describe
from spacedsl.compiler.supernet import SupernetPlan
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size, area
from spacedsl_runtime.data.kept import Kept
from spacedsl_runtime.data.split import Bytes, Data, Labels, Split, Unreadables
from spacedsl_runtime.data.views import plain_batches
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.parallel import World, add_up
from spacedsl_runtime.train.seeds import Use, choices, numbers
from spacedsl_runtime.train.state import Trained

RANDOM = 3
"""Random subnets that are evaluated besides the largest and the smallest."""

BATCH = 256
CALIBRATION_BATCHES, CALIBRATION_BATCH = 20, 64


@dataclass(frozen=True)
class Score:
    """A subnet's share of right answers and mean cross entropy on the test split. `words`: the
    subnet on one line."""

    name: str
    subnet: Subnet
    top1: float
    loss: float
    images: int
    words: str

    def to_json(self) -> dict[str, Any]:
        """For metrics and results."""
        return {
            "subnet": self.words,
            "resolution": self.subnet.resolution,
            "top1": self.top1,
            "loss": self.loss,
            "images": self.images,
        }


def evaluated_subnets(plan: SupernetPlan, seed: int) -> dict[str, Subnet]:
    """Largest, smallest and a few random ones, the same every time; equal ones once."""
    rng = choices(seed, Use.evaluation)
    asked = {"largest": plan.largest(), "smallest": plan.smallest()}
    asked |= {f"random{i}": plan.sample(rng) for i in range(RANDOM)}
    return distinct(asked)


def distinct(subnets: dict[str, Subnet]) -> dict[str, Subnet]:
    """Without those that equal one before them, as in a space of one network."""
    found: dict[Subnet, str] = {}
    for name, subnet in subnets.items():
        found.setdefault(subnet.model_copy(update={"name": "subnet"}), name)
    return {name: subnets[name] for name in found.values()}


def evaluate_together(
    evaluation: Evaluation, supernet: Trained, subnets: dict[str, Subnet], world: World
) -> tuple[Score, ...]:
    """The scores of subnets by name, each by one of the processes; the same in all of them, and
    the same as one process finds."""
    if world.size == 1:
        return evaluation(supernet, subnets)
    mine = dict(islice(subnets.items(), world.rank, None, world.size))
    own = {score.name: score for score in evaluation(supernet, mine)}
    found = torch.zeros(len(subnets), 3, dtype=torch.float64, device=evaluation.device)
    for row, name in zip(found, subnets, strict=True):
        if name in own:
            row[:] = torch.tensor((own[name].top1, own[name].loss, own[name].images))
    add_up(found, world)
    return tuple(
        Score(name, subnet, top1, loss, int(images), describe(subnet))
        for (name, subnet), (top1, loss, images) in zip(
            subnets.items(), found.tolist(), strict=True
        )
    )


@dataclass(frozen=True)
class Evaluation:
    """What it takes to evaluate subnets of one space on one set of data. Batch norms are calibrated
    on batches of `batch` images."""

    data: Data
    normalise: Normalise
    seed: int
    device: torch.device
    unreadables: Unreadables
    kept: Kept = field(default_factory=Kept, repr=False)
    batch: int = CALIBRATION_BATCH

    def __call__(self, supernet: Trained, subnets: dict[str, Subnet]) -> tuple[Score, ...]:
        """The scores of subnets by name. The supernet is not changed. Raises `DataError`."""
        mode = supernet.training
        supernet.eval()
        try:
            return tuple(self._score(supernet, n, s) for n, s in subnets.items())
        finally:
            supernet.train(mode)

    def _score(self, supernet: Trained, name: str, subnet: Subnet) -> Score:
        network = supernet.extract(subnet)
        recalibrate(network, self.calibration(subnet.resolution))
        right, loss, images = self.test(network, subnet.resolution)
        words = describe(subnet)
        return Score(name, subnet, right / max(1, images), loss / max(1, images), images, words)

    def calibration(self, resolution: Size) -> Iterator[Tensor]:
        """Batches (N, C, R, R) of plain views of training images, the same every time."""
        count = CALIBRATION_BATCHES * self.batch
        whole = self.data.train
        order = numbers(self.seed, Use.calibration).permutation(len(whole.labels))[:count]
        for views, _ in self._views("train", whole.some(order), resolution, self.batch):
            yield self.normalise(self._here(views))

    def _views(
        self, name: str, split: Split, resolution: Size, batch: int
    ) -> Iterable[tuple[Bytes, Labels]]:
        """Plain views and labels in batches, decoded once where there is room."""
        made = plain_batches(split, resolution, self.data.augment, batch, self.unreadables)
        size = len(split.labels) * self.data.channels * area(resolution)
        return self.kept.get((name, resolution), size, made)

    def test(self, network: nn.Module, resolution: Size) -> tuple[int, float, int]:
        """Right answers, sum of cross entropies and number of images of the test split."""
        sums, images = torch.zeros(2, dtype=torch.float64, device=self.device), 0
        with torch.no_grad():
            for views, expected in self._views("test", self.data.test, resolution, BATCH):
                logits = network(self.normalise(self._here(views)))
                labels = self._here(expected)
                right = (logits.argmax(1) == labels).sum()
                loss = F.cross_entropy(logits, labels, reduction="sum")
                sums += torch.stack((right, loss))  # read once, in the end
                images += len(labels)
        right_in_all, loss_in_all = sums.tolist()
        return int(right_in_all), loss_in_all, images

    def _here(self, array: Bytes | Labels) -> Tensor:
        """An array on the evaluation's device; of the same values."""
        return torch.tensor(array, device=self.device)
