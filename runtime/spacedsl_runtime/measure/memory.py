"""Memory: what training keeps of an image until its gradients are made, and what is free here."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

CGROUP = Path("/sys/fs/cgroup")
OPTIMISER_BYTES = 12
"""Of a weight: itself, its gradient and its momentum, four bytes each."""


def bytes_per_image(model: nn.Module, loss_of: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Bytes that a step keeps for each image of `x` (N, C, H, W), weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(x)
    found = sum(kept.values()) // len(x)
    del loss
    return found


def step_bytes(batch: int, image_bytes: int, weights: int) -> int:
    """Bytes that a step of `batch` images needs."""
    return batch * image_bytes + OPTIMISER_BYTES * weights


def free_bytes(device: torch.device) -> int | None:
    """Bytes that are free on a device, None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_here(), default=None)


def _free_here() -> Iterator[int]:
    """What the machine, its container and this process's limit each leave."""
    said = _read(Path("/proc/meminfo"))
    if available := re.search(r"^MemAvailable:\s+([0-9]+) kB", said, re.MULTILINE):
        yield int(available[1]) * 1024
    most, used = (_read(CGROUP / f"memory.{name}").strip() for name in ("max", "current"))
    if most.isdecimal() and used.isdecimal():
        yield max(0, int(most) - int(used))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = re.search(r"^VmSize:\s+([0-9]+) kB", _read(Path("/proc/self/status")), re.MULTILINE)
    if limit != resource.RLIM_INFINITY and taken:
        yield max(0, limit - int(taken[1]) * 1024)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
