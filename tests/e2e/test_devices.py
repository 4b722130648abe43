"""The way from a list of measured networks to a target and a search, as the how-to shows it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.cost import subnet_cost
from tests.cli.test_commands import run
from tests.shown import blocks
from tests.support import ROOT

TEXTS = [ROOT / "docs" / name for name in ("devices.md", "howto/own-latencies.md")]
FILES = {name: body for text in TEXTS for _, name, body in blocks(text.read_text("utf-8")) if name}


def box_ms(page: Path) -> float:
    """What the made-up box takes for a network."""
    model = api.load(str(page))
    assert isinstance(model, Subnet)
    return 0.3 + subnet_cost(model).flops * 2e-8


def commands(name: str) -> list[list[str]]:
    """The commands of a block; the loop over pages becomes one for each."""
    found: list[list[str]] = []
    for line in FILES[name].splitlines():
        if line.startswith("for page in networks/*.space; do "):
            body = line.partition("; do ")[2].removesuffix("; done")
            for page in sorted(Path("networks").glob("*.space")):
                stem = str(page.with_suffix(""))
                found.append(
                    shlex.split(body.replace("${page%.space}", stem).replace("$page", str(page)))
                )
        else:
            found.append(shlex.split(line))
    return found


@pytest.mark.slow
def test_a_box_becomes_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("small.space", "npu.space"):
        Path(name).write_text(FILES[name])
    sample = [{"200": "140"}.get(word, word) for word in commands("sample.sh")[0]]
    assert run(*sample[1:]).exit_code == 0
    pages = sorted(Path("networks").glob("*.space"))
    assert len(pages) == 140, "as many as the fit needs"
    exports = commands("sample.sh")[1:]
    assert len(exports) == 140
    for words in exports[:3]:
        result = run(*words[1:])
        assert result.exit_code == 0, result.output
        assert Path(words[-1]).stat().st_size > 10_000
    rows = [f"{page},{box_ms(page):.4f}" for page in pages]
    Path("measured.csv").write_text("\n".join(["page,npu_ms", *rows]) + "\n")
    for words in commands("fit.sh"):
        result = run(*words[1:])
        assert result.exit_code == 0, (words, result.output)
    shown = run("show", str(pages[0]), "--target", "npu.space", "--format", "json")
    latency = json.loads(shown.stdout)["latency"]
    assert latency["total_ms"] == pytest.approx(box_ms(pages[0]), rel=0.1)
    (search,) = commands("search.sh")
    found = run(*search[1:], "--cycles", "4", "--population", "2", "--sample", "2")
    assert found.exit_code == 0, found.output
    assert Path("found.space").is_file()
    assert Path("models").is_dir()
    other = run("show", "efficientnetv2-s", "--target", "npu.space")
    assert other.exit_code == 2
    assert "error[uncovered]" in other.stderr


def test_pages_of_the_text_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pi.space").write_text(FILES["pi.space"])
    assert run("check", "pi.space").exit_code == 0
    result = run("target", "profile", "pi.space")
    assert "error[other-device]" in result.stderr
