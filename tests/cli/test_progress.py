"""Progress: one line that fits, whatever the terminal; lines in a log; one process speaks."""

from __future__ import annotations

import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from spacedsl.cli import progress as module
from spacedsl.cli.progress import Line, counting, fitted, working
from spacedsl.cli.train import change_in_points
from spacedsl.cli.watch import Terminal
from spacedsl.cli.words import wrapped
from spacedsl.figures import listed
from spacedsl.flows.watch import announced

PARTS = ["123,456/500,000 steps", "12:34:56 left", "loss 1.234", "largest 45.6%", "1,234 images/s"]


@given(
    st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=12),
    st.floats(0, 1),
    st.lists(st.sampled_from(PARTS), max_size=6),
    st.integers(1, 200),
)
def test_no_part_is_cut_at_any_width(what: str, share: float, parts: list[str], width: int) -> None:
    line = fitted(what, share, parts, width)
    assert len(line) <= width
    shown = [part for part in line.split("  ")[1:] if not set(part) <= {"#", "-"}]
    assert shown == parts[: len(shown)], "the first ones, whole"
    rest = parts[len(shown) :]
    if rest:
        assert len("  ".join([what[:width], *shown, rest[0]])) > width, "as many as fit"


@pytest.mark.parametrize("width", [20, 80, 110, 200])
def test_on_a_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    line = Line("training", 5000, "steps", clock=lambda: 0.0)
    line.update(1200, "loss 2.303", "largest 12.5%", "smallest 11.0%", "3,210 images/s")
    console.print(line)
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue()).rstrip("\n")
    assert "\n" not in text
    assert text.startswith("training  ")
    assert ("1,200/5,000 steps" in text) == (width >= 80)
    assert ("3,210 images/s" in text) == (width >= 110)
    assert all(part not in text for part in ("…", "..."))


def test_a_log_is_told_what_is_done_where_no_share_is_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with working("preparing") as tell:
        assert capsys.readouterr().err == "preparing\n", "at once"
        tell("1 of 3")
        tell("2 of 3")
        assert capsys.readouterr().err == "", "not every one"
        monkeypatch.setattr(module, "LOG_SECONDS", 0.0)
        tell("3 of 3")
        assert capsys.readouterr().err == "3 of 3\n"
    assert capsys.readouterr().err == "", "the last one once"


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of a log come soon."""
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(module, "LOG_SECONDS", 0.02)


def test_a_log_gets_whole_lines_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    with counting("searching", 2000, "spaces", quiet=False) as show:
        for done in (500, 1000, 2000):
            show(done, "best 1.5")
            time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    said = list(dict.fromkeys(re.sub(r", [0-9:]+ left", "", line) for line in lines))
    assert said == [
        f"searching: {done}/2,000 spaces, best 1.5" for done in ("500", "1,000", "2,000")
    ]


def test_a_log_hears_of_work_whose_first_part_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    with counting("distilling", 42, "jobs", quiet=False) as show:
        time.sleep(1.2)
        *_, line = capsys.readouterr().err.splitlines()
        assert line == "distilling: 0/42 jobs, 0:00:01 so far"
        show(0)
        show(1)
        time.sleep(0.1)
        *_, line = capsys.readouterr().err.splitlines()
        assert re.fullmatch(r"distilling: 1/42 jobs, 0:00:[0-9]+ left", line)


def test_a_short_run_is_one_line_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("evaluating", 3, "images", quiet=False) as show:
        for done in range(4):
            show(done)
    assert capsys.readouterr().err == "evaluating: 3/3 images\n"
    with pytest.raises(ValueError, match="no"), counting("training", 9, "steps", quiet=False):
        raise ValueError("no")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0), ("7", 0)])
def test_one_process_of_a_training_speaks(
    rank: str, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    with counting("training", 3, "steps", quiet=False) as show:
        show(3)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_what_takes_long_says_so_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    with announced(Terminal(), "profiling cpu", "once, about 5 minutes") as show:
        show(1.0, "60 networks")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["profiling cpu: once, about 5 minutes", "profiling cpu: 100%, 60 networks"]


def test_words() -> None:
    assert change_in_points(0.28) == "lost 0.28 points"
    assert change_in_points(-0.28) == "gained 0.28 points"
    assert change_in_points(0.0) == change_in_points(-0.001) == "nothing lost"
    assert listed(["cat", "dog"]) == "cat, dog"
    assert listed([str(i) for i in range(1005)]) == "0, 1, 2, 3, 4 and 1,000 more"
    assert wrapped("a b", "  ") == "a b"


def test_sentences_are_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    text = (
        "  stage1: mbv3 is better than mbv2, the next best (0.80%), unless its losses are too low"
    )
    lines = wrapped(text, "    ").splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()) == text.strip()
