"""Pages from strangers: a diagnostic, soon, and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.speed import within
from tests.support import ROOT

LIMIT = 2.0
"""Seconds of processor time, with the start of the process: 0.2 to 0.9 s on the machine of
benchmarks/README.md, and twice that on a machine half as fast."""
MEGABYTES = 200

HEAD = "language 1\n"


def hyperspace(name: str, stages: int, blocks: str, widths: str) -> str:
    listed = "".join(
        f"  elastic s{i} {{ width {widths}  window 1  depth 1..2 }}\n" for i in range(stages)
    )
    head = "  head { pool  linear -> 10 }\n"
    return f"hyperspace {name} {{\n  input 8 x 64\n  blocks {{ {blocks} }}\n{listed}{head}}}\n"


PARAMETERS = [f"p{i}" for i in range(8)]
SETTINGS = "".join(
    f"block b{i}({', '.join(PARAMETERS)}) {{\n"
    + "".join(f"  conv 1x1 -> 8 * {p}\n" for p in PARAMETERS)
    + f"  conv {2 * i + 1}x{2 * i + 1}\n}}\n"
    for i in range(15)
) + hyperspace(
    "h",
    60,
    " ".join(f"b{i} {{ {' '.join(f'{p} 1, 2' for p in PARAMETERS)} }}" for i in range(15)),
    "8, 16",
)
"""Little text, and a million blocks that would have to be bound."""

PAGES = {
    "deep": HEAD + "block b {\n  conv 1x1 -> " + "(" * 100_000 + "\n}\n",
    "bodies": HEAD + "block b { " + "shortcut { " * 50_000,
    "long-line": HEAD + "# " + "x" * 10_000_000,
    "range": HEAD + "space s of tiny {\n  stage1 { width 1..1000000000000 }\n}\n",
    "step": HEAD + "space s of tiny {\n  stage1 { width 1..999999999 step 0.001 }\n}\n",
    "number": HEAD + "space s of tiny {\n  stage1 { width " + "9" * 200_000 + " }\n}\n",
    "uses": HEAD + 'use "std/blocks.space"\n' * 9_000 + "block {\n",
    "stages": HEAD + "space s of tiny {\n" + "  stage1 { width 8 }\n" * 9_000 + "}\n",
    "escape": HEAD + 'use "../../../../../../etc/passwd"\n',
    "absolute": HEAD + 'use "/etc/passwd.space"\n',
    "quotes": HEAD + 'use "' * 40_000,
    "brackets": HEAD + "}" * 200_000,
    "names": HEAD + "a " * 120_000,
    "models": HEAD + "model m of tiny at 32 { stage1 { " + "8 k3 e1 " * 30_000 + "} }\n",
    "ops": HEAD + "block b(k) {\n" + "  conv k\n" * 20_000 + "}\n",
    "dependents": HEAD
    + "space s of tiny {\n}\n"
    + "".join(f"model m{i} of s at 32 {{ }}\n" for i in range(6_000)),
    "commas": HEAD + "space s of tiny { stage1 { width " + "8," * 40_000 + " } }\n",
    "unknown": HEAD + "".join(f"space s{i} of q{i} {{ }}\n" for i in range(9_000)),
    "alike": HEAD
    + "".join(f"block alike{i} {{ conv 3x3 }}\n" for i in range(3_000))
    + "space s of tiny {\n"
    + "".join(f"  s{i} {{ alikf{i} }}\n" for i in range(3_000))
    + "}\n",
    "fractions": HEAD
    + "block f(e) {\n  conv 1x1 -> cin * e\n  conv 1x1\n}\n"
    + hyperspace("h", 8, "f { e 0.5, 1.5, 2.5, 3.5, 4.5, 5.5 }", "8..1024 step 8"),
    "settings": HEAD + SETTINGS,
    "hyperspaces": HEAD
    + 'use "std/blocks.space"\n'
    + "".join(
        hyperspace(f"h{i}", 20, "mbv3 { kernel 3..9 step 2  expand 1..8 }", "8..512 step 8")
        for i in range(80)
    ),
    "carriage-returns": HEAD + "\r" * 250_000 + "\n}",
    "class": "class " + "a" * 250_000 + "\n\n",
    "no-braces": "space " + "a" * 250_000 + "\nx\n",
    "blanks": "space a\n" + " " * 250_000 + "\nx\n",
    "bell": HEAD + "\x07\x1b[2J" * 50_000,
}


class Checked(NamedTuple):
    """What `check` says of a page, and what it took: processor time, and memory at most."""

    codes: list[str]
    seconds: float
    megabytes: float


def check(path: Path) -> Checked:
    """In a process of its own."""
    code = (
        "import re, resource, sys\nfrom pathlib import Path\nfrom spacedsl.cli.app import main\n"
        "sys.argv[1:] = ['check', sys.argv[1], '--format', 'json']\ntry: main()\n"
        "except SystemExit: pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        # not ru_maxrss, which starts at what the process had before it became this program
        "peak = re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())\n"
        "print(used.ru_utime + used.ru_stime, int(peak[1]) / 1024, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seconds, megabytes = map(float, done.stderr.split()[-2:])
    codes = [d["code"] for d in json.loads(done.stdout)["diagnostics"]]
    return Checked(codes, seconds, megabytes)


def check_bounds(path: Path) -> list[str]:
    found: list[Checked] = []

    def seconds() -> float:
        found.append(check(path))
        return found[-1].seconds

    assert within(LIMIT, seconds), [one.seconds for one in found]
    codes, _, megabytes = found[-1]
    assert codes
    assert "internal" not in codes
    assert megabytes < MEGABYTES, megabytes
    return codes


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_page(name: str, tmp_path: Path) -> None:
    path = tmp_path / "page.space"
    path.write_text(PAGES[name], encoding="utf-8")
    check_bounds(path)


def test_thousands_of_pages_that_use_each_other(tmp_path: Path) -> None:
    for i in range(2_000):
        text = HEAD + f'use "p{i + 1}.space"\n' + f'use "p{i + 2}.space"\n'
        (tmp_path / f"p{i}.space").write_text(text)
    assert "too-deep" in check_bounds(tmp_path / "p0.space")


def test_a_page_that_uses_thousands(tmp_path: Path) -> None:
    for i in range(3_000):
        (tmp_path / f"p{i}.space").write_text(HEAD + "block b { conv 1x1 }\n")
    uses = "".join(f'use "p{i}.space"\n' for i in range(3_000))
    (tmp_path / "page.space").write_text(HEAD + uses + "space s of t { stage1 { b } }\n")
    check_bounds(tmp_path / "page.space")


def test_symlink_loops_and_devices(tmp_path: Path) -> None:
    loop = tmp_path / "loop.space"
    os.symlink(loop, loop)
    assert check_bounds(loop) == ["cannot-read"]
    folder = tmp_path / "f"
    folder.mkdir()
    os.symlink(folder, folder / "f")
    page = folder / "page.space"
    page.write_text(HEAD + 'use "f/f/f/page.space"\n')
    assert check_bounds(page) == ["use-cycle"]
