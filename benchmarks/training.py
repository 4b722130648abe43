"""A training step of the sandwich rule: images per second and memory, against the usual elastic
modules.

    python -m benchmarks.training [--space vnni] [--resolution 64] [--batch 16] [--rounds 9] [--bkd]
        [--qat]

Steps of both ways run in turn, one of each per round, on the same subnets and images, so that
drift of the machine hits both. `sliced` is a plain stand-in for the usual elastic modules: every
weight is sliced and copied on every call, images and weights are channels first. Memory: what
autograd keeps for backward in the step's largest path, plus gradients, as `benchmarks.runtime`
counts it. Also how many photos of 500 x 375 pixels a second the loader alone reads, decodes and
crops at the step's resolution, by decoder and workers, and the best of these over the step's
images a second. `--bkd`: steps of block-wise
distillation of onnxw's stage3 from EfficientNet-Lite0 (random weights), with the teacher's maps
read from a cache and without. `--qat`: steps in 8 bits against FP32 ones, with the quantisers and
with a stand-in that has them as straight-through estimates, operation by operation; operators are
what torch dispatches in a step, views included. Prints JSON."""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.runtime import copied_slices, kept_bytes
from spacedsl import api
from spacedsl.compiler.fold import SCALE_FLOOR
from spacedsl.compiler.int8 import Fixed
from spacedsl.compiler.supernet import SupernetPlan as Plan
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl_runtime.data.decode import DECODERS
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data, Unreadables
from spacedsl_runtime.distill.efficientnet_lite import EfficientNetLite
from spacedsl_runtime.distill.features import FeatureCache
from spacedsl_runtime.distill.loop import BkdJob, distill
from spacedsl_runtime.distill.teacher import Boundary, Teacher
from spacedsl_runtime.elastic.functional import to_channels_last
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant import fake, lsq, modules
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise, batches
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.train.state import State
from spacedsl_runtime.train.step import sandwich, train_step

CLASSES = 10
STEPS = 12
"""That the loader alone feeds."""
STAGE = "onnxw stage3 mbv2"
"""Of `--bkd`."""


class Way(NamedTuple):
    """A way to train: `step` takes step i and returns its seconds; `memory`: bytes of a step."""

    step: Callable[[int], float]
    memory: Callable[[], int]


def way(plan: Plan, recipe: Recipe, images: Tensor, *, plain: bool) -> Way:
    """Ours, or the stand-in for the usual elastic modules."""
    model: Supernet = load_supernet(plan, 3, CLASSES).train()
    if plain:
        for parameter in model.parameters():
            parameter.data = parameter.data.contiguous()
        model.run_program = _channels_first(model)  # type: ignore[method-assign]
    else:
        images = to_channels_last(images)
    state = State(model, optimiser_of(model, recipe))
    labels = torch.arange(len(images)) % CLASSES
    slices = copied_slices if plain else nullcontext

    def step(i: int) -> float:
        subnets = sandwich(plan, recipe, i)
        with slices():
            start = time.perf_counter()
            train_step(state, images, labels, subnets, recipe, 0.001, recipe.distill, World())
            return time.perf_counter() - start

    def memory() -> int:
        with slices():
            return max(
                kept_bytes(model, lambda s=s: model(images, s), labels)  # type: ignore[misc]
                for s in sandwich(plan, recipe, 0).values()
            )

    return Way(step, memory)


def quantised(plan: Plan, recipe: Recipe, images: Tensor, rounds: int) -> dict[str, Any]:
    """Seconds, memory and operators of steps in FP32, in 8 bits, and by straight-through estimates;
    ratios of each round to FP32."""
    ways = {name: _qat_way(plan, recipe, images, name) for name in ("fp32", "qat", "straight")}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(-1, rounds):
        for name in ways if i % 2 else reversed(ways):
            took = ways[name].step(max(i, 0))
            if i >= 0:
                seconds[name].append(took)
    operators: dict[str, int] = {}
    for name, each in ways.items():
        with _Counter() as counter:  # type: ignore[no-untyped-call]
            each.step(0)
        operators[name] = counter.count
    memory = {name: each.memory() for name, each in ways.items()}
    found: dict[str, Any] = {"memory_mb": {n: m / 1e6 for n, m in memory.items()}}
    for name in ("qat", "straight"):
        ratios = [b / a for a, b in zip(seconds["fp32"], seconds[name], strict=True)]
        low, _, high = quantiles(ratios, n=4)
        found[name] = {
            "times_as_long": {"median": median(ratios), "quartiles": [low, high]},
            "memory": memory[name] / memory["fp32"],
            "operators": operators[name] / operators["fp32"],
        }
    return {"operators": operators, **found}


def _qat_way(plan: Plan, recipe: Recipe, images: Tensor, name: str) -> Way:
    supernet, images = load_supernet(plan, 3, CLASSES), to_channels_last(images)
    model: Supernet | QatSupernet = supernet.train()
    if name != "fp32":
        model = QatSupernet(supernet)
        subnets = model.covering(random.Random(0))
        model.start(subnets, [images] * len(subnets))
        model.train()
    state = State(model, optimiser_of(model, recipe))
    labels = torch.arange(len(images)) % CLASSES
    quantisers = straight_through if name == "straight" else nullcontext

    def step(i: int) -> float:
        subnets = sandwich(plan, recipe, i)
        with quantisers():
            start = time.perf_counter()
            train_step(state, images, labels, subnets, recipe, 0.001, recipe.distill, World())
            return time.perf_counter() - start

    def memory() -> int:
        with quantisers():
            return max(
                kept_bytes(model, lambda s=s: model(images, s), labels)  # type: ignore[misc]
                for s in sandwich(plan, recipe, 0).values()
            )

    return Way(step, memory)


@contextmanager
def straight_through() -> Iterator[None]:
    """Quantisers as straight-through estimates, operation by operation."""

    def activation(
        x: Tensor, scale: Tensor, beta: Tensor | None = None, ceiling: float | None = None
    ) -> Tensor:
        active = lsq.straight_through(scale, scale.clamp(SCALE_FLOOR, ceiling))
        offset = scale.new_zeros(()) if beta is None else beta
        return product(lsq.activation_steps(x, active, offset))

    def joined(join: Callable[..., Tensor], a: Tensor, b: Tensor, *more: Any) -> Tensor:
        return activation(join(a, b), *more)

    def weight(x: Tensor, scale: Tensor) -> Tensor:
        return product(lsq.weight_steps(x, scale))

    def fixed(x: Tensor, fixed: Fixed, offset: float = 0.0) -> Tensor:
        return product(lsq.fixed_steps(x + offset, fixed))

    def product(found: tuple[Tensor, Tensor]) -> Tensor:
        return found[0] * found[1]

    with (
        patch.object(fake, "fake_activation", activation),
        patch.object(fake, "fake_joined", joined),
        patch.object(fake, "fake_weight", weight),
        patch.object(modules, "fake_fixed", fixed),
    ):
        yield


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch dispatches below autograd."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += 1
        return function(*args, **(kwargs or {}))


def _channels_first(model: Supernet) -> Callable[..., Tensor]:
    from spacedsl_runtime.elastic.interpreter import join_paths, run

    def run_program(program: Any, x: Tensor, dropout: bool = True) -> Tensor:
        x = x.contiguous()
        return run(program, x, lambda layer, y: model.apply_layer(layer, y, dropout), join_paths)

    return run_program


def photos(folder: Path, count: int) -> Data:
    """`count` JPEG files of ImageNet's usual size, parts of scikit-learn's two photos."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    originals = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for i in range(count):
        photo = originals[i % 2]
        left, top = (int(rng.integers(0, n)) for n in (140, 52))
        part = photo.crop((left, top, left + 500, top + 375))
        (folder / "ab"[i % 2]).mkdir(exist_ok=True)
        part.save(folder / "ab"[i % 2] / f"{i:04}.jpg", quality=92)
    return open_data(f"imagefolder:{folder}")


def reading(size: int, batch: int, rounds: int) -> dict[str, float]:
    """Images per second that the loader alone feeds, by decoder and workers, in turn."""
    made = Recipe(steps=STEPS, batch=batch, lr=0, warmup=0, weight_decay=0)
    seconds: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        data = photos(Path(folder), max(4 * batch, 64))
        decoders = [d for d in DECODERS if d == "pillow" or importlib.util.find_spec(d)]
        for _ in range(rounds):
            for decoder in decoders:
                opened = open_data(data.spec, decoder)
                for workers in (0, 1, 2):
                    rest = (World(), Unreadables(0, print), workers)
                    start = time.perf_counter()
                    for _ in batches(opened, made, size, 0, *rest):
                        pass
                    took = time.perf_counter() - start
                    seconds.setdefault(f"{decoder}, {workers} workers", []).append(took)
    return {name: STEPS * batch / median(found) for name, found in seconds.items()}


def distilling(rounds: int, resolution: int, batch: int) -> dict[str, Any]:
    """Seconds of a step of BKD with kept maps and without, and their ratio, in turn."""
    network = EfficientNetLite("lite0").eval().requires_grad_(False)
    widths = [network.stem.conv.out_channels, *(stage.width for stage in network.shape)]
    strides = (2, 2, 4, 8, 16, 16, 32, 32)
    teacher = Teacher(
        "lite0",
        "random",
        1,
        Normalise((0.5,), (0.5,)),
        tuple(Boundary(str(i), s, w) for i, (s, w) in enumerate(zip(strides, widths, strict=True))),
        network,
        lambda x: network.features(x.repeat(1, 3, 1, 1)),
    )
    space = api.load_space("onnxw").model_copy(update={"resolutions": (resolution,)})
    plan = next(plan for plan in bkd_plans(space) if plan.name == STAGE)
    recipe = Recipe(steps=4, batch=batch, lr=0.001, warmup=0, weight_decay=1e-4)
    seconds: dict[str, list[float]] = {"computed": [], "kept": []}
    with TemporaryDirectory() as folder:
        cache = FeatureCache(Path(folder) / "features", 4 << 30, ((3, 4),))
        for i in range(-1, rounds):  # the first round fills the cache
            for name in seconds if i % 2 else reversed(seconds):
                kept = cache if name == "kept" else None
                job = BkdJob(plan, (3, 4), (resolution,), 1, recipe, cache=kept)
                marks: list[float] = []
                found = Unreadables(0, print)

                def mark(*_: object, marks: list[float] = marks) -> None:
                    marks.append(time.perf_counter())

                distill(job, teacher, open_data("digits"), found, mark)
                if i >= 0:
                    seconds[name].append((marks[-1] - marks[0]) / (len(marks) - 1))
        size = sum(path.stat().st_size for path in cache.folder.glob("step*"))
    ratios = [b / a for a, b in zip(seconds["kept"], seconds["computed"], strict=True)]
    low, _, high = quantiles(ratios, n=4)
    return {
        "seconds_per_step": {name: median(s) for name, s in seconds.items()},
        "speedup": {"median": median(ratios), "quartiles": [low, high]},
        "mb_per_step": size / recipe.steps / 1e6,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="vnni")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bkd", action="store_true")
    parser.add_argument("--qat", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.bkd:
        found = distilling(args.rounds, args.resolution, args.batch)
        print(json.dumps({**vars(args), "space": STAGE, **found}, indent=1))
        return
    target = api.load_target("vnni") if args.qat else None
    space = api.load_space(args.space).model_copy(update={"resolutions": (args.resolution,)})
    plan = supernet_plan(space, target)
    recipe = Recipe(
        steps=1000, batch=args.batch, lr=0.001, warmup=0, weight_decay=1e-5, quantiser_lr=1e-3
    )
    images = torch.randn(args.batch, 3, args.resolution, args.resolution)
    if args.qat:
        found = quantised(plan, recipe, images, args.rounds)
        print(json.dumps({**vars(args), **found}, indent=1))
        return
    ways = {
        "ours": way(plan, recipe, images, plain=False),
        "sliced": way(plan, recipe, images, plain=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for i in range(-1, args.rounds):  # the first round warms up
        order = list(ways) if i % 2 else list(reversed(ways))
        for name in order:
            took = ways[name].step(max(i, 0))
            if i >= 0:
                seconds[name].append(took)
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["sliced"], strict=True)]
    low, _, high = quantiles(ratios, n=4)
    kept = {name: each.memory() for name, each in ways.items()}
    trained = {name: args.batch / median(s) for name, s in seconds.items()}
    read = reading(args.resolution, args.batch, max(1, args.rounds // 3))
    result = {
        **vars(args),
        "images_per_second": trained,
        "speedup": {"median": median(ratios), "quartiles": [low, high]},
        "memory_mb": {name: size / 1e6 for name, size in kept.items()},
        "memory_ratio": kept["sliced"] / kept["ours"],
        "reading_images_per_second": read,
        "reading_over_step": max(read.values()) / trained["ours"],
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
