"""What commands say where a result would mean nothing, or a refusal would name hashes only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spacedsl.cli.export import Said
from tests.cli.test_commands import run, run_json
from tests.runtime.training import PAGE

SCORE = ("score", "vnni", "--target", "vnni", "--definition", "qt", "--samples", "200")


def test_limits_above_all_latencies_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "slow.space"
    text = Path("spaces/targets/vnni.space").read_text().replace("target vnni", "target slow")
    page.write_text(re.sub(r"limits .*", "limits 1000ms, 2000ms, 3000ms, 4000ms, 5000ms", text))
    found = run("score", "vnni", "--target", str(page), "--definition", "qt", "--samples", "200")
    assert found.exit_code == 0, found.output
    assert "warning: limits of 1000 to 5000 ms tell few networks of vnni apart" in found.stderr
    scores = [float(line.split()[2]) for line in found.stdout.splitlines()[1:6]]
    assert len(set(scores)) == 5, "five limits that separate"
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("limits", "warned"), [("900,1000ms", True), ("15,1000ms", True), ("15,20,1000ms", False)]
)
def test_limits_that_are_asked_for_stay(limits: str, warned: bool) -> None:
    found = run(*SCORE, "--limits", limits)
    assert ("tell few networks of vnni apart" in found.stderr) == warned
    assert "taken instead" not in found.stderr
    assert f"{1000:6g} ms" in found.stdout


def test_the_targets_own_limits_are_kept_where_they_separate() -> None:
    found = run_json(*SCORE)
    assert [limit["limit_ms"] for limit in found["limits"]] == [8, 10, 15, 20, 25]


def test_a_run_of_an_edited_page_is_refused_with_what_changed(tmp_path: Path) -> None:
    page, out = tmp_path / "mini.space", str(tmp_path / "run")
    page.write_text(PAGE)
    words = ("train", str(page), "--data", "digits", "--out", out, "--steps", "1", "--batch", "8")
    assert run(*words).exit_code == 0
    page.write_text(PAGE.replace("width 8, 16", "width 8, 16, 24").replace("1..2", "1..3"))
    found = run(*words, "--resume")
    assert found.exit_code == 2
    assert "holds a run of another space than mini now is: " in found.stderr
    assert "stage1 width: 8, 16 -> 8, 16, 24  (+ 24)" in found.stderr
    assert "stage1 depth: 1, 2 -> 1..3  (+ 3)" in found.stderr
    assert not re.search(r"[0-9a-f]{20}", found.stderr)


def test_export_has_one_way_to_say_json(tmp_path: Path) -> None:
    out = str(tmp_path / "a.tflite")
    found = run_json("export", "tiny-a0", "--out", out)
    assert (found["format"], found["file"]) == ("tflite", out), "by the ending"
    both = ("--format", Said.onnx, "--format", "json")
    found = json.loads(run("export", "tiny-a0", "--out", str(tmp_path / "b"), *both).stdout)
    assert found["format"] == "onnx"
    refused = run_json("export", "tiny", "--out", out, code=2)["diagnostics"][0]
    assert refused["code"] == "wrong-kind"
    two = ("--format", "onnx", "--format", "tflite")
    assert "two formats" in run("export", "tiny-a0", "--out", out, *two).stderr
    assert run("export", "tiny-a0", "--out", out, "--json").exit_code == 2
    for name, more in (("a.pb", ()), ("a.onnx.zip", ()), ("a.onnx", ("--format", "tflite"))):
        refused = run("export", "tiny-a0", "--out", str(tmp_path / name), *more)
        assert "error[bad-option]" in refused.stderr
        assert not (tmp_path / name).exists()
