"""Searches from the command line: narrowed hyperspaces, files that must not be lost, pages that
must check where they are written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spacedsl.cli.app import app
from tests.support import LUT, SPACES, needs_shared

NARROWED = (
    "language 1\nhyperspace narrow of onnxw { blocks { mbv2 { kernel 3 } mbv3 fused }"
    " stage2 { depth 2, 3 } }\n"
)
QUICK = ("--target", "vnni", "--cycles", "24", "--population", "12", "--sample", "4")


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "pages" / "narrow.space"
    path.parent.mkdir()
    path.write_text(NARROWED)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("scorer", ["model", pytest.param("rows", marks=needs_shared)])
def test_a_narrowed_hyperspace_is_searched_as_itself(page: Path, scorer: str) -> None:
    out = page.parent / "best.space"
    rows = ("--definition", "qt", "--scorer", f"rows:{LUT / 'onnxw'}") if scorer == "rows" else ()
    result = run("evolve", "--hyper", str(page), "--out", str(out), *rows, *QUICK)
    assert result.exit_code == 0, result.output
    assert "# Found by aging evolution in narrow for vnni" in out.read_text()
    assert "space best of narrow {" in out.read_text()
    assert run("check", str(out)).exit_code == 0
    assert run("covers", str(page), str(out)).exit_code == 0


@pytest.mark.slow
def test_a_found_page_checks_in_another_folder(page: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.space"
    assert run("evolve", "--hyper", str(page), "--out", str(out), *QUICK).exit_code == 0
    assert 'use "pages/narrow.space"' in out.read_text()
    assert run("check", str(out)).exit_code == 0
    assert run("sample", str(page), "--out", str(tmp_path / "models")).exit_code == 0
    assert run("check", *map(str, (tmp_path / "models").iterdir())).exit_code == 0


def test_a_quality_table_is_asked_for_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("profiled")

    monkeypatch.setattr("spacedsl.flows.ready.ready_target", measured)
    page = tmp_path / "own.space"
    text = (SPACES / "onnxw.space").read_text()
    page.write_text(re.sub(r'  quality "\w+"\n', "", text))
    for command in ("evolve", "optimum"):
        done = run(command, "--hyper", str(page), "--target", "cpu")
        assert "error[no-quality]" in done.output


def test_output_never_replaces_input(page: Path) -> None:
    for clash in (("--out", str(page)), ("--out", "x.jsonl", "--journal", "x.jsonl")):
        result = run("evolve", "--hyper", str(page), *clash, *QUICK)
        assert result.exit_code == 2
        assert "error[same-file]" in result.stderr
    assert page.read_text() == NARROWED


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.space"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("import", "onnxw-151122-023231", "--out", str(pipe)).exit_code == 0
    assert os.read(reader, 1 << 16).startswith(b"language 1\n")
    os.close(reader)
    assert pipe.is_fifo()


def test_a_page_without_a_hyperspace_that_is_elastic_in_blocks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h.space"
    path.write_text(
        'language 1\nuse "std/blocks.space"\nhyperspace h {\n  input 3 x 32\n'
        "  stage0 { mbv2 { kernel 3  expand 4 }  fused { kernel 3  expand 2 }  width 8 }\n}\n"
    )
    result = run("check", str(path), "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["diagnostics"][0]["code"] == "several-blocks"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("import", "onnxw-151122-023231", "--of", "mobilew"), "is of onnxw, not of mobilew"),
        (("import", f"d1#1_k3#3_w8#8_e0#{'9' * 400}_r32", "--of", "tiny-a"), "code has 2 stages"),
        (("evolve", "--hyper", "onnxw", "--out", "/", *QUICK), "cannot write"),
    ],
)
def test_wrong_options_are_one_error(args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "internal" not in result.stderr
