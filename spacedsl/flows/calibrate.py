"""A trained FP32 network in 8 bits, by calibration. Its weights come from a checkpoint, and the
ranges of its tensors from images. An agreement says how often both networks answer the same. Needs
PyTorch, which is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.compiler.export import Seeded
from spacedsl.compiler.integer_model import Preprocess, preprocess_for
from spacedsl.compiler.parameters import Floats
from spacedsl.compiler.plans import network_plan
from spacedsl.diagnostics import fault
from spacedsl.flows.faults import runtime_faults
from spacedsl.flows.watch import SILENT, Watch
from spacedsl.ir.for_data import for_data
from spacedsl.ir.reparam import with_counts
from spacedsl.ir.size import count_subnets
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size
from spacedsl.targets.deployed import open_deployed

if TYPE_CHECKING:
    from spacedsl_runtime.data.split import Data, Split

CALIBRATION_IMAGES = 64
COMPARED_IMAGES = 200
BATCH = 32


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over so many `images`: the share of them with the same largest logit in FP32 and in 8 bits,
    and where the data have labels for the network's classes the top-1 accuracy of both."""

    images: int
    argmax: float
    fp32_top1: float | None
    int8_top1: float | None


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`net`: a network with a checkpoint's weights, and the images that give the ranges of its
    tensors. `fp32` runs it on normalised images (N, C, R, R)."""

    subnet: Subnet
    net: Seeded
    data: Data | None
    fp32: Callable[[Floats], Floats]

    def agreement(self, file: Path, watch: Watch = SILENT) -> Agreement | None:
        """How the INT8 file compares, on images of the test split; None without data, and for a
        network that ends in maps. Raises `SpaceError`."""
        graph = self.net.plan.graph
        if self.data is None or graph.taps:
            return None
        deployed = open_deployed(file)
        labelled = self.data.classes == graph.outputs[0].node.shape[0]
        same, right32, right8, images = 0, 0, 0, 0
        how = self.net.preprocess
        split = _some(self.data, COMPARED_IMAGES, tested=True)
        total = len(split.labels)
        with runtime_faults(), watch.counting("comparing with FP32", total, "images") as show:
            show(0)
            for views, labels in _views(self.data, split, self.subnet.resolution, how):
                expected, found = self.fp32(views).argmax(1), deployed.run(views).argmax(1)
                same += int((expected == found).sum())
                right32 += int((expected == labels).sum())
                right8 += int((found == labels).sum())
                images += len(labels)
                show(images)
        if not images:
            raise fault("bad-data", f"{self.data.spec} has no image to compare on")
        shares = (right32 / images, right8 / images) if labelled else (None, None)
        return Agreement(images, same / images, *shares)


def with_checkpoint(subnet: Subnet, checkpoint: Path, data: str | None) -> Calibrated:
    """A model with the FP32 weights of a checkpoint of its space, and with images of `data` (None:
    none) for the ranges of its tensors. What was trained as a sum is folded, whatever the model's
    page says of `reparam`. Batch norms of a space of several networks, which share
    them, are re-calibrated on these images. Raises `SpaceError`."""
    with runtime_faults():
        import torch

        from spacedsl_runtime.checkpoint import load_weights, read_checkpoint, trained_as
        from spacedsl_runtime.data.sources import open_data
        from spacedsl_runtime.elastic.recalibrate import recalibrate
        from spacedsl_runtime.elastic.supernet import Member, load_supernet
        from spacedsl_runtime.elastic.weights import layer_weights

        header, tensors = read_checkpoint(checkpoint)
        channels, classes = _count(header, "channels"), _count(header, "classes")
        trained = with_counts(subnet.of, trained_as(header))
        supernet = load_supernet(trained, channels, classes)
        load_weights(checkpoint, header, tensors, supernet)
        subnet = subnet.model_copy(update={"of": for_data(subnet.of, channels, classes)})
        network = Member(supernet, subnet).eval()
        opened = None if data is None else open_data(data)
        how = _preprocess(header, channels, opened)
        plan = network_plan(subnet)
        images = np.zeros((0, *plan.graph.input.shape), np.float32)
        if opened is not None:
            if opened.channels != channels:
                have = f"{opened.spec} has {opened.channels}"
                raise fault("wrong-data", f"{subnet.name} takes {channels} channels, {have}")
            split = _some(opened, CALIBRATION_IMAGES, tested=False)
            found = [views for views, _ in _views(opened, split, subnet.resolution, how)]
            if not found:
                raise fault("bad-data", f"{opened.spec} has no image to calibrate on")
            images = np.concatenate(found)
            if count_subnets(subnet.of) > 1:
                recalibrate(network, map(torch.from_numpy, found))
        parameters = {
            layer.name: {name: np.array(tensor.numpy()) for name, tensor in arrays.items()}
            for layer, arrays in layer_weights(supernet, supernet.program(subnet))
        }

    def fp32(views: Floats) -> Floats:
        with torch.no_grad():
            logits: Floats = network(torch.from_numpy(views)).numpy()
        return logits

    labels = tuple(map(str, header.get("labels") or ()))
    origin = str(header.get("weights_from") or f"the training in {checkpoint}")
    net = Seeded(plan, parameters, how, images, origin, labels)
    return Calibrated(subnet, net, opened, fp32)


def _count(header: dict[str, Any], name: str) -> int:
    found = header.get(name)
    if type(found) is not int or found < 1:
        raise fault("bad-checkpoint", f"the checkpoint does not say its {name}")
    return found


def _preprocess(header: dict[str, Any], channels: int, data: Data | None) -> Preprocess:
    """How the checkpoint's images were preprocessed, or the usual way where it does not say."""
    from spacedsl_runtime.data.views import seen_share

    usual = preprocess_for(channels)
    mean, std = header.get("mean", usual.mean), header.get("std", usual.std)
    crop = header.get("crop", None if data is None else seen_share(data.augment))
    return usual.model_copy(update={"mean": tuple(mean), "std": tuple(std), "crop": crop})


def _some(data: Data, count: int, *, tested: bool) -> Split:
    """Images of one of the splits, spread evenly over it."""
    split = data.test if tested and len(data.test.labels) else data.train
    size = len(split.labels)
    return split.some(np.unique(np.linspace(0, size - 1, min(count, size)).astype(np.int64)))


def _views(
    data: Data, split: Split, size: Size, how: Preprocess
) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Normalised images (N, C, R, R) and labels (N,), batch by batch."""
    from spacedsl_runtime.data.split import Unreadables, unreadable_limit
    from spacedsl_runtime.data.views import normalised, plain_batches

    unreadable = Unreadables(unreadable_limit(len(split.labels)), lambda line: None)
    for views, labels in plain_batches(split, size, data.augment, BATCH, unreadable):
        yield normalised(views, how.mean, how.std), labels
