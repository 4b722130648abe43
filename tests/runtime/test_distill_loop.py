"""The distillation of one stage: losses fall, and kept maps of the teacher change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spacedsl.compiler.supernet import bkd_plans
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.distill import loop
from spacedsl_runtime.distill.features import FeatureCache
from spacedsl_runtime.distill.loop import BkdJob
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.train.recipe import Recipe
from tests.cli.test_distill import hyper, teacher  # noqa: F401  a fixture
from tests.runtime.test_teachers import some_digits
from tests.runtime.training import digits


@pytest.mark.slow
def test_a_stage_learns_to_imitate_its_teacher(
    teacher: Path,  # noqa: F811
) -> None:
    master = open_teacher(f"checkpoint:{teacher}", some_digits)
    plan = next(bkd_plans(hyper()))
    recipe = Recipe(steps=60, batch=32, lr=0.01, warmup=0, weight_decay=1e-4)
    task = BkdJob(plan, (0, 1), (12,), 4, recipe)
    losses: list[float] = []
    rows = list(
        loop.distill(
            task,
            master,
            digits(),
            Unreadables(0, pytest.fail),
            lambda _, loss: losses.append(loss["largest"]),
        )
    )
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    assert len({r.subnet for r in rows}) == len(rows) == 8
    assert all(0 < r.loss < 2 for r in rows)
    for row in rows:
        widths = {b.width for b in row.subnet.stages[0].blocks}
        assert widths <= ({8, 16}, {16, 24})[row.window]


def test_kept_maps_of_the_teacher_change_nothing(
    teacher: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Whether all are kept, some, or none; and where a file is damaged."""
    master = open_teacher(f"checkpoint:{teacher}", some_digits)
    reads: list[int] = []

    def features(x: torch.Tensor) -> list[torch.Tensor]:
        reads.append(len(x))
        return master.features(x)

    counted = replace(master, features=features)
    plan = next(bkd_plans(hyper()))
    recipe = Recipe(steps=6, batch=16, lr=0.01, warmup=0, weight_decay=1e-4)
    task = BkdJob(plan, (0, 1), (8, 12), 2, recipe)

    def losses(cache: FeatureCache | None) -> tuple[list[float], int]:
        reads.clear()
        unreadables = Unreadables(0, pytest.fail)
        rows = loop.distill(
            replace(task, cache=cache), counted, digits(), unreadables, lambda *_: None
        )
        return [row.loss for row in rows], len(reads)

    plain, count = losses(None)
    cache = FeatureCache(tmp_path / "features", 1 << 30, ((0, 1),))
    assert losses(cache) == (plain, count)
    assert losses(cache) == (plain, 0)
    (tmp_path / "features" / "step3.safetensors").write_bytes(b"cut")
    assert losses(cache) == (plain, 1)
    some = FeatureCache(tmp_path / "some", sum(_sizes(tmp_path / "features")) // 2, ((0, 1),))
    assert losses(some) == (plain, count)
    assert sum(_sizes(some.folder)) <= some.limit
    assert 0 < losses(some)[1] < count
    cache.clear()
    assert not cache.folder.exists()
    full = FeatureCache(Path("/dev/null/features"), 1 << 30, ((0, 1),))
    assert losses(full) == (plain, count)


def _sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.iterdir()]
