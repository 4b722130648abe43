"""The option --html, and what reports are whatever shows them."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spacedsl.cli.app import app
from spacedsl.report.parts import Code, Facts, Made, Report, Section, Table, Words
from spacedsl.report.render import html
from spacedsl.version import __version__
from tests.support import SPACES


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, args)))


class Strict(HTMLParser):
    """Every element that is opened is closed, in its order."""

    VOID = ("meta", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def well_formed(text: str) -> None:
    parser = Strict()
    parser.feed(text)
    assert parser.open == []


HOSTILE = "<b>&\"'</script></style></pre>\udc80"


def test_everything_that_is_said_is_escaped() -> None:
    """Also a name that is no text, as file names may be."""
    parts = (
        Table(HOSTILE, (HOSTILE,), ((HOSTILE,),), note=HOSTILE),
        Facts(((HOSTILE, HOSTILE),)),
        Words((HOSTILE,)),
        Code(HOSTILE, HOSTILE),
    )
    report = Report(
        HOSTILE, HOSTILE, HOSTILE, (Section(HOSTILE, parts),), Made(HOSTILE, ((HOSTILE, HOSTILE),))
    )
    text = html(report)
    text.encode()
    assert "<b>" not in text
    assert text.count("</script>") == text.count("</style>") == 1
    well_formed(text)


@pytest.mark.parametrize("name", ["vnni", "seqnet-vnni-a0", "hyper", "baselines/resnet50"])
def test_a_report_is_the_same_each_time(name: str, tmp_path: Path) -> None:
    out, page = tmp_path / "out.html", name.rpartition("/")[2]
    first = run("show", page, "--html", out)
    assert first.exit_code == 0, first.output
    assert f"report in {out}" in first.stdout
    text = out.read_text(encoding="utf-8")
    well_formed(text)
    assert f"spacedsl {__version__}" in text
    run("show", page, "--html", out)
    assert out.read_text(encoding="utf-8") == text


def test_nothing_outside_is_referred_to(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    run("diff", "vnni", "pixel4", "--html", out)
    text = out.read_text(encoding="utf-8")
    assert not re.findall(r"https?://|url\(|@import|<img|<iframe|src=", text)
    assert "default-src 'none'" in text


def test_json_is_what_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    plain = run("show", "vnni", "--format", "json")
    assert run("show", "vnni", "--format", "json", "--html", out).stdout == plain.stdout
    assert out.is_file()


def test_a_diff_still_exits_1(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert run("diff", "vnni", "pixel4", "--html", out).exit_code == 1
    assert run("diff", "vnni", "vnni", "--html", out).exit_code == 0


COMMANDS = {
    "show": ("show", "vnni"),
    "diff": ("diff", "vnni", "pixel4"),
    "analyze": ("analyze", "--target", "vnni"),
    "verify": ("target", "verify", "cpu"),
    "evolve": ("evolve", "--hyper", "onnxw", "--target", "vnni"),
    "optimum": ("optimum", "--hyper", "onnxw", "--target", "vnni"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    name: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "out.html"
    for path in (missing, tmp_path):
        found = run(*COMMANDS[name], "--html", path)
        assert found.exit_code == 2
        assert "error[cannot-write]" in found.stderr
        assert found.stdout == ""


def test_a_page_is_not_overwritten_by_its_report(tmp_path: Path) -> None:
    page = tmp_path / "tiny.space"
    page.write_text((SPACES / "tiny.space").read_text(encoding="utf-8"), encoding="utf-8")
    link = tmp_path / "link.html"
    os.symlink(page, link)
    before = page.read_text(encoding="utf-8")
    for path in (page, link):
        found = run("show", f"{page}#tiny", "--html", path)
        assert found.exit_code == 2
        assert "error[same-file]" in found.stderr
    assert page.read_text(encoding="utf-8") == before


def test_a_report_is_of_a_whole_page(tmp_path: Path) -> None:
    found = run("show", "vnni", "--origin", "--html", tmp_path / "out.html")
    assert found.exit_code == 2
    assert "error[bad-option]" in found.stderr
