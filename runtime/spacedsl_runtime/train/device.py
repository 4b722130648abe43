"""Where a training runs and with which kernels: precision and determinism on CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from spacedsl_runtime.errors import RecipeError
from spacedsl_runtime.train.recipe import Precision

CPU = torch.device("cpu")


def device_of(name: str) -> torch.device:
    """The device that `cpu` or `cuda` means for this process; of several that torchrun started,
    each has a card of its own. Raises `RecipeError` for a device that is not there."""
    if name == "cpu":
        return CPU
    if not torch.cuda.is_available():
        raise RecipeError("there is no CUDA device here", "say --device cpu")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if local >= torch.cuda.device_count():
        raise RecipeError(
            f"process {local} of this machine has no card: there are {torch.cuda.device_count()}",
            "start one process per card: torchrun --nproc-per-node CARDS",
        )
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    return device


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """What a forward pass runs under."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def kernels(device: torch.device, precision: Precision, deterministic: bool) -> Iterator[None]:
    """Choose CUDA's kernels while this is open. `deterministic`: those that give the same bytes
    each time on one kind of card; operations that have none warn once."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = (
        cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    if deterministic:  # cuBLAS reads it when the first matrix is multiplied
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _choose(
        precision != "fp32",
        "highest" if precision == "fp32" else "high",
        deterministic,
        deterministic,
        True,
        False,
    )
    try:
        yield
    finally:
        _choose(*before)


def _choose(
    tf32: bool, matmul: str, cudnn: bool, deterministic: bool, warn_only: bool, fill: bool
) -> None:
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.deterministic = cudnn
    torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


UNDER_WAY = {"cpu": 0, "cuda": 1}
"""Steps whose losses are not read yet when the next one begins: to read is to wait."""


@dataclass(frozen=True)
class Arriving:
    """Numbers on their way from a device: `values` are right once `arrived`."""

    values: Tensor
    arrived: torch.cuda.Event | None

    def read(self) -> list[float]:
        """The numbers; waits until they are here, and for nothing that was begun later."""
        if self.arrived is not None:
            self.arrived.synchronize()
        found: list[float] = self.values.tolist()
        return found


def arriving(values: Tensor) -> Arriving:
    """Send numbers (N,) here without waiting for them."""
    here, arrived = values.to("cpu", non_blocking=True), None
    if values.is_cuda:
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
    return Arriving(here, arrived)
