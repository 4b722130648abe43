"""Files of an earlier version, made when plans were a schema of their own: they still load, and
they say what they said. `tests/fixtures/before` holds a plan, its FP32 and its QAT checkpoint, an
integer model, the logits of both, and subnets that were drawn."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spacedsl.compiler.integer_model import load_model
from spacedsl.compiler.onnx_int8 import emit_int8
from spacedsl.compiler.subnets import describe
from spacedsl.json_files import sealed_text
from spacedsl_runtime import load_checkpoint, load_supernet, read_plan
from spacedsl_runtime.distill.table import substages
from spacedsl_runtime.errors import CheckpointError, PlanError
from spacedsl_runtime.quant.qat import QatSupernet
from tests.runtime.support import bkd_plans_of, images, plan_of
from tests.support import ROOT

BEFORE = ROOT / "tests" / "fixtures" / "before"
PLAN: dict[str, Any] = json.loads((BEFORE / "mini.supernet.json").read_text())
SAID: dict[str, Any] = json.loads((BEFORE / "said.json").read_text())


@pytest.mark.parametrize("kind", ["fp32", "qat"])
def test_a_checkpoint_loads_and_says_the_same(kind: str) -> None:
    supernet = load_supernet(PLAN, seed=9)
    model = QatSupernet(supernet) if kind == "qat" else supernet
    assert load_checkpoint(BEFORE / f"{kind}.safetensors", model) == {"step": 7 + (kind == "qat")}
    model.eval()
    for subnet in (supernet.largest(), supernet.smallest()):
        with torch.no_grad():
            found = model(images(2, subnet, 1), subnet).tolist()
        wanted = np.array(SAID[kind][subnet.name])
        # a value on the edge between two steps may fall on either side on another processor
        near = 1e-4 if kind == "fp32" else 0.05 * np.abs(wanted).max()
        assert np.abs(np.array(found) - wanted).max() <= near


def test_a_checkpoint_of_another_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is of mini, hash .*; the model is of tiny-a"):
        load_checkpoint(BEFORE / "fp32.safetensors", load_supernet(plan_of("tiny-a")))


def test_an_integer_model_loads_and_becomes_a_file() -> None:
    model = load_model(BEFORE / "largest.npz")
    assert model.header.plan.origin.space_hash == read_plan(PLAN).hash
    assert emit_int8(model).ByteSize() > 10_000


def test_a_plan_that_was_edited_is_refused(tmp_path: Path) -> None:
    """As a file with its checksum made again; without one it is refused for that."""
    path = tmp_path / "mini.supernet.json"
    text = json.dumps(PLAN)
    path.write_text(text)
    with pytest.raises(PlanError, match="has no checksum"):
        read_plan(path)
    path.write_text(sealed_text(text))
    assert read_plan(path) == read_plan(PLAN)
    edited = text.replace('"max_cout": 16', '"max_cout": 24', 1)
    path.write_text(sealed_text(edited))
    with pytest.raises(PlanError, match=r"max_cout is 24, the page says 16"):
        read_plan(path)
    path.write_text(sealed_text(text).replace('"max_cout": 16', '"max_cout": 24', 1))
    with pytest.raises(PlanError, match="is damaged"):
        read_plan(path)


@pytest.mark.parametrize("name", SAID["draws"])
def test_draws_are_those_of_before(name: str) -> None:
    """A training that began earlier goes on with the subnets that it would have drawn."""
    if " " in name:
        plan = next(p for p in bkd_plans_of(name.split(maxsplit=1)[0]) if p.name == name)
        drawn = substages(plan, 2, 0, 24)
        found = [f"{w} {s.of.channels} {describe(s)}" for w, s in drawn]
    else:
        rng = random.Random(5)
        found = [describe(plan_of(name).sample(rng)) for _ in range(2)]
    assert found == SAID["draws"][name]
