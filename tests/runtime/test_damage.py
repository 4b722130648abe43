"""A flipped bit in what a run keeps is an error when it is read, and never another result."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from spacedsl.api import sample
from spacedsl.compiler.export import FILES, integer_model, seeded
from spacedsl.compiler.integer_model import load_model, save_model
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.space import Space
from spacedsl.targets.deployed import stamp_of
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.distill.features import FeatureCache
from spacedsl_runtime.distill.results import finished, held, save_rows
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import CheckpointError, RunError
from spacedsl_runtime.train.quantise import fp32_scores, fp32_settings
from spacedsl_runtime.train.run import ABOUT, METRICS, PAGE, PLAN, read_metrics
from tests.runtime.support import plan_json
from tests.runtime.training import Stopped, job, run
from tests.support import item_of, library_space

TINY = plan_json(library_space("tiny-a"))
FLIPS = 400


def flipped(path: Path, count: int, first: int = 0) -> Iterator[int]:
    """The file with one bit flipped, again and again: the first bytes one after the other, then
    any. Yields where."""
    whole = path.read_bytes()
    rng = random.Random(0)
    places = [*range(min(first, len(whole))), *(rng.randrange(len(whole)) for _ in range(count))]
    for place in places:
        bit = 1 << rng.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        yield place
    path.write_bytes(whole)


@pytest.mark.slow
def test_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, load_supernet(TINY, seed=1), {"step": 3})
    model = load_supernet(TINY)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for place in flipped(path, FLIPS, first=2000):
        with pytest.raises(CheckpointError):
            pytest.fail(f"{place}: {load_checkpoint(path, model)}")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert load_checkpoint(path, model) == {"step": 3}


def test_a_resumed_training_does_not_go_on_from_a_flipped_bit(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        run(job(folder), stop=6)
    path = folder / "checkpoint.safetensors"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    for _ in flipped(path, 3):
        with pytest.raises(CheckpointError, match=r"damaged|no checkpoint"):
            run(job(folder), resume=True)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_run_directories(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(job(folder, steps=6))
    scores = fp32_scores(folder)
    for name in (ABOUT, PAGE, PLAN):
        for place in flipped(folder / name, 60):
            with pytest.raises(RunError):
                pytest.fail(f"{name}:{place}: {fp32_settings(folder)}")
    for place in flipped(folder / METRICS, 200):
        with pytest.raises(RunError):
            pytest.fail(f"{METRICS}:{place}: {read_metrics(folder)}")
    assert fp32_scores(folder) == scores
    with pytest.raises(Stopped):
        run(job(tmp_path / "other"), stop=11)
    log = tmp_path / "other" / METRICS
    log.write_bytes(log.read_bytes().replace(b'"step": 6', b'"step": 7'))
    with pytest.raises(RunError, match=r"metrics\.jsonl:1 is damaged: its checksum"):
        run(job(tmp_path / "other"), resume=True)


def test_jobs_of_a_distillation(tmp_path: Path) -> None:
    rows = [{"window": 0, "resolution": 32, "cin": 8, "blocks": [[8, [3.0]]], "loss": 0.25}]
    with held(tmp_path):
        save_rows(tmp_path, "stage1 0 mbv2", rows)
    path = tmp_path / "jobs" / "stage1.0.mbv2.json"
    for place in flipped(path, 0, first=len(path.read_bytes())):
        with pytest.raises(RunError):
            pytest.fail(f"{place}: {finished(tmp_path, 'stage1 0 mbv2')}")
    assert finished(tmp_path, "stage1 0 mbv2") == rows


def test_kept_maps_are_computed_again(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, 1 << 20, ((0, 1),))
    maps = {"0": torch.randn(2, 3, 4, 4), "1 pooled": torch.randn(2, 5, 2, 2)}
    cache.keep("step0", maps)
    path = tmp_path / "step0.safetensors"
    for place in flipped(path, FLIPS, first=300):
        found = cache.load("step0", ("1 pooled",))
        assert found is None or torch.equal(found["1 pooled"], maps["1 pooled"]), place
    found = cache.load("step0", ("0", "1 pooled"))
    assert found is not None
    assert all(torch.equal(found[name], maps[name]) for name in maps)


PAGE_OF_ONE = """language 1
use "std/blocks.space"
space one {
  input 1 x 8
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { mbv2 { kernel 3  expand 2 }  width 8  depth 1  stride 2 }
  head { pool  linear -> 2 }
}
"""


def test_integer_models(tmp_path: Path) -> None:
    """The `.npz` has a checksum per array: a flip is an error, or in what says nothing (a date)."""
    space = item_of(PAGE_OF_ONE, "one")
    assert isinstance(space, Space)
    model = integer_model(seeded(sample(space)[0], 0))
    path = tmp_path / "net.npz"
    save_model(model, path)
    refused = 0
    for place in flipped(path, 3 * FLIPS, first=0):
        try:
            found = load_model(path)
        except SpaceError:
            refused += 1
            continue
        assert found.header == model.header, place
        for name, weights in model.weights.items():
            other = found.weights[name]
            assert np.array_equal(other.weight, weights.weight)
            assert np.array_equal(other.scale, weights.scale)
            assert np.array_equal(other.bias, weights.bias)
    assert refused > 2 * FLIPS


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_exported_files(format: str, tmp_path: Path) -> None:
    """Their checksum is of every byte; only where it says what it is nothing can be known."""
    space = item_of(PAGE_OF_ONE, "one")
    assert isinstance(space, Space)
    path = tmp_path / f"net.{format}"
    path.write_bytes(FILES[format].int8(seeded(sample(space)[0], 0), None))
    said = stamp_of(path)
    name = path.read_bytes().index(b"spacedsl-crc32:")
    for place in flipped(path, FLIPS // 4, first=40):
        if not name <= place < name + len("spacedsl-crc32:"):
            with pytest.raises(SpaceError):
                pytest.fail(f"{place}: {stamp_of(path)}")
    assert stamp_of(path) == said
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(SpaceError, match="damaged"):
        stamp_of(path)


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(job(folder, steps=6))
    usual = tmp_path / "usual"
    usual.touch()
    modes = {path.name: path.stat().st_mode for path in folder.iterdir() if path.is_file()}
    assert set(modes.values()) == {usual.stat().st_mode}, modes
    assert json.loads((folder / ABOUT).read_text())["files"].keys() == {PAGE, PLAN}
