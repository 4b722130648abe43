"""What a page says that is easily another thing than was meant is warned of, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source

PAGE = """language 1
use "std/blocks.space"
hyperspace s {
  input INPUT
  stem { STEM }
  elastic stage1 { mbv2 { kernel KERNEL  expand EXPAND }  width 16, 24 }
  head { pool  linear -> 10 }
}
"""
USUAL = {
    "INPUT": "3 x 32, 48",
    "STEM": "conv 3x3 relu strided  width 16  stride 2",
    "KERNEL": "3, 5",
    "EXPAND": "4",
}


def warnings(folder: Path, **said: str) -> list[tuple[str, int, str]]:
    """Code, line and marked text of what is warned of."""
    text = PAGE
    for name, usual in USUAL.items():
        text = text.replace(name, said.get(name.lower(), usual))
    path = folder / "page.space"
    path.write_text(text)
    page, errors = api.examine(path)
    assert page is not None
    assert errors == ()
    found = [(d.code, d.place) for d in api.page_warnings(page) if d.place]
    return [(code, p.line, p.source_line[p.column - 1 : p.end_column - 1]) for code, p in found]


@pytest.mark.parametrize(
    ("stem", "warned"),
    [
        ("conv 4x4 relu strided  width 16  stride 4", True),
        ("conv 4x4 valid relu strided  width 16  stride 4", False),
        ("conv 2x2 relu s2  conv 2x2 relu s2  width 16", False),
        ("conv 5x5 relu strided  width 16  stride 4", False),
        ("space-to-depth 4  conv 1x1 relu  width 16", False),
    ],
)
def test_patches(stem: str, warned: bool, tmp_path: Path) -> None:
    found = warnings(tmp_path, stem=stem)
    assert found == ([("shifted-patches", 5, "stem")] if warned else [])


@pytest.mark.parametrize(
    ("size", "stem", "at"),
    [
        ("1x32", "conv 1x3 relu strided  width 16  stride 2x1", "stride 2x1"),
        ("1x32", "conv 1x3 relu strided  width 16  stride 2x4", "stride 2x4"),
        ("1x32", "conv 1x3 relu strided  width 16  stride 1x2", None),
        ("1x32", "conv 1x3 relu strided  width 16  stride 2", None),
        ("1x32", "conv 1x3 relu s2x1  width 16", "s2x1"),
        ("1x32, 2x32", "conv 1x3 relu strided  width 16  stride 2x1", None),
        ("1x16, 1x32", "conv 1x3 relu strided  width 16  stride 2x1", "stride 2x1"),
        ("1", "conv 3x3 relu strided  width 16  stride 2", "stride 2"),
        ("1", "maxpool 2x2 strided elide  conv 1x1  width 16  stride 2", "stride 2"),
        ("2", "conv 3x3 relu strided  width 16  stride 2", None),
    ],
)
def test_strides_that_divide_nothing(size: str, stem: str, at: str | None, tmp_path: Path) -> None:
    found = warnings(tmp_path, input=f"3 x {size}", stem=stem)
    assert found == ([("idle-stride", 5, at)] if at else [])


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("49 x 10", "49 x 10"),
        ("49 x 10x10", None),
        ("40 x 101", "40 x 101"),
        ("13 x 64", None),
        ("32 x 64, 96", None),
        ("49x10", "49x10"),
        ("3 x 49x10", None),
        ("480x640", None),
        ("224", None),
        ("32, 48", None),
    ],
)
def test_inputs(said: str, at: str | None, tmp_path: Path) -> None:
    found = warnings(tmp_path, input=said)
    assert found == ([("unclear", 4, at)] if at else [])


def test_the_way_out_of_a_warning_of_channels_is_kept_by_the_formatter() -> None:
    text = format_text(Source("page.space", PAGE.replace("INPUT", "49 x 10x10")))
    assert "input 49 x 10x10\n" in text


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("3..7", "3..7"),
        ("1, 3..5", "3..5"),
        ("3..7 step 2", None),
        ("3, 4, 5", None),
        ("2..4", None),
    ],
)
def test_even_kernels(said: str, at: str | None, tmp_path: Path) -> None:
    found = warnings(tmp_path, kernel=said)
    assert found == ([("unclear", 6, at)] if at else [])


@pytest.mark.parametrize(
    ("said", "at"),
    [("1,5", "1,5"), ("2,25", "2,25"), ("1, 5", None), ("3,6", None), ("1,5, 6", None)],
)
def test_commas_in_numbers(said: str, at: str | None, tmp_path: Path) -> None:
    found = warnings(tmp_path, expand=said)
    assert found == ([("unclear", 6, at)] if at else [])


@pytest.mark.parametrize(
    ("channels", "said", "warned"),
    [
        (64, "se 4", True),
        (256, "se 16", True),
        (32, "se 4", False),
        (512, "se 32", False),
        (64, "se cin / 16", False),
    ],
)
def test_squeezes(channels: int, said: str, warned: bool, tmp_path: Path) -> None:
    stem = f"conv 3x3 -> {channels} relu strided  {said}  conv 1x1  width 16  stride 2"
    stem = stem.replace("cin", str(channels))
    found = warnings(tmp_path, stem=stem)
    assert found == ([("unclear", 5, said)] if warned else [])
