"""What the README shows is what its commands do, to the letter."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.M | re.S)
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]


def spacedsl(line: str, folder: Path) -> str:
    """Run a `spacedsl ...` line of the README; what it prints, without trailing blanks."""
    words = line.split()
    result = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=folder, check=False
    )
    assert result.returncode in (0, 1), result.stderr
    return "\n".join(row.rstrip() for row in result.stdout.splitlines()).strip("\n") + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which the README's paths work."""
    found = tmp_path_factory.mktemp("readme")
    (found / "spaces").symlink_to(ROOT / "spaces")
    return found


@pytest.mark.slow
def test_the_search_and_the_diff_are_as_printed(folder: Path) -> None:
    search, diff = COMMANDS[1:3]
    texts = [text.lstrip("\n") for _, text in BLOCKS]
    printed = spacedsl(search, folder)
    assert printed in texts
    row = r"^\| (\d+) ms \| \**([\d.]+).* \| ([\d.]+) .* \| ([\d.]+)"
    promised = re.findall(row, README, re.M)
    assert len(promised) == 3
    for limit, *shares in promised:
        found = re.findall(rf"\b{limit} ms +([\d.]+)", printed)
        assert [f"{float(share):.1f}" for share in found] == shares
    assert (folder / "found.space").read_text() in texts
    assert spacedsl(diff, folder) in texts


def test_the_first_command_installs_what_it_needs_and_searches_for_this_machine() -> None:
    install, search = COMMANDS[0].split(" && ")
    assert install == "pip install -c constraints.txt -e '.[cpu]'"
    assert search.startswith("spacedsl evolve --hyper spaces/hyper.space --target cpu ")


def test_the_page_shown_is_canonical_and_checks(folder: Path) -> None:
    page = folder / "small.space"
    page.write_text(next(text for _, text in BLOCKS if text.startswith("language 1\nuse")))
    assert spacedsl(f"spacedsl check {page.name}", folder).startswith("small.space: ok")
    assert spacedsl(f"spacedsl fmt --check {page.name}", folder) == "\n"


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
