"""Two processes under torchrun train as one on the average of their gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.test_data import write_fashion
from tests.runtime.test_single_values import SMALL
from tests.runtime.training import PAGE
from tests.shown import words_of
from tests.support import ROOT

TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node", "2"),
)

STEP = """
import copy, os, random, sys, torch
import torch.distributed as dist
from tests.runtime.training import PAGE, mini_plan
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.step import sandwich, train_step
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.parallel import World, world_of
from spacedsl_runtime.train.state import State

torch.set_num_threads(1)
PLAN = mini_plan(PAGE.replace("dropout 0.2", ""), "cpu")
RECIPE = Recipe(steps=12, batch=32, lr=0.1, warmup=0, weight_decay=1e-4, quantiser_lr=1e-3)
model = load_supernet(PLAN, 1, 10)
images = torch.randn(32, 1, 12, 12, generator=torch.Generator().manual_seed(0))
labels = torch.arange(32) % 10
subnets = sandwich(PLAN, RECIPE, 0)
if sys.argv[1] == "qat":
    model = QatSupernet(model)
    shapes = model.covering(random.Random(0))
    model.start(shapes, [images[:, :, : s.resolution, : s.resolution] for s in shapes])
model.train()

def step(x, y, world):
    twin = copy.deepcopy(model)
    state = State(twin, optimiser_of(twin, RECIPE))
    losses = train_step(state, x, y, subnets, RECIPE, 0.1, RECIPE.distill, world)
    return twin, losses

def after(part, world):
    return step(images[part::2], labels[part::2], world)

with world_of("cpu") as (world, device):
    assert world.size == 2
    (a, first), (b, second) = after(0, World()), after(1, World())
    both, losses = after(world.rank, world)
    torch.testing.assert_close(losses, (first + second) / 2)
    for p, x, y in zip(both.parameters(), a.parameters(), b.parameters(), strict=True):
        if p.dim() == 0:  # of a quantiser: the optimiser has made it a sign
            continue
        if p.grad is not None and x.grad.abs().max() < 1 and y.grad.abs().max() < 1:
            torch.testing.assert_close(p.grad, (x.grad + y.grad) / 2, rtol=1e-4, atol=1e-6)
    flat = torch.cat([p.detach().flatten() for p in both.parameters()])
    others = [torch.empty_like(flat) for _ in range(2)]
    dist.all_gather(others, flat)
    assert torch.equal(others[0], others[1])
    whole, losses = step(images.repeat(2, 1, 1, 1), labels.repeat(2), World())
    half, shared = step(images, labels, world)  # batch norms see the same statistics
    moved, off, way = 0, 0.0, 0.0
    for p, q, before in zip(whole.parameters(), half.parameters(), model.parameters(), strict=True):
        if sys.argv[1] == "fp32":
            torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)
        moved += not torch.equal(q, before)
        off += float((p - q).detach().square().sum())
        way += float((q - before).detach().square().sum())
    assert moved > len(list(model.parameters())) / 2
    # In 8 bits a value at a tie may round the other way, and others after it.
    share, near = (0.2, 0.01) if sys.argv[1] == "qat" else (0.001, 1e-5)
    assert off < share**2 * way, (off, way)
    torch.testing.assert_close(losses, shared, rtol=near, atol=1e-5)
threads = [open(f"/proc/self/task/{t}/comm").read() for t in os.listdir("/proc/self/task")]
assert not any("gloo" in name for name in threads), "they would outlive the interpreter"
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join((str(ROOT), str(ROOT / "runtime")))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def torchrun(*words: str) -> str:
    """What two processes print."""
    result = launched(*words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def launched(*words: str) -> subprocess.CompletedProcess[str]:
    """Two processes, ended."""
    return subprocess.run(
        [*TORCHRUN, *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=200,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp32", "qat"])
def test_gradients_are_averaged_and_weights_stay_equal(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text(STEP)
    torchrun(str(script), kind)


@pytest.mark.slow
def test_the_documented_command_trains_with_two_processes(tmp_path: Path) -> None:
    page, out, data = tmp_path / "mini.space", tmp_path / "run", f"fashion-mnist:{tmp_path}"
    page.write_text(PAGE)
    write_fashion(tmp_path, 64, 16)
    named = {"found.space": str(page), "imagefolder:PHOTOS": data, "run": str(out)}
    here = {"--device": "", "cuda": ""}
    launcher, count, processes, *words = words_of("howto/cluster.md", "torchrun ", named | here)
    assert (launcher, count, processes) == ("torchrun", "--nproc-per-node", "8")
    options = ("--steps", "4", "--batch", "16", "--format", "json")
    for folder, more in ((out, ()), (out / "qat", ("--qat", "--target", "cpu"))):
        found = json.loads(torchrun(*words, *options, *more))
        assert found["subnets"]["largest"]["images"] == 16
        assert json.loads((folder / "run.json").read_text())["processes"] == 2
    assert set(found["subnets"]["largest"]) >= {"fp32_top1", "lost_points"}
    alone = subprocess.run(
        [sys.executable, *words, *options, "--resume"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=200,
        check=False,
    )
    assert alone.returncode == 0, alone.stderr
    assert "processes is 2, this run's is 1" in alone.stderr
    again = launched(*words, *options[:-2], "--lr", "0.07", "--resume")
    assert again.returncode != 0
    assert "this run's is 0.07" in again.stderr, again.stderr
    assert "defect of spacedsl" not in again.stderr
    assert "error[internal]" not in again.stderr
    bars = [line for line in again.stderr.splitlines() if line.startswith("training")]
    assert len(bars) <= 1, bars


@pytest.mark.slow
def test_one_image_for_each_process(tmp_path: Path) -> None:
    page, out = tmp_path / "mini.space", tmp_path / "run"
    page.write_text(SMALL)
    write_fashion(tmp_path, 64, 16)
    words = ("-m", "spacedsl", "train", str(page), "--data", f"fashion-mnist:{tmp_path}")
    torchrun(*words, "--steps", "2", "--batch", "2", "--out", str(out))
