"""What check and fmt print for other tools, and that every exit obeys --format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spacedsl.cli.app import app
from spacedsl.diagnostics import render

BAD = "language 1\nspace a of onnxw { stage1 { mbv2 width 32, 40 } stage2 { fusd } }\n"
MEMBER = "language 1\nspace a of vnni { stage1 { width 32, 40 } }\n"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("a.space").write_text(MEMBER)
    return "a.space"


def test_json_has_version_labels_and_fixes(page: str) -> None:
    found = json.loads(run("check", page, "--format", "json").stdout)
    assert found["version"] == 1
    (diagnostic,) = found["diagnostics"]
    assert diagnostic["labels"][0]["message"] == "the list is here"
    assert diagnostic["labels"][0]["place"]["file"] == "<library>/vnni.space"
    Path(page).write_text(BAD)
    found = json.loads(run("check", page, "--format", "json").stdout)
    unknown = next(d for d in found["diagnostics"] if d["code"] == "unknown-block")
    (fix,) = unknown["fixes"]
    assert (fix["title"], fix["text"]) == ("write `fused`", "fused")


def test_a_fix_mends_the_page(page: str) -> None:
    text = "language 1\nspace a of tiny {\n  stage1 { fusd  width 8, 16 }\n}\n"
    Path(page).write_text(text)
    found = json.loads(run("check", page, "--format", "json").stdout)["diagnostics"]
    (fix,) = next(d for d in found if d["code"] == "unknown-block")["fixes"]
    lines = text.splitlines(keepends=True)
    line = lines[fix["place"]["line"] - 1]
    start, end = fix["place"]["column"] - 1, fix["place"]["end_column"] - 1
    lines[fix["place"]["line"] - 1] = line[:start] + fix["text"] + line[end:]
    Path(page).write_text("".join(lines))
    found = json.loads(run("check", page, "--format", "json").stdout)["diagnostics"]
    assert "unknown-block" not in [d["code"] for d in found]


def test_text_is_rendered_from_json(page: str) -> None:
    found = json.loads(run("check", page, "--format", "json").stdout)["diagnostics"]
    assert run("check", page).stderr == "".join(render(d) + "\n" for d in found)


def test_sarif(page: str) -> None:
    result = run("check", page, "--format", "sarif")
    assert result.exit_code == 2
    log: dict[str, Any] = json.loads(result.stdout)
    assert log["version"] == "2.1.0"
    (result_,) = log["runs"][0]["results"]
    assert result_["ruleId"] == "not-a-member"
    region = result_["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 28, "endLine": 2, "endColumn": 40}
    assert result_["relatedLocations"][0]["message"]["text"] == "the list is here"
    good = run("check", "vnni", "--format", "sarif")
    assert good.exit_code == 0
    assert json.loads(good.stdout)["runs"][0]["results"] == []


def test_github(page: str) -> None:
    result = run("check", page, "--format", "github")
    assert result.exit_code == 2
    assert result.stdout.startswith(
        "::error title=not-a-member,file=a.space,line=2,endLine=2,col=28,endColumn=40::not a member"
    )
    result = run("fmt", "--check", page, "--format", "github")
    assert result.exit_code == 1
    assert "title=not-formatted" in result.stdout


def test_fmt_reports_the_errors_of_all_pages(page: str) -> None:
    Path(page).write_text("language 1 }")
    Path("b.space").write_text("language 1 {")
    found = json.loads(run("fmt", page, "b.space", "--format", "json").stdout)
    assert [d["place"]["file"] for d in found["diagnostics"]] == ["a.space", "b.space"]


@pytest.mark.parametrize(
    "args",
    [
        ("check",),
        ("chek", "vnni"),
        ("check", "vnni", "--nothing"),
        ("show", "vnni", "--format=json", "--target"),
        ("tables", "verify"),
        ("sample", "vnni", "-n", "many"),
        (),
    ],
)
@pytest.mark.parametrize("format", ["json", "sarif", "github"])
def test_a_wrong_command_line_is_a_diagnostic(args: tuple[str, ...], format: str) -> None:
    result = run(*args, "--format", format)
    assert result.exit_code == 2
    assert result.stderr == ""
    assert "usage" in result.stdout
    if format == "json":
        (found,) = json.loads(result.stdout)["diagnostics"]
        assert found["code"] == "usage"
        assert found["message"]


def test_a_wrong_command_line_in_text_goes_to_standard_error() -> None:
    result = run("check", "vnni", "--nothing")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "No such option" in result.stderr


@pytest.mark.parametrize(
    ("said", "meant"),
    [("version", "--version"), ("lint", "check"), ("quantize", "export"), ("trian", "train")],
)
def test_words_of_elsewhere_name_a_command(said: str, meant: str) -> None:
    result = CliRunner().invoke(app, [said])
    assert result.exit_code == 2
    assert f"`{said}`" in result.stderr
    assert meant in result.stderr
