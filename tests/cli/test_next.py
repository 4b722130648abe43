"""The line `next:` at the end of commands: what stands there runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.test_commands import run
from tests.cli.test_help import LEAVES


def following(*words: str) -> list[str]:
    """The words of the command that a command says comes next."""
    done = run(*words)
    assert done.exit_code == 0, done.output
    last = done.stdout.splitlines()[-1]
    assert last.startswith("next: spacedsl "), done.stdout
    return shlex.split(last)[2:]


@pytest.mark.parametrize("notation", ["json", "timm"])
def test_a_model_goes_through_another_notation_into_a_file(
    notation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    imported = following("convert", "mobilenetv2-w1", "--to", notation, "--out", "net.txt")
    exported = following(*imported)
    assert Path("mobilenetv2-w1.space").is_file()
    assert exported[:2] == ["export", "mobilenetv2-w1.space#mobilenetv2-w1"]
    assert following(*exported)[:2] == ["bench", "mobilenetv2-w1.onnx"]


def test_an_imported_space_is_looked_at(tmp_path: Path) -> None:
    page = str(tmp_path / "a space.space")
    shown = following("import", "onnxw-151122-023231", "--out", page)
    assert shown == ["show", page]
    assert run(*shown).exit_code == 0


@pytest.mark.parametrize(
    ("words", "then"),
    [
        (("compile", "tiny-a0"), "export tiny-a0 --out tiny-a0.onnx"),
        (
            ("compile", "seqnet-pixel4-a0", "--target", "pixel4"),
            "export seqnet-pixel4-a0 --target pixel4 --out seqnet-pixel4-a0.tflite",
        ),
        (("compile", "tiny-a"), "train tiny-a --data imagefolder:PHOTOS --out run"),
        (("compile", "mobilenetv4-fpn"), "sample mobilenetv4-fpn --out models"),
        (
            ("compile", "tiny", "--target", "vnni"),
            "distill --hyper tiny --data photos:PHOTOS --teacher lite0 --target vnni --out run",
        ),
    ],
)
def test_plans_are_followed_by_what_they_are_for(
    words: tuple[str, ...], then: str, tmp_path: Path
) -> None:
    found = following(*words, "--out", str(tmp_path))
    assert found == then.split()
    LEAVES[found[0],].make_context("spacedsl", found[1:])
