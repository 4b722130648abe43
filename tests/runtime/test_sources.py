"""Sources of data are records in one table, and packages add theirs."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from spacedsl_runtime.data import sources
from spacedsl_runtime.data.digits import DIGITS
from spacedsl_runtime.data.source import DataSource
from spacedsl_runtime.data.sources import BUILT_IN, GROUP, open_data, usages
from spacedsl_runtime.errors import DataError
from spacedsl_runtime.train.recipe import recipe_for
from tests.cli.test_commands import run
from tests.runtime.test_shards import fill

MINE = DataSource("mine", "mine[:WHERE]", lambda spec, where, decoder: DIGITS.open(spec, "", None))
TAKEN = DataSource("digits", "digits", DIGITS.open)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[metadata.EntryPoint]]:
    """Entry points as if a package were installed that has them."""
    points: list[metadata.EntryPoint] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == GROUP else [])
    sources._registered.cache_clear()
    yield points
    sources._registered.cache_clear()


def point(name: str, value: str) -> metadata.EntryPoint:
    return metadata.EntryPoint(name, f"tests.runtime.test_sources:{value}", GROUP)


def test_a_package_registers_a_source(register: list[metadata.EntryPoint]) -> None:
    with pytest.raises(DataError, match="unknown data `mine`"):
        open_data("mine")
    sources._registered.cache_clear()
    register.append(point("mine", "MINE"))
    assert open_data("mine:anything").hash == open_data("digits").hash
    assert usages().endswith("mine[:WHERE]")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("mine", "NOT_THERE", "cannot be loaded"),
        ("other", "MINE", "is no source"),
        ("mine", "GROUP", "is no source"),
        ("digits", "TAKEN", "which there is already"),
    ],
)
def test_what_is_registered_wrongly_is_said(
    register: list[metadata.EntryPoint], name: str, value: str, why: str
) -> None:
    register.append(point(name, value))
    with pytest.raises(DataError, match=why):
        open_data("nothing-of-the-kind")
    assert open_data("digits").classes == 10, "built-in sources do not depend on packages"


def test_help_texts_name_every_labelled_source() -> None:
    text = " ".join(run("train", "--help").stdout.split())
    assert all(s.usage in text for s in BUILT_IN.values() if s.defaults)


@pytest.mark.parametrize("spec", ["digits:x", "imagefolder", "photos:", "webdataset", "mnist"])
def test_what_no_source_understands_is_refused(spec: str) -> None:
    with pytest.raises(DataError, match="unknown data"):
        open_data(spec)


def test_shards_train_as_photos_do(tmp_path: Path) -> None:
    fill(tmp_path, "train")
    fill(tmp_path, "val", 1)
    (tmp_path / "shards" / "classes.txt").write_text("cat\ndog\n")
    recipe = recipe_for(open_data(f"webdataset:{tmp_path / 'shards'}"), batch=4, holdout=0)
    assert recipe.weight_decay == 1e-5
