"""Training step of a supernet's largest subnet against the extracted static module.

    python -m benchmarks.runtime [--space vnni] [--resolution 96] [--batch 16] [--rounds 15]

Three ways run in turn, one step each per round, so that drift of the machine hits all alike:
`supernet`, `static`, and `sliced` (a plain stand-in for the usual elastic module: every weight
sliced and copied on every call). Memory: what autograd keeps for backward (the model itself
aside) plus gradients, counted from the tensors. Prints JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from spacedsl import api
from spacedsl.passes.program import Layer
from spacedsl_runtime.elastic import modules
from spacedsl_runtime.elastic.supernet import load_supernet

Step = Callable[[], Tensor]


@contextmanager
def copied_slices() -> Iterator[None]:
    """Every weight is sliced and copied on every call, needed or not."""
    plain = modules.ElasticConv.weight_of

    def copied(self: modules.ElasticConv, layer: Layer) -> Tensor:
        fan = 1 if self.depthwise else layer.cin
        edge = (self.weights[layer.part].shape[-1] - layer.kernel) // 2
        crop = slice(edge, edge + layer.kernel)
        sliced: Tensor = self.weights[layer.part][: layer.cout, :fan, crop, crop]
        return sliced.clone()

    modules.ElasticConv.weight_of = copied  # type: ignore[method-assign]
    try:
        yield
    finally:
        modules.ElasticConv.weight_of = plain  # type: ignore[method-assign]


def train_step(model: nn.Module, run: Step, labels: Tensor) -> float:
    """Seconds of forward, loss and backward."""
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    torch.autograd.backward(nn.functional.cross_entropy(run(), labels))
    return time.perf_counter() - start


def kept_bytes(model: nn.Module, run: Step, labels: Tensor) -> int:
    """Bytes that autograd keeps for backward besides the model itself, plus the gradients."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    model.zero_grad(set_to_none=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = nn.functional.cross_entropy(run(), labels)
    torch.autograd.backward(loss)
    grads = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    return sum(kept.values()) + grads


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All ratios for the largest and one random subnet."""
    torch.set_num_threads(options.threads)
    supernet = load_supernet(api.load_space(options.space)).train()
    size = options.resolution
    images = torch.randn(options.batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, supernet.classes, (options.batch,))
    found: dict[str, Any] = {}
    for name, subnet in (
        ("largest", supernet.largest(size)),
        ("smallest", supernet.smallest(size)),
    ):
        static = supernet.extract_unchecked(subnet)
        found[name] = compare(
            {
                "supernet": (supernet, lambda s=subnet: supernet(images, s)),  # type: ignore[misc]
                "static": (static, lambda m=static: m(images)),  # type: ignore[misc]
            },
            lambda s=subnet: supernet(images, s),  # type: ignore[misc]
            supernet,
            labels,
            options.rounds,
        )
    return found


def compare(
    ways: dict[str, tuple[nn.Module, Step]],
    sliced: Step,
    supernet: nn.Module,
    labels: Tensor,
    rounds: int,
) -> dict[str, Any]:
    """Median seconds, the median over rounds of each ratio to `static`, and memory."""
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, "sliced")}
    for i in range(rounds + 2):
        for name, (model, run) in ways.items():
            seconds[name].append(train_step(model, run, labels))
        with copied_slices():
            seconds["sliced"].append(train_step(supernet, sliced, labels))
        if i == 1:
            seconds = {name: [] for name in seconds}  # warm-up
    kept = {name: kept_bytes(model, run, labels) for name, (model, run) in ways.items()}
    with copied_slices():
        kept["sliced"] = kept_bytes(supernet, sliced, labels)
    base = seconds["static"]
    return {
        name: {
            "median_s": round(median(times), 4),
            "time_ratio": round(median(a / b for a, b in zip(times, base, strict=True)), 3),
            "memory_mb": round(kept[name] / 1e6, 1),
            "memory_ratio": round(kept[name] / kept["static"], 3),
        }
        for name, times in seconds.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, prog=Path(__file__).stem)
    parser.add_argument("--space", default="vnni")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    print(json.dumps({**vars(options), "results": measure(options)}, indent=1))


if __name__ == "__main__":
    main()
