"""docs/schema/ is what the code reads and writes. SPACEDSL_UPDATE=1 writes it."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from spacedsl.bridges.model_json import model_text
from spacedsl.cli.app import app
from spacedsl.cli.compile import model_plans, space_plans
from spacedsl.cli.schemas import schema_texts
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.tables.files import table_path
from tests.laws.strategies import hyperspaces
from tests.support import ROOT, SPACES, library_item, library_model, library_space

FOLDER = ROOT / "docs" / "schema"


@cache
def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(name: str, value: Any) -> None:
    error = next(validator(name).iter_errors(value), None)
    assert error is None, f"{list(error.absolute_path)}: {error.message[:200]}"


def test_the_files_are_those_of_the_code() -> None:
    texts = {f"{name}.json": text for name, text in schema_texts().items()}
    if os.environ.get("SPACEDSL_UPDATE"):
        FOLDER.mkdir(exist_ok=True)
        for name, text in texts.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
    found = {p.name: p.read_text(encoding="utf-8") for p in FOLDER.glob("*.json")}
    assert found == texts, "run SPACEDSL_UPDATE=1 pytest"


LIBRARY = [
    "tiny",
    "tiny-a",
    "models/tiny-a0",
    "baselines/attentivenas-a0",
    "baselines/proxylessnas",
    "baselines/resnet50-d",
    "targets/vnni",
    "vnni-large",
]
"""Small pages of every kind: the validator is slow."""


@pytest.mark.parametrize("page", LIBRARY)
def test_the_library_is_of_the_schemas(page: str) -> None:
    item = library_item(page)
    if isinstance(item, Target):
        check("ir-target", item.model_dump(mode="json"))
        return
    assert isinstance(item, Space | Subnet)
    if page != "vnni-large":
        check("ir-model" if isinstance(item, Subnet) else "ir-space", item.model_dump(mode="json"))
    asked = ["show", str(SPACES / f"{page}.space"), "--format", "json"]
    check("show", json.loads(CliRunner().invoke(app, asked).stdout))


def test_a_model_s_latency_is_of_the_schema() -> None:
    asked = ["show", "seqnet-vnni-a0", "--target", "vnni", "--format", "json"]
    found = json.loads(CliRunner().invoke(app, asked).stdout)
    assert found["latency"]["parts"]
    check("show", found)


@settings(max_examples=20)
@given(hyperspaces(elastic=1, most=2))
def test_any_hyperspace_is_of_the_schema(space: Space) -> None:
    check("ir-space", space.model_dump(mode="json"))


def test_artifacts_are_of_the_schemas() -> None:
    model = library_model("models/tiny-a0")
    check("model", json.loads(model_text(model)))
    target = library_item("targets/vnni")
    assert isinstance(target, Target)
    plans = model_plans(model, target)
    kinds = {"network": "network-plan", "int8": "int8-plan", "subnet": "subnet"}
    for name, text in plans.items():
        check(kinds[name.split(".")[1]], json.loads(text))
    for page in ("tiny-a", "tiny"):
        for text in space_plans(library_space(page)).values():
            check("supernet-plan", json.loads(text))
    check("table", json.loads(table_path("hyper").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("show", {"hash": 1}),
        ("show", {"kind": "planet"}),
        ("show", {"more": 1}),
        ("show", {"flops": None}),
    ],
)
def test_what_is_not_of_the_schema_is_found(name: str, change: dict[str, Any]) -> None:
    asked = ["show", "tiny-a", "--format", "json"]
    found = json.loads(CliRunner().invoke(app, asked).stdout)
    assert next(validator(name).iter_errors(found), None) is None
    assert next(validator(name).iter_errors({**found, **change}), None) is not None
