"""Several processes, one model: each trains on its part of a batch, gradients are averaged.

All processes train the same subnets, so they have gradients for the same weights, and one
all-reduce of them per step is all that is exchanged. Started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple, cast

import torch
import torch.distributed as dist

# Functions of this module have the group of the moment of its import as a default, for ever.
# Imported later (making an optimiser does it) it would keep ours, and Gloo's threads would outlive
# the interpreter: "terminate called without an active exception", now and then.
import torch.distributed.nn.functional
from torch import Tensor, nn

from spacedsl_runtime.train.device import device_of

PATIENCE = timedelta(hours=6)
"""Processes wait this long for each other."""


class World(NamedTuple):
    """How many processes train, and which one this is; the first one writes."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Does this one write?"""
        return self.rank == 0

    @property
    def local(self) -> int:
        """How many of them are on this machine."""
        return int(os.environ.get("LOCAL_WORLD_SIZE", self.size))


@contextmanager
def world_of(device: str) -> Iterator[tuple[World, torch.device]]:
    """The processes that torchrun started (one without it) and this one's device. Raises
    `RecipeError` for a device that is not there."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = device_of(device)
    if size == 1:
        yield World(), local
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size), local
    finally:
        dist.destroy_process_group()


def wait(world: World) -> None:
    """Until all processes are here."""
    if world.size > 1:
        dist.barrier()


def share(model: nn.Module, world: World) -> None:
    """Give all processes the first one's parameters."""
    if world.size > 1:
        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)


def add_up(values: Tensor, world: World) -> None:
    """Replace `values` by their sums over all processes."""
    if world.size > 1:
        dist.all_reduce(values)


BUCKET = 1 << 22
"""Gradients that are exchanged at once: later ones are packed while earlier ones travel."""


def average(model: nn.Module, losses: Tensor, world: World) -> Tensor:
    """Replace the gradients by their means over all processes; returns the mean losses (paths,)."""
    if world.size == 1:
        return losses
    parts = [losses, *(p.grad for p in model.parameters() if p.grad is not None)]
    travelling = [_sent(bucket) for bucket in _buckets(parts)]
    for bucket, flat, arrived in travelling:
        arrived.wait()
        means = torch.split(flat.div_(world.size), [part.numel() for part in bucket])
        for part, mean in zip(bucket, means, strict=True):
            part.copy_(mean.view(part.shape))
    return losses


def _buckets(parts: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The same in all processes: in order, each closed once it is full."""
    bucket: list[Tensor] = []
    for part in parts:
        bucket.append(part)
        if sum(p.numel() for p in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


def _sent(bucket: list[Tensor]) -> tuple[list[Tensor], Tensor, dist.Work]:
    flat = torch.cat([part.flatten() for part in bucket])
    work = dist.all_reduce(flat, async_op=True)
    return bucket, flat, cast(dist.Work, work)
