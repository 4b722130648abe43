"""How training views reach a step: the same bytes whoever reads them, with few open files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Data, Files, Unreadables
from spacedsl_runtime.errors import DataError
from spacedsl_runtime.train.batches import batches, resized, usual_workers
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
from tests.runtime.test_data import write_folders, write_photo
from tests.runtime.training import digits


def recipe(steps: int, batch: int) -> Recipe:
    return Recipe(steps, batch, 0.1, 0, 0.0)


def read(data: Data, made: Recipe, size: Any, **more: Any) -> list[tuple[Tensor, Tensor]]:
    return list(batches(data, made, size, 0, World(), Unreadables(5, lambda _: None), **more))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Noise in JPEG, one of which is broken."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(24):
        write_photo(root / "ab"[i % 2] / f"{i:02}.jpg", (60 + i, 50), i)
    (root / "a" / "04.jpg").write_bytes(b"\xff\xd8\xff no image")
    return open_data(f"imagefolder:{root}")


@pytest.mark.parametrize("workers", [1, 3])
def test_views_are_the_same_with_any_number_of_workers(photos: Data, workers: int) -> None:
    made = recipe(12, 8)
    alone, shared = read(photos, made, 32), read(photos, made, 32, workers=workers)
    assert len(alone) == len(shared) == 12
    for (views, labels), (others, other_labels) in zip(alone, shared, strict=True):
        assert torch.equal(views, others)
        assert torch.equal(labels, other_labels)
    assert {len(labels) for _, labels in alone} == {7, 8}


def test_every_step_has_views_of_its_own_size(photos: Data) -> None:
    found = read(photos, recipe(4, 6), lambda step: 16 + 8 * (step % 2), workers=1)
    assert [views.shape[-1] for views, _ in found] == [16, 24, 16, 24]
    (large, _), *_ = read(photos, recipe(1, 6), 24)
    (same, _), *_ = read(photos, recipe(1, 6), lambda _: 24)
    assert torch.equal(large, same)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.train.batches import batches
from spacedsl_runtime.train.parallel import World
from spacedsl_runtime.train.recipe import Recipe
made = Recipe(8, 512, 0.1, 0, 0.0)
data = open_data(sys.argv[1])
for views, labels in batches(data, made, 8, 0, World(), Unreadables(0, print), 2):
    assert views.shape == (512, 1 if data.spec == "digits" else 3, 8, 8)
print("all read")
"""


@pytest.mark.parametrize("files", [1024, 96])
def test_a_limit_of_open_files_does_not_stop_large_batches(files: int) -> None:
    command = [sys.executable, "-c", LIMITED, "digits", str(files)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert found.stdout == "all read\n", found.stderr


def test_a_batch_without_any_image_is_an_error(tmp_path: Path) -> None:
    write_folders(tmp_path, count=4)
    for path in (tmp_path / "train").rglob("*.png"):
        path.write_bytes(b"no image")
    data = open_data(f"imagefolder:{tmp_path}")
    for workers in (0, 1):
        with pytest.raises(DataError, match="no image of a batch of 4 can be read"):
            read(data, recipe(2, 4), 16, workers=workers)


def test_a_reader_that_dies_is_an_error_and_no_hang(
    photos: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Files, index: int) -> None:
        os.kill(os.getpid(), 9)

    monkeypatch.setattr(Files, "source", killed)
    with pytest.raises(DataError, match="a process that reads images has died") as caught:
        read(photos, recipe(2, 4), 16, workers=1)
    assert "--workers 0" in str(caught.value.help)


def test_images_in_memory_take_no_workers(photos: Data) -> None:
    assert usual_workers(digits(), "cuda") == 0
    assert usual_workers(photos, "cpu") >= 1
    assert usual_workers(photos, "cuda", processes=1000) == 1


def test_a_smaller_view_is_about_as_sharp_as_one_made_at_its_size() -> None:
    """Gradient energy of noise of many scales at 160 pixels, by way of 224 and without."""
    rng = np.random.default_rng(0)
    octaves = [
        np.asarray(Image.fromarray(rng.random((n, n), np.float32)).resize((400, 400)))
        for n in (10, 20, 40, 80, 160)
    ]
    image = torch.tensor(sum(octave / 1.2**i for i, octave in enumerate(octaves)))[None, None]

    def energy(x: Tensor) -> float:
        return float((x.diff(dim=2) ** 2).mean() + (x.diff(dim=3) ** 2).mean())

    def scaled(x: Tensor, size: int) -> Tensor:
        return torch.nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True)

    direct = energy(scaled(image, 160))
    assert energy(resized(scaled(image, 224), 160)) / direct == pytest.approx(1, abs=0.06)
    assert energy(scaled(scaled(image, 224), 160)) / direct < 0.92


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_views_on_a_gpu_are_those_of_the_cpu(photos: Data) -> None:
    made = recipe(12, 8)
    there = read(photos, made, 32, workers=2, device=torch.device("cuda", 0))
    for (views, labels), (others, other_labels) in zip(read(photos, made, 32), there, strict=True):
        assert others.device.type == "cuda"
        assert torch.equal(views, others.cpu())
        assert torch.equal(labels, other_labels.cpu())
