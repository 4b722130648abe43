"""What a card does with sandwich steps: images a second, memory and utilisation.

    python -m benchmarks.gpu [--device cuda] [--space vnni] [--resolutions 160,224] [--batch 256]

For FP32, TF32, bfloat16 and QAT at each resolution: seconds of a sandwich step (four subnets, one
optimiser step), images a second, the greatest memory, and how much of the time the card computes.
In the same run, turn by turn, as peers on the same subnets: `static`, plain modules of the same
four subnets with one optimiser each; `compiled`, the same through torch.compile (`--compile`:
that takes minutes); `sliced`, an elastic supernet that slices and copies every weight on
every call. A batch that does not fit is halved until it does. Prints one JSON object a line, then a
table; with an estimate of the paper's 360 epochs of ImageNet."""

from __future__ import annotations

import argparse
import gc
import json
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.runtime import copied_slices
from spacedsl import api
from spacedsl.compiler.supernet import SupernetPlan as Plan
from spacedsl.compiler.supernet import supernet_plan
from spacedsl.operators.size import Size, pair
from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.device import autocast, device_of, kernels
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Precision, Recipe
from spacedsl_runtime.train.state import State
from spacedsl_runtime.train.step import sandwich, train_step

CLASSES = 1000
IMAGENET, EPOCHS = 1_281_167, 360
"""Training images, and the paper's epochs of a supernet (SpaceEvo, Sec. 5)."""

Step = Callable[[int], None]


@dataclass(frozen=True)
class Way:
    """A way to take a sandwich step; `batch` images go through it."""

    name: str
    precision: Precision
    batch: int
    step: Step
    deterministic: bool = True


@dataclass(frozen=True)
class Measured:
    """`seconds` of a step (median), `memory` in bytes at its greatest. On a card: `busy`, the share
    of the time in which it computes, and `kernels`, shares of that time by kind."""

    seconds: float
    memory: int
    busy: float | None = None
    kernels: dict[str, float] = field(default_factory=dict)


def plan_of(space: str, resolution: int, target: str | None = None) -> Plan:
    """A supernet's plan whose images have one size."""
    device = api.load_target(target) if target else None
    one = api.load_space(space).model_copy(update={"resolutions": (resolution,)})
    return supernet_plan(one, device)


def batch_of(size: int, resolution: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images (N, 3, H, W), channels last, and labels (N,)."""
    images = torch.randn(size, 3, *pair(resolution), device=device)
    return to_channels_last(images), torch.arange(size, device=device) % CLASSES


def elastic_way(
    name: str,
    plan: Plan,
    recipe: Recipe,
    device: torch.device,
    *,
    qat: bool = False,
    sliced: bool = False,
    recompute: bool = False,
    deterministic: bool = True,
) -> Way:
    """Our supernet, in 8 bits or not; `sliced`: with copies of all weights."""
    supernet = load_supernet(plan, 3, CLASSES).to(device).train()
    images, labels = batch_of(recipe.batch, max(plan.resolutions), device)
    subnets = sandwich(plan, recipe, 0)
    model: Supernet | QatSupernet = supernet
    if qat:
        model = QatSupernet(supernet)
        chosen = model.covering_all(list(subnets.values()))
        model.start(chosen, [images[:16]] * len(chosen))
        model.train()
    state = State(model, optimiser_of(model, recipe))
    slices = copied_slices if sliced else nullcontext

    def step(_: int) -> None:
        with slices():
            train_step(
                state, images, labels, subnets, recipe, 1e-3, recipe.distill, World(), recompute
            )

    return Way(name, recipe.precision, recipe.batch, step, deterministic)


def static_way(
    name: str, plan: Plan, recipe: Recipe, device: torch.device, *, compiled: bool = False
) -> Way:
    """The same subnets as plain modules that share nothing; each has its own optimiser."""
    supernet = load_supernet(plan, 3, CLASSES).to(device).train()
    images, labels = batch_of(recipe.batch, max(plan.resolutions), device)
    networks: list[nn.Module] = [
        supernet.extract(subnet).train() for subnet in sandwich(plan, recipe, 0).values()
    ]
    optimisers = [
        torch.optim.SGD(
            n.parameters(), 1e-3, momentum=0.9, nesterov=True, fused=device.type == "cuda" or None
        )
        for n in networks
    ]
    run: list[Any] = [torch.compile(n) if compiled else n for n in networks]

    def step(_: int) -> None:
        for network, plain, optimiser in zip(run, networks, optimisers, strict=True):
            optimiser.zero_grad(set_to_none=True)
            with autocast(device, recipe.precision):
                loss = F.cross_entropy(network(images), labels)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_value_(plain.parameters(), recipe.clip)
            optimiser.step()

    return Way(name, recipe.precision, recipe.batch, step)


def wait(device: torch.device) -> None:
    """Until the device has done everything so far."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def memory_of(device: torch.device) -> int:
    """Bytes allocated at most since the last reset."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


def measure(way: Way, device: torch.device, rounds: int) -> Measured:
    """Steps after two of warm-up."""
    with kernels(device, way.precision, way.deterministic):
        for i in range(2):
            way.step(i)
        wait(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds: list[float] = []
        for i in range(rounds):
            start = time.perf_counter()
            way.step(i)
            wait(device)
            seconds.append(time.perf_counter() - start)
        memory = memory_of(device)
        if device.type != "cuda":
            return Measured(median(seconds), memory)
        busy, kinds = _kernels(way, device)
    return Measured(median(seconds), memory, busy, kinds)


KINDS = (
    "depthwise",
    "batch_norm",
    "bn_",
    "conv",
    "cudnn",
    "gemm",
    "cutlass",
    "sgd",
    "foreach",
    "reduce",
    "elementwise",
)
"""Words in the names of kernels; the first that a name has is its kind."""


def _kernels(way: Way, device: torch.device) -> tuple[float, dict[str, float]]:
    """Time in kernels over time in all of a step, and the kernels' shares by kind."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as found:
        start = time.perf_counter()
        way.step(0)
        wait(device)
        took = time.perf_counter() - start
    kinds: dict[str, float] = {}
    for event in found.key_averages():
        name = event.key.lower()
        kind = next((k for k in KINDS if k in name), "other")
        kinds[kind] = kinds.get(kind, 0.0) + event.device_time_total * 1e-6
    busy = sum(kinds.values())
    shares = {k: round(v / busy, 3) for k, v in sorted(kinds.items(), key=lambda e: -e[1])}
    return min(1.0, busy / took), shares


def fitting(
    make: Callable[[int], Way], batch: int, device: torch.device, rounds: int
) -> tuple[int, Measured]:
    """Measure with the greatest batch that fits: `batch`, or halves of it."""
    while True:
        with suppress(torch.OutOfMemoryError):
            return batch, measure(make(batch), device, rounds)
        gc.collect()
        torch.cuda.empty_cache()
        if batch == 1:
            raise SystemExit("not even one image fits")
        batch //= 2


def ways_of(
    plan: Plan, target: Plan, device: torch.device, recipe: Recipe, *, compiled: bool
) -> dict[str, Callable[[int], Way]]:
    """What is measured at one resolution, by name; each is made for a batch."""

    def ours(name: str, precision: Precision, **more: Any) -> Callable[[int], Way]:
        own = target if more.get("qat") else plan

        def made(batch: int) -> Way:
            settings = replace(recipe, batch=batch, precision=precision)
            return elastic_way(name, own, settings, device, **more)

        return made

    def peer(name: str, precision: Precision, **more: Any) -> Callable[[int], Way]:
        def made(batch: int) -> Way:
            return static_way(
                name, plan, replace(recipe, batch=batch, precision=precision), device, **more
            )

        return made

    found = {
        "bf16": ours("bf16", "bf16"),
        "bf16 static": peer("bf16 static", "bf16"),
        "bf16 sliced": ours("bf16 sliced", "bf16", sliced=True),
        "bf16, any kernels": ours("bf16, any kernels", "bf16", deterministic=False),
        "fp32": ours("fp32", "fp32"),
        "tf32": ours("tf32", "tf32"),
        "tf32 static": peer("tf32 static", "tf32"),
        "tf32 QAT": ours("tf32 QAT", "tf32", qat=True),
        "bf16 QAT": ours("bf16 QAT", "bf16", qat=True),
        "fp32, recomputed": ours("fp32, recomputed", "fp32", recompute=True),
        "tf32 QAT, recomputed": ours("tf32 QAT, recomputed", "tf32", qat=True, recompute=True),
    }
    if compiled:
        found["bf16 compiled"] = peer("bf16 compiled", "bf16", compiled=True)
    return found


def main() -> None:
    """Print what each way takes as JSON, then a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--space", default="vnni")
    parser.add_argument("--target", default="vnni")
    parser.add_argument("--resolutions", default="224")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of ways, with / between them")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin nothing after so many")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    started = time.perf_counter()
    device = device_of(args.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    print(json.dumps({"device": name, "torch": torch.__version__, **vars(args)}), flush=True)
    recipe = Recipe(steps=1000, batch=args.batch, lr=1e-3, warmup=0, weight_decay=1e-5)
    rows: list[str] = []
    for resolution in map(int, args.resolutions.split(",")):
        plan = plan_of(args.space, resolution)
        target = plan_of(args.space, resolution, args.target)
        ways = ways_of(plan, target, device, recipe, compiled=args.compile)
        for way, make in ways.items():
            if args.only and way not in args.only.split("/"):
                continue
            if time.perf_counter() - started > args.seconds:
                print(json.dumps({"way": way, "left_out": "no time left"}), flush=True)
                continue
            batch, found = fitting(make, args.batch, device, args.rounds)
            if device.type == "cuda":
                torch.cuda.empty_cache()
            speed = batch / found.seconds
            days = IMAGENET * EPOCHS / speed / 86400
            row = {
                "way": way,
                "resolution": resolution,
                "batch": batch,
                "seconds": found.seconds,
                "images_per_second": speed,
                "memory_gb": found.memory / 1e9,
                "busy": found.busy,
                "kernels": found.kernels,
                "paper_days": days,
            }
            print(json.dumps(row), flush=True)
            share = "" if found.busy is None else f"{found.busy:>5.0%}"
            rows.append(
                f"{way:<22} {resolution:>4} {batch:>6} {found.seconds * 1e3:>9.1f} {speed:>9.0f} "
                f"{found.memory / 1e9:>8.1f} {share} {days:>8.1f}"
            )
    print(f"{'way':<22} {'px':>4} {'images':>6} {'ms':>9} {'images/s':>9} {'GB':>8}  busy     days")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
