"""Pages with taps through the commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.cli.summary import say_next_of
from spacedsl.lang.library import library
from tests.cli.test_commands import run, run_json
from tests.compiler.taps_support import EYES, PEAKS


@pytest.fixture
def page(tmp_path: Path) -> str:
    path = tmp_path / "eyes.space"
    path.write_text(EYES, encoding="utf-8")
    return str(path)


def test_show_has_the_shapes_of_the_maps(page: str) -> None:
    assert run_json("show", f"{page}#eye")["taps"] == [
        {"name": "stride4", "stage": "stage1", "shape": [24, 11, 11]},
        {"name": "stride8", "stage": "stage3", "shape": [40, 6, 6]},
        {"name": "stride16", "stage": "stage4", "shape": [48, 3, 3]},
    ]
    found = run_json("show", f"{page}#eyes")["taps"]
    assert found[1] == {
        "name": "stride8", "stage": "stage3", "channels": [24, 40], "sizes": [4, 6]
    }  # fmt: skip
    assert "24, 40 channels of 4, 6 px (stage3)" in run("show", f"{page}#eyes").output
    assert "taps" not in run_json("show", "tiny-a")


def test_export_lists_the_outputs(page: str, tmp_path: Path) -> None:
    out = tmp_path / "eye.onnx"
    found = run_json("export", f"{page}#eye", "--out", str(out), "--fp32")
    names = [(output["name"], output["shape"][1:]) for output in found["outputs"]]
    assert names == [("stride4", [24, 11, 11]), ("stride8", [40, 6, 6]), ("stride16", [48, 3, 3])]
    refused = run("eval", str(out), "--data", "digits")
    assert refused.exit_code == 2
    assert "gives maps (stride4, stride8, stride16), not logits" in refused.output


def test_diff_says_which_outputs_there_are(page: str, tmp_path: Path) -> None:
    other = tmp_path / "other.space"
    other.write_text(EYES.replace("4, 8, 16", "8, 16"), encoding="utf-8")
    found = run_json("diff", f"{page}#eyes", f"{other}#eyes", code=1)
    (change,) = found["changes"]
    assert (change["key"], change["removed"], change["added"]) == ("taps", [4], [])


def test_a_search_names_no_training_that_would_be_refused(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    space = api.load_space(f"{page}#eyes")
    say_next_of(space, Path(page), [], "cpu", api.load_target("cpu"))
    written = f"written: the found space in {page}\n"
    assert capsys.readouterr().out == f"{written}next: spacedsl show {page}\n"


def test_a_score_says_of_what_the_accuracies_are(tmp_path: Path) -> None:
    """A quality table is of classifiers."""
    hyper, space = (
        (library() / f"{name}.space").read_text(encoding="utf-8") for name in ("mobilew", "pixel4")
    )
    taps = re.sub(r"^  head \{.*\}$", "  taps stride 8, 16, 32", hyper, flags=re.MULTILINE)
    eyes = tmp_path / "eyes.space"
    eyes.write_text(taps + space.removeprefix("language 1\n"))
    result = run("score", f"{eyes}#pixel4", "--target", "pixel4")
    assert result.exit_code == 0, result.stderr
    assert "has taps in place of a head" in result.stderr
    assert "taps" not in run("score", "pixel4", "--target", "pixel4").stderr


def test_a_plan_of_a_space_without_logits_is_refused(page: str) -> None:
    result = run("plan", page, "--data", "digits")
    assert result.exit_code == 2
    assert "no-head" in result.stderr


def test_a_pyramid_is_shown_exported_and_compared(tmp_path: Path) -> None:
    page = tmp_path / "peaks.space"
    page.write_text(PEAKS, encoding="utf-8")
    assert run_json("show", f"{page}#peak")["taps"] == [
        {"name": "stride4", "stage": "stage1", "shape": [20, 12, 12]},
        {"name": "stride8", "stage": "stage3", "shape": [20, 6, 6]},
        {"name": "stride16", "stage": "stage4", "shape": [20, 3, 3]},
    ]
    found = run_json("show", f"{page}#peaks")["taps"]
    assert found[1] == {"name": "stride8", "stage": "stage3", "channels": [20], "sizes": [4, 6]}
    out = tmp_path / "peak.tflite"
    found = run_json("export", f"{page}#peak", "--out", str(out))
    names = [(output["name"], output["shape"][1:]) for output in found["outputs"]]
    assert names == [("stride4", [12, 12, 20]), ("stride8", [6, 6, 20]), ("stride16", [3, 3, 20])]
    other = tmp_path / "other.space"
    other.write_text(PEAKS.replace("pyramid 20", "pyramid 24"), encoding="utf-8")
    (change,) = run_json("diff", f"{page}#peaks", f"{other}#peaks", code=1)["changes"]
    assert (change["key"], change["removed"], change["added"]) == ("pyramid", [20], [24])
