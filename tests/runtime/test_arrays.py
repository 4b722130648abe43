"""Arrays as data: spectrograms that are not square, trained on, exported and evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.errors import DataError
from tests.cli.test_commands import run

PAGE = """language 1

block separable(kernel) {
  dwconv kernel relu strided
  conv 1x1 relu
}

space words {
  input 1 x 24x10
  stem { conv 10x4 relu strided  width 8  stride 2 }
  stage1 { separable { kernel 3, 5x3 }  width 8, 16  stride 2x1 }
  head { pool  linear -> 3 }
}
"""


def spectrograms(count: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Tones that rise, fall or stay, in noise: (N, 24, 10) from 0 to 1, and which (N,)."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    time, pitch = np.arange(24)[:, None] / 23, np.arange(10)[None] / 9
    slopes = np.array([0.6, -0.6, 0.0])[labels][:, None, None]
    centre = 0.5 + slopes * (time - 0.5) + rng.normal(0, 0.05, (count, 1, 1))
    tone = np.exp(-(((pitch - centre) / 0.12) ** 2))
    noisy = 0.8 * tone + 0.2 * rng.random((count, 24, 10))
    return noisy.astype(np.float32), labels.astype(np.int64)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "words.npz"
    images, labels = spectrograms()
    np.savez(path, images=images, labels=labels)
    return path


def test_a_file_of_arrays_is_data(data: Path) -> None:
    found = open_data(f"npz:{data}")
    assert (found.channels, found.classes) == (1, 3)
    assert (len(found.train.labels), len(found.test.labels)) == (192, 48)
    image = found.train.image(0)
    assert image.size == (10, 24)
    assert np.abs(np.asarray(image) / 255 - spectrograms()[0][1]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((4, 8, 8), np.uint8)}, "lacks"),
        ({"images": np.zeros((4, 8), np.uint8), "labels": np.arange(4)}, "shape"),
        ({"images": np.zeros((4, 8, 8, 2), np.uint8), "labels": np.arange(4)}, "shape"),
        ({"images": np.zeros((4, 8, 8), np.uint8), "labels": np.arange(3)}, "labels"),
        ({"images": np.full((4, 8, 8), 2.0), "labels": np.arange(4)}, "0 to 1"),
        ({"images": np.array([None]), "labels": np.arange(1)}, "cannot be read"),
    ],
)
def test_what_is_no_data_is_refused(
    arrays: dict[str, np.ndarray], said: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=said):
        open_data(f"npz:{tmp_path / 'bad.npz'}")


@pytest.mark.slow
def test_spectrograms_are_learnt(data: Path, tmp_path: Path) -> None:
    """In FP32, then in 8 bits: a third would be chance."""
    page, out = tmp_path / "words.space", tmp_path / "run"
    page.write_text(PAGE, encoding="utf-8")
    words = ("--data", f"npz:{data}", "--batch", "32", "--device", "cpu")
    for more in (("--steps", "30"), ("--qat", "--target", "cpu", "--steps", "10")):
        found = run("train", str(page), "--out", str(out), *words, *more)
        assert found.exit_code == 0, found.output
    for file in out.rglob("metrics.jsonl"):
        lines = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        last = [line["scores"] for line in lines if "scores" in line][-1]
        assert last["largest"]["top1"] > 0.9, file
