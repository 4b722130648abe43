"""Two processes under torchrun train as one on the average of their gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.runtime.test_data import write_fashion
from tests.runtime.training import PAGE
from tests.support import ROOT

TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node", "2"),
)

STEP = """
import copy, os, torch
import torch.distributed as dist
from tests.runtime.training import mini_json
from spacedsl_runtime.plan import read_plan
from spacedsl_runtime.train.recipe import Recipe
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.train.loop import sandwich, train_step
from spacedsl_runtime.train.optimise import optimiser_of
from spacedsl_runtime.train.parallel import World, world_of
from spacedsl_runtime.train.state import State

torch.set_num_threads(1)
PLAN = read_plan(mini_json(), "supernet")
RECIPE = Recipe(steps=12, batch=32, lr=0.1, warmup=0, weight_decay=1e-4)
model = load_supernet(PLAN, 1, 10).train()
images = torch.randn(32, 1, 12, 12, generator=torch.Generator().manual_seed(0))
labels = torch.arange(32) % 10
subnets = sandwich(PLAN, RECIPE, 0)

def after(part, world):
    torch.manual_seed(part)
    twin = copy.deepcopy(model)
    state = State(twin, optimiser_of(twin, RECIPE))
    losses = train_step(state, images[part::2], labels[part::2], subnets, RECIPE, 0.1, world)
    return twin, torch.tensor(losses)

with world_of("cpu") as (world, device):
    assert world.size == 2
    (a, first), (b, second) = after(0, World()), after(1, World())
    both, losses = after(world.rank, world)
    torch.testing.assert_close(losses, (first + second) / 2)
    for p, x, y in zip(both.parameters(), a.parameters(), b.parameters(), strict=True):
        if p.grad is not None and x.grad.abs().max() < 1 and y.grad.abs().max() < 1:
            torch.testing.assert_close(p.grad, (x.grad + y.grad) / 2, rtol=1e-4, atol=1e-6)
    flat = torch.cat([p.detach().flatten() for p in both.parameters()])
    others = [torch.empty_like(flat) for _ in range(2)]
    dist.all_gather(others, flat)
    assert torch.equal(others[0], others[1])
threads = [open(f"/proc/self/task/{t}/comm").read() for t in os.listdir("/proc/self/task")]
assert not any("gloo" in name for name in threads), "they would outlive the interpreter"
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join((str(ROOT), str(ROOT / "runtime")))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


def torchrun(*words: str) -> str:
    """What two processes print."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "runtime")))
    result = subprocess.run(
        [*TORCHRUN, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_gradients_are_averaged_and_weights_stay_equal(tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text(STEP)
    torchrun(str(script))


def test_the_command_trains_with_two_processes(tmp_path: Path) -> None:
    page, out = tmp_path / "mini.space", tmp_path / "run"
    page.write_text(PAGE)
    write_fashion(tmp_path, 64, 16)
    words = ("-m", "spacedsl", "train", str(page), "--data", f"fashion-mnist:{tmp_path}")
    options = ("--steps", "4", "--batch", "16", "--out", str(out), "--format", "json")
    found = torchrun(*words, *options)
    assert json.loads(found)["subnets"]["largest"]["images"] == 16
    assert json.loads((out / "run.json").read_text())["settings"]["processes"] == 2
