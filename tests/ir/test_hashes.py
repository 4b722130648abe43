"""Hashes are for ever: tests/fixtures/hashes.txt may only grow. SPACEDSL_UPDATE=1 adds what is new
and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.passes.network import subnet_identity
from tests.support import PAGES, ROOT, page_id

FILE = ROOT / "tests" / "fixtures" / "hashes.txt"


def current() -> dict[str, str]:
    """`page name` -> hash, of every space and model of the library."""
    found: dict[str, str] = {}
    for path in PAGES:
        page = Loader().load(path)
        for name in page.names:
            item = page.get(name)
            if isinstance(item, Space):
                found[f"{page_id(path)} {name}"] = space_identity(item)
            elif isinstance(item, Subnet):
                found[f"{page_id(path)} {name}"] = subnet_identity(item)
    return found


def lines() -> list[str]:
    return [x for x in FILE.read_text(encoding="utf-8").splitlines() if not x.startswith("#")]


def test_no_hash_ever_changes() -> None:
    hashes = current()
    recorded = dict(line.rsplit(" ", 1) for line in lines())
    missing = [f"{key} {value}" for key, value in hashes.items() if key not in recorded]
    if os.environ.get("SPACEDSL_UPDATE"):
        with FILE.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in missing)
        missing = []
    assert not missing, "run SPACEDSL_UPDATE=1 pytest tests/ir/test_hashes.py"
    for key, value in recorded.items():
        assert hashes.get(key) == value, f"{key} must keep its hash and its place"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_no_line_is_taken_away() -> None:
    shown = subprocess.run(
        ["git", "show", "HEAD:tests/fixtures/hashes.txt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        pytest.skip("not committed yet, or not a checkout")
    before = [line for line in shown.stdout.splitlines() if not line.startswith("#")]
    assert lines()[: len(before)] == before
