"""Journals: a search resumed after any cut is the search that was never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.search.evolve import Found, evolve
from spacedsl.search.journal import Journal, decode, encode
from spacedsl.search.sealed_lines import sealed_line
from tests.search.fakes import CountingScorer, load, model_scorer, page, toy

CYCLES = 31

SCORER = model_scorer(toy())


def search(journal: Path, resume: bool = False, **options: int) -> tuple[Found, CountingScorer]:
    scorer = CountingScorer(SCORER)
    chosen = {"population": 12, "sample": 4, "cycles": CYCLES, **options}
    found = evolve(toy(), scorer, journal=journal, resume=resume, **chosen)  # type: ignore[arg-type]
    return found, scorer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Found]:
    """The journal and result of a search that was never stopped."""
    path = tmp_path_factory.mktemp("whole") / "j.jsonl"
    found, _ = search(path)
    return path.read_bytes(), found


def test_one_line_per_space(whole: tuple[bytes, Found]) -> None:
    data, found = whole
    lines = data.decode().splitlines()
    header = json.loads(lines[0])
    assert header.keys() == {
        "journal",
        "hyperspace",
        "latency",
        "quality",
        "scorer",
        "definition",
        "limits_ms",
        "samples",
        "best",
        "score_seed",
        "seed",
        "population",
        "sample",
        "checksum",
    }
    assert len(lines) == 1 + CYCLES
    for line, record in zip(lines[1:], found.history, strict=True):
        assert decode(line.encode() + b"\n", model_scorer(toy())) == record
        assert encode(record) == line.encode() + b"\n"


def test_a_journal_does_not_change_the_search(whole: tuple[bytes, Found]) -> None:
    scorer = model_scorer(toy())
    assert evolve(toy(), scorer, population=12, sample=4, cycles=CYCLES) == whole[1]


@pytest.mark.parametrize("part", range(24))
def test_resumed_after_any_cut_it_is_the_same(
    part: int, whole: tuple[bytes, Found], tmp_path: Path
) -> None:
    data, found = whole
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    cuts = sorted({0, 1, len(data), *ends, *(e - 1 for e in ends), *range(3, len(data), 97)})
    for cut in cuts[part::24]:
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(data[:cut])
        resumed, scorer = search(path, resume=True)
        assert path.read_bytes() == data
        held = max(0, data[:cut].count(b"\n") - 1)
        assert scorer.scored == [r.hash for r in found.history[held:]]
        assert resumed.replayed == held
        assert (resumed.space, resumed.best, resumed.history) == (
            found.space,
            found.best,
            found.history,
        )


def test_a_finished_search_can_go_on(whole: tuple[bytes, Found], tmp_path: Path) -> None:
    longer, short = tmp_path / "longer", tmp_path / "short"
    found, _ = search(longer, cycles=60)
    short.write_bytes(whole[0])
    resumed, scorer = search(short, resume=True, cycles=60)
    assert short.read_bytes() == longer.read_bytes()
    assert resumed.history == found.history
    assert len(scorer.scored) == 60 - CYCLES
    fewer, scorer = search(short, resume=True, cycles=20)
    assert fewer.history == found.history[:20]
    assert scorer.scored == []
    assert short.read_bytes() == longer.read_bytes()


KILLED = """
import sys
from pathlib import Path
from tests.search.fakes import model_scorer, toy
from spacedsl.search.evolve import evolve
evolve(toy(), model_scorer(toy(), samples=3000), population=12, sample=4, cycles=200,
       journal=Path(sys.argv[1]), resume=True)
"""


def run(path: Path) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, "-c", KILLED, str(path)], env=environment, cwd=root)


def test_killed_and_resumed_it_is_the_same(tmp_path: Path) -> None:
    path, reference = tmp_path / "killed", tmp_path / "reference"
    scorer = model_scorer(toy(), samples=3000)
    evolve(toy(), scorer, population=12, sample=4, cycles=200, journal=reference)
    for lines in (2, 40, 120):
        process = run(path)
        while process.poll() is None:
            if path.exists() and path.read_bytes().count(b"\n") > lines:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        assert process.wait() in {0, -signal.SIGKILL}
        assert reference.read_bytes().startswith(path.read_bytes())
    assert run(path).wait() == 0
    assert path.read_bytes() == reference.read_bytes()


def code(caught: pytest.ExceptionInfo[SpaceError]) -> str:
    return caught.value.diagnostics[0].code


def test_an_existing_journal_is_not_overwritten(whole: tuple[bytes, Found], tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(whole[0])
    with pytest.raises(SpaceError, match="--resume") as caught:
        search(path)
    assert code(caught) == "journal-exists"
    assert path.read_bytes() == whole[0]


def test_the_journal_of_another_search_is_refused(
    whole: tuple[bytes, Found], tmp_path: Path
) -> None:
    path = tmp_path / "j"
    path.write_bytes(whole[0])
    with pytest.raises(SpaceError, match="population is 12, this search's is 13; seed is 0") as e:
        search(path, resume=True, population=13, seed=3)
    assert code(e) == "journal-differs"
    other = load(page(stage2="width 32, 48  depth 2"))
    with pytest.raises(SpaceError, match="hyperspace is"):
        evolve(other, model_scorer(other), 12, 4, CYCLES, journal=path, resume=True)
    scorer = model_scorer(toy(), limits_ms=(1, 2))
    with pytest.raises(SpaceError, match=r"limits_ms is \[1.5, 2.0, 3.0\], this search's is"):
        evolve(toy(), scorer, 12, 4, CYCLES, journal=path, resume=True)
    assert path.read_bytes() == whole[0]


@pytest.mark.parametrize(
    ("number", "line", "why"),
    [
        (1, b"precious notes", ":1: not a line of a journal"),
        (1, b"precious notes\nmore", ":1: not a line of a journal"),
        (1, b"[1]\n", ":1: not a line of a journal"),
        (1, b"[" * 70_000, ":1: not a line of a journal"),
        (3, b"nonsense\n", ":3: not a line of a journal"),
        (3, b"{}\n", ":3: not a line of a journal"),
        (3, b"[" * 5000 + b"\n", ":3: not a line of a journal"),
        (3, b"\n", ":3: not a line of a journal"),
        (3, b"\xff\xfe\n", ":3: not a line of a journal"),
        (3, b"1" * 70_000 + b"\n", ":3: not a line of a journal: it is too long"),
    ],
)
def test_damaged_journals_are_refused_and_kept(
    number: int, line: bytes, why: str, whole: tuple[bytes, Found], tmp_path: Path
) -> None:
    lines = whole[0].splitlines(keepends=True)
    data = b"".join([*lines[: number - 1], line, *(lines[number:] if number > 1 else [])])
    path = tmp_path / "j"
    path.write_bytes(data)
    with pytest.raises(SpaceError, match=why) as caught:
        search(path, resume=True)
    assert code(caught) == "bad-journal"
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"index":4', b'"index":7', "index 7 where 4 comes"),
        (b'"score":', b'"score":1,"score":', "not as it was written"),
        (b'"score":', b'"score":NaN,"more":', "not a line"),
        (b'"score":', b'"score":1', "not that of its parts"),
        (b'"missing":[', b'"missing":[9,', "not a line"),
    ],
)
def test_edited_lines_are_refused(
    old: bytes, new: bytes, why: str, whole: tuple[bytes, Found], tmp_path: Path
) -> None:
    """Even with a checksum that fits."""
    lines = whole[0].splitlines(keepends=True)
    text = lines[5].partition(b',"checksum"')[0].replace(old, new) + b"}"
    lines[5] = text[:-1] + b',"checksum":"%08x"}\n' % zlib.crc32(text)
    path = tmp_path / "j"
    path.write_bytes(b"".join(lines))
    with pytest.raises(SpaceError, match=why) as caught:
        search(path, resume=True)
    assert code(caught) == "bad-journal"


@pytest.mark.parametrize("number", [0, 1, 5, -1])
def test_a_changed_digit_is_seen(number: int, whole: tuple[bytes, Found], tmp_path: Path) -> None:
    """In whatever line, at every place where a digit stands."""
    lines = whole[0].splitlines(keepends=True)
    path = tmp_path / "j"
    line = lines[number]
    for at in [i for i, byte in enumerate(line) if byte in b"0123456789"][::7]:
        digit = b"%d" % ((int(line[at : at + 1]) + 1) % 10)
        changed = line[:at] + digit + line[at + 1 :]
        path.write_bytes(b"".join(changed if part is line else part for part in lines))
        with pytest.raises(SpaceError) as caught:
            search(path, resume=True)
        assert code(caught) in ("bad-journal", "journal-differs")


def test_lines_of_other_spaces_are_refused(whole: tuple[bytes, Found], tmp_path: Path) -> None:
    lines = whole[0].splitlines(keepends=True)
    record = json.loads(lines[5])
    record["hash"] = "0" * 64
    del record["checksum"]
    lines[5] = sealed_line(record)
    path = tmp_path / "j"
    path.write_bytes(b"".join(lines))
    with pytest.raises(SpaceError, match=":6: holds space 000000000000") as caught:
        search(path, resume=True)
    assert code(caught) == "journal-differs"


def test_two_searches_do_not_share_a_journal(whole: tuple[bytes, Found], tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(whole[0])
    header = json.loads(whole[0].splitlines()[0])
    del header["journal"], header["checksum"]
    with Journal(path, header, model_scorer(toy()), resume=True) as journal:
        assert len(journal.records) == CYCLES
        with pytest.raises(SpaceError, match="another search") as caught:
            search(path, resume=True)
    assert code(caught) == "journal-busy"
    search(path, resume=True)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "j"):
        with pytest.raises(SpaceError, match="cannot write"):
            search(path, resume=True)
