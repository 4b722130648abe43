"""distill: images that cannot be read, jobs that fail, and losses that are no numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.space import Space
from spacedsl_runtime.data.sources import open_data
from tests.cli.test_commands import run, run_json
from tests.cli.test_distill import OPTIONS, PAGE, teacher, words  # noqa: F401  a fixture
from tests.runtime.test_data import write_folders
from tests.runtime.training import job
from tests.runtime.training import run as train
from tests.support import item_of


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, a hyperspace for them, and a teacher that was trained on them."""
    folder = tmp_path_factory.mktemp("colours")
    write_folders(folder / "photos", count=12)
    page = PAGE.replace("1 x", "3 x")
    (folder / "small.space").write_text(page)
    big = item_of(page, "big")
    assert isinstance(big, Space)
    data = open_data(f"imagefolder:{folder / 'photos'}")
    train(job(folder / "run", data, plan=supernet_plan(big), steps=2, batch=8))
    return folder


def test_an_image_that_cannot_be_read(colours: Path, tmp_path: Path) -> None:
    """It is named and left out; too many are counted, and no run begins."""
    photos = tmp_path / "photos"
    shutil.copytree(colours / "photos", photos)
    pictures = sorted(photos.rglob("*.png"))
    start = ("distill", "--hyper", f"{colours / 'small.space'}#small", "--data", f"photos:{photos}")
    options = (*OPTIONS, "--samples", "1", "--teacher", f"checkpoint:{colours / 'run'}")
    pictures[1].write_bytes(b"no image")
    found = run(*start, "--out", str(tmp_path / "bkd"), *options)
    assert found.exit_code == 0
    assert found.stderr.count(f"warning: cannot read {pictures[1]}") == 1
    for path in pictures[:40]:
        path.write_bytes(b"no image")
    stopped = run_json(*start, "--out", str(tmp_path / "more"), *options, code=2)["diagnostics"][0]
    assert stopped["code"] == "bad-data"
    assert "11 images cannot be read, more than 10: " in stopped["message"]
    assert not (tmp_path / "more").exists()


def test_a_loss_that_is_no_number_names_the_sub_stage(
    teacher: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Once: it would be none again. Jobs do not end well, and no table is made."""
    out = tmp_path / "bkd"
    found = run_json(*words(teacher, out), "--lr", "1e30", code=2)["diagnostics"][0]
    assert found["code"] == "job-failed"
    assert "stage1 0 mbv2: small stage1 mbv2: the loss is nan at step" in found["message"]
    assert "sub-stage `largest`" in found["message"]
    assert not (out / "quality.json").exists()
