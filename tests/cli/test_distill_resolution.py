"""distill: the teacher's maps that are imitated are of the greatest resolution, or of each
sub-stage's own; runs and tables of the two ways do not mix."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from spacedsl.compiler.supernet import bkd_plans
from spacedsl.diagnostics import SpaceError
from spacedsl.operators.size import Size
from spacedsl.search.candidate import Genome
from spacedsl.search.subnets import random_member
from spacedsl.tables.calibrate import PRIOR, PRIOR_OF_REST, calibrated, points_of
from spacedsl.tables.files import load_table
from spacedsl.tables.networks import Network
from spacedsl.tables.transfer import check_comparable
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.distill import loop
from spacedsl_runtime.distill.features import averaged, teacher_maps
from spacedsl_runtime.distill.loop import BkdJob, TeacherResolution
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.train.batches import resized
from spacedsl_runtime.train.recipe import Recipe
from tests.cli.test_commands import run_json
from tests.cli.test_distill import hyper, teacher, whole, words
from tests.runtime.test_teachers import some_digits
from tests.runtime.training import digits

__all__ = ["teacher", "whole"]


def test_what_is_imitated_is_the_large_map_averaged() -> None:
    def features(x: torch.Tensor) -> list[torch.Tensor]:
        return [x, max_pool2d(x, 2)]

    images = torch.rand(2, 1, 16, 16)
    found = teacher_maps(features, images, 8, [(0, 1)])
    assert found.keys() == {"0", "1 pooled"}
    assert torch.equal(found["0"], resized(images, 8))
    averaged = avg_pool2d(max_pool2d(images, 2), 2)
    torch.testing.assert_close(found["1 pooled"], averaged)
    same = teacher_maps(features, images, 16, [(0, 1)])
    assert same.keys() == {"0", "1"}
    assert torch.equal(same["1"], max_pool2d(images, 2))


def test_a_mean_over_areas_moves_nothing() -> None:
    """Of 8 pixels on 6: a ramp stays one, with the same mean; 4 on 2 are means of pairs."""
    ramp = torch.arange(8.0).expand(1, 2, 8, 8)
    found = averaged(ramp, (6, 6))[0, 0, 0]
    torch.testing.assert_close(found, (torch.arange(6) + 0.5) * 8 / 6 - 0.5, atol=0.09, rtol=0)
    torch.testing.assert_close(found.mean(), ramp.mean())
    maps = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(averaged(maps, (2, 2)), avg_pool2d(maps, 2))
    torch.testing.assert_close(averaged(maps, (4, 4)), maps)


def distilled(teacher: Path, way: TeacherResolution) -> dict[Size, float]:
    """Mean loss by resolution, of the second stage."""
    master = open_teacher(f"checkpoint:{teacher}", some_digits)
    plan = list(bkd_plans(hyper()))[2]
    recipe = Recipe(steps=150, batch=32, lr=0.01, warmup=0, weight_decay=1e-4)
    task = BkdJob(plan, (1, 2), (8, 12), 8, recipe, teacher_resolution=way)
    unreadables = Unreadables(0, pytest.fail)
    rows = tuple(loop.distill(task, master, digits(), unreadables, lambda *_: None))
    losses: dict[Size, list[float]] = {}
    for row in rows:
        losses.setdefault(row.subnet.resolution, []).append(row.loss)
    return {r: float(np.mean(found)) for r, found in losses.items()}


@pytest.mark.slow
def test_losses_rise_as_images_shrink(teacher: Path) -> None:
    """By more than where every sub-stage imitates the teacher at its own resolution."""
    greatest, own = distilled(teacher, "greatest"), distilled(teacher, "own")
    assert greatest[8] > greatest[12]
    assert greatest[8] / greatest[12] > 1.1 * own[8] / own[12]


def test_the_table_and_the_run_say_which(teacher: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "own"
    run_json(*words(teacher, out, "--teacher-resolution", "own"))
    new, old = load_table(whole / "quality.json"), load_table(out / "quality.json")
    assert (new.source.teacher_resolution, old.source.teacher_resolution) == ("greatest", "own")
    said = json.loads((out / "run.json").read_text())["settings"]["teacher_resolution"]
    assert said == "own"
    with pytest.raises(SpaceError, match="different teacher_resolution do not mix: greatest and"):
        check_comparable(new, old)
    check_comparable(new, new)
    found = run_json(*words(teacher, out, "--resume"), code=2)["diagnostics"][0]
    assert found["code"] == "bad-run"
    assert 'teacher_resolution is "own", this run\'s is "greatest"' in found["message"]


def test_a_calibration_leaves_to_the_losses_what_they_see(whole: Path) -> None:
    table = load_table(whole / "quality.json")
    genome, rng = Genome(hyper()), Random(0)
    drawn = [random_member(genome.to_space(genome.at(0), "s"), rng) for _ in range(8)]
    unknown = [Network(i, subnet, 1.0) for i, subnet in enumerate(drawn)]
    worth = 100 - np.exp(2 + np.log(points_of(table, unknown).loss))
    known = [replace(n, value=float(top1)) for n, top1 in zip(unknown, worth, strict=True)]
    source = table.source.model_copy(update={"teacher_resolution": "own"})
    for one, prior in (
        (table, PRIOR_OF_REST),
        (table.model_copy(update={"source": source}), PRIOR),
    ):
        calibration = calibrated(one, known).calibration
        assert calibration is not None
        assert calibration.prior == prior
