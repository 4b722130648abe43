"""Supernet and BKD plans: golden, canonical, self-contained, strict, fast."""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spacedsl.api import load_target
from spacedsl.cli.compile import space_plans
from spacedsl.compiler.subnets import subnet_json
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.compiler.supernet_file import (
    json_text,
    load_supernet_plan,
    plan_json,
    supernet_plan_of_json,
)
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.runtimes.table import ONNXRUNTIME
from tests.runtime.support import ONE_SPACES, SPACES
from tests.speed import within
from tests.support import ROOT, library_model, library_space, page_of

GOLDEN = Path(__file__).parents[1] / "golden"


def unstamped(text: str) -> str:
    """`text` with hashes of the IR blanked: what identity means has its own tests."""
    return re.sub(r'"[0-9a-f]{64}"', '"HASH"', text)


def plan_hash(space: Space) -> str:
    text = "".join(name + unstamped(body) for name, body in space_plans(space).items())
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_plans_of_the_library_are_the_golden_ones() -> None:
    """Change on purpose only: then write what the assertion shows into the file."""
    found = {name: plan_hash(library_space(name)) for name in SPACES}
    assert found == json.loads((GOLDEN / "plans.json").read_text())


def test_one_plan_in_full() -> None:
    text = unstamped(
        json_text(plan_json(supernet_plan(library_space("tiny-a"), load_target("vnni"))))
    )
    assert text == (GOLDEN / "tiny-a.supernet.json").read_text()


def test_an_activation_that_a_target_lacks_is_found_when_compiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = ONNXRUNTIME.rules.model_copy(
        update={"acts": (("relu", "saturate"), ("relu6", "saturate"))}
    )
    monkeypatch.setattr("spacedsl.compiler.supernet.rules_of", lambda target: lacking)
    with pytest.raises(SpaceError, match="onnxruntime has no 8-bit form of the activation swish"):
        supernet_plan(library_space("tiny-a"), load_target("vnni"))


def test_one_subnet_in_full() -> None:
    text = unstamped(json_text(subnet_json(library_model("models/tiny-a0"))))
    assert text == (GOLDEN / "tiny-a0.subnet.json").read_text()


COMPILING = """
import sys, time
from spacedsl.cli.compile import space_plans
from tests.support import library_space
space = library_space(sys.argv[1])
start = time.process_time()
space_plans(space)
print(time.process_time() - start)
"""


@pytest.mark.parametrize("name", ["hyper", "onnxw", "mobilew"])
def test_compiling_takes_under_a_second(name: str) -> None:
    """The largest pages, each in a program of its own, as the command is: this one holds what other
    tests left."""
    call = [sys.executable, "-c", COMPILING, name]

    def seconds() -> float:
        done = subprocess.run(
            call, capture_output=True, text=True, cwd=ROOT, check=True, timeout=100
        )
        return float(done.stdout)

    assert within(1, seconds)


@pytest.mark.parametrize("name", SPACES)
def test_plans_are_json_of_short_lines(name: str) -> None:
    for text in space_plans(library_space(name)).values():
        assert json_text(json.loads(text)) == text
        assert max(map(len, text.splitlines()[7:])) <= 100


@pytest.mark.parametrize("name", ["tiny", "onnxw", "pixel4", "baselines/resnet50"])
@pytest.mark.parametrize("target", [None, "vnni"])
def test_a_plan_is_read_from_its_file_as_it_was(name: str, target: str | None) -> None:
    """The page in it is parsed to the same values."""
    space, device = library_space(name), load_target(target) if target else None
    one = space.kind == "space"
    for plan in [supernet_plan(space, device)] if one else list(bkd_plans(space, device))[::7]:
        assert supernet_plan_of_json(json.loads(json_text(plan_json(plan)))) == plan


@pytest.mark.parametrize("name", ONE_SPACES)
def test_the_page_in_a_plan_needs_no_other_page(name: str, tmp_path: Path) -> None:
    plan = supernet_plan(library_space(name))
    assert "use " not in plan.page
    space = page_of(plan.page, tmp_path).get(plan.name)
    assert isinstance(space, Space)
    assert space_identity(space) == plan.hash == space_identity(library_space(name))


def test_a_bkd_plan_per_stage_and_block() -> None:
    hyper = library_space("tiny")
    plans = list(bkd_plans(hyper))
    assert [p.name for p in plans[:2]] == ["tiny stage1 mbv2", "tiny stage1 fused"]
    assert len(plans) == 6
    assert {p.hash for p in plans} == {space_identity(hyper)}
    assert plans[2].cins == hyper.stage("stage1").widths
    assert [p.input_stride for p in plans] == [2, 2, 4, 4, 8, 8]


def test_a_hyperspace_has_no_supernet_and_its_subnets_no_json() -> None:
    hyper = library_space("tiny")
    with pytest.raises(SpaceError, match="not-a-space"):
        supernet_plan(hyper)
    with pytest.raises(SpaceError, match="not-a-space"):
        subnet_json(random_subnet(hyper, random.Random(0)))


def test_damaged_plans_are_one_error(tmp_path: Path) -> None:
    text = json_text(plan_json(supernet_plan(library_space("tiny-a"))))
    path = tmp_path / "p.json"
    for damaged in (text[:-50], text.replace('"version": 2', '"version": 3'), "{}", "[]"):
        path.write_text(damaged)
        with pytest.raises(SpaceError, match="bad-plan"):
            load_supernet_plan(path)
    with pytest.raises(SpaceError, match=r"cannot read .*No such file"):
        load_supernet_plan(tmp_path / "none.json")


def test_the_command_writes_plans_of_spaces_and_hyperspaces(tmp_path: Path) -> None:
    for page in ("tiny-a", "tiny", "tiny-a0"):
        command = [sys.executable, "-m", "spacedsl", "compile", page, "--out", str(tmp_path)]
        subprocess.run(command, check=True, capture_output=True)
    names = {p.name for p in tmp_path.iterdir()}
    assert {"tiny-a.supernet.json", "tiny-a0.subnet.json", "tiny-a0.network.json"} <= names
    assert "tiny.stage1.fused.bkd.json" in names
    assert len(names) == 3 + 6
    load_supernet_plan(tmp_path / "tiny-a.supernet.json")
