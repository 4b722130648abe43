"""spacedsl git, in real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")

PAGE = """language 1

# A space of the tiny hyperspace.
space s of tiny {
  stage1 { fused  width 8, 16 }
  stage2 { mbv2  width 24, 32 }
  stage3 { mbv2  width 40, 48 }
}
"""


class Repository:
    """A fresh repository with `git` set up, and one committed page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = folder / "pages" / "s.space"
        self.page.parent.mkdir()
        self.git("init", "-q", "-b", "main")
        self.spacedsl("git", "install")
        self.commit(PAGE)

    def run(self, *command: str, code: int = 0) -> str:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull}
        for who in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{who}_NAME": "n", f"GIT_{who}_EMAIL": "n@example.org"}
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def git(self, *args: str, code: int = 0) -> str:
        return self.run("git", *args, code=code)

    def spacedsl(self, *args: str) -> str:
        return self.run(sys.executable, "-m", "spacedsl", *args)

    def commit(self, text: str) -> None:
        self.page.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def branches(self, ours: str, theirs: str) -> None:
        """`main` with `ours`, `other` with `theirs`, both from the page."""
        self.git("checkout", "-qb", "other")
        self.commit(theirs)
        self.git("checkout", "-q", "main")
        self.commit(ours)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_edits_of_neighbouring_stages_merge(repository: Repository) -> None:
    ours = PAGE.replace("8, 16", "16, 24").replace("tiny hyperspace", "smallest hyperspace")
    theirs = PAGE.replace("24, 32", "32, 40").replace("mbv2  width 40, 48", "fused  width 40, 48")
    repository.branches(ours, theirs)
    repository.git("merge", "-q", "other")
    expected = ours.replace("24, 32", "32, 40").replace("mbv2  width 40", "fused  width 40")
    assert repository.page.read_text() == expected
    repository.spacedsl("check", str(repository.page))


def test_edits_of_one_stage_conflict(repository: Repository) -> None:
    repository.branches(
        PAGE.replace("8, 16", "16, 24"), PAGE.replace("fused  width 8", "mbv2  width 8")
    )
    repository.git("merge", "-q", "other", code=1)
    text = repository.page.read_text()
    assert "<<<<<<< ours\n  stage1 { fused  width 16, 24 }\n" in text
    assert text.count("<<<<<<<") == 1


def test_items_added_on_both_sides_merge(repository: Repository) -> None:
    block = "\nblock {}(kernel) {{\n  conv kernel\n}}\n"
    repository.branches(
        PAGE + block.format("a"),
        PAGE.replace("  stage3 { mbv2  width 40, 48 }\n", "") + block.format("b"),
    )
    repository.git("merge", "-q", "other")
    text = repository.page.read_text()
    assert "block a(" in text
    assert "block b(" in text
    assert "stage3" not in text


def test_a_broken_page_merges_as_text(repository: Repository) -> None:
    repository.branches(PAGE.replace("8, 16 }", "8, 16"), PAGE.replace("40, 48", "32, 40"))
    repository.git("merge", "-q", "other")
    assert "8, 16\n" in repository.page.read_text()
    assert "32, 40" in repository.page.read_text()


def test_the_diff_shows_meaning(repository: Repository) -> None:
    spread = PAGE.replace(
        "stage1 { fused  width 8, 16 }", "stage1   {\n# note\nfused width 16, 8 }"
    )
    repository.page.write_text(spread)
    assert repository.git("diff", "-U0") == ""
    repository.page.write_text(PAGE.replace("40, 48", "32, 40"))
    shown = repository.git("diff", "-U0")
    assert "@@ space s" in shown
    assert (
        "-  elastic stage3 { mbv2 { kernel 3, 5  expand 2, 4 }  width 40, 48  depth 1, 2 }" in shown
    )


UNREADABLE = {
    "syntax": b"language 1\n\nspace s of tiny {{{\n  stage1 9 {\n",
    "meaning": b"language 1\n\nspace s of nowhere {\n  stage1 { other }\n}\n",
    "not-text": b"language 1\n\xff\xfe\n",
    "too-large": b"language 1\n" + b"# filler\n" * 200_000,
    "empty": b"",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_the_diff_of_a_page_that_cannot_be_read_is_its_text(
    repository: Repository, name: str
) -> None:
    repository.page.write_bytes(UNREADABLE[name])
    done = subprocess.run(
        ["git", "diff"], cwd=repository.folder, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\n-space s {" in done.stdout  # the flat page that was there
    shown = [line[1:] for line in done.stdout.split(b"\n") if line[:1] in (b"+", b" ")]
    for line in filter(None, UNREADABLE[name].split(b"\n")[:3]):
        assert line in shown
    repository.git("add", "-A")
    repository.git("commit", "-qm", "broken")


def test_the_diff_survives_the_end_of_spacedsl(repository: Repository) -> None:
    key = "diff.space.textconv"
    command = repository.git("config", "--local", key).strip()
    repository.git("config", "--local", key, command.replace(sys.executable, "/gone/python"))
    repository.page.write_text(PAGE.replace("8, 16", "16, 24"))
    assert "+  stage1 { fused  width 16, 24 }" in repository.git("diff")


ENDS = {
    "no Python": None,
    "no spacedsl": "#!/bin/sh\necho 'No module named spacedsl' >&2\nexit 1\n",
    "killed": "#!/bin/sh\nkill -9 $$\n",
    "a defect": "#!/bin/sh\nexit 2\n",
}
"""What may stand where the environment's Python stood."""


@pytest.mark.parametrize("end", ENDS)
def test_the_merge_survives_the_end_of_spacedsl(repository: Repository, end: str) -> None:
    """Markers, or a merge: never one side alone."""
    program, key = repository.folder / "python", "merge.space.driver"
    if ENDS[end] is not None:
        program.write_text(ENDS[end] or "")
        program.chmod(0o755)
    command = repository.git("config", "--local", key).strip()
    repository.git("config", "--local", key, command.replace(sys.executable, str(program)))
    repository.git("config", "--local", "core.excludesFile", "/dev/null")
    repository.branches(PAGE.replace("8, 16", "16, 24"), PAGE.replace("8, 16", "24, 32"))
    repository.git("merge", "-q", "other", code=1)
    text = repository.page.read_text()
    assert text.index("<<<<<<<") < text.index("16, 24") < text.index("24, 32")
    assert repository.git("diff", "--name-only", "--diff-filter=U") == "pages/s.space\n"
    repository.git("reset", "-q", "--hard")
    repository.git("checkout", "-q", "-b", "third", "other~1")
    repository.commit(PAGE.replace("40, 48", "32, 40"))
    repository.git("merge", "-q", "other")
    assert "24, 32" in repository.page.read_text()
    assert "32, 40" in repository.page.read_text()


def test_a_swap_and_an_edit_of_a_space_of_its_own(repository: Repository) -> None:
    base = """language 1

space s {
  input 3 x 32
  stem { conv 3x3  width 8 }
  one { conv 3x3  width 8 }
  two { conv 1x1  width 8 }
  three { conv 3x3  width 8 }
  head { pool  linear -> 10 }
}
"""
    one, two = "  one { conv 3x3  width 8 }\n", "  two { conv 1x1  width 8 }\n"
    swapped = base.replace(one + two, two + one)
    repository.commit(base)
    repository.branches(base.replace("three { conv 3x3", "three { conv 5x5"), swapped)
    repository.git("merge", "-q", "other")
    expected = swapped.replace("three { conv 3x3", "three { conv 5x5")
    assert repository.page.read_text() == expected


def test_uninstall_leaves_nothing(repository: Repository) -> None:
    repository.spacedsl("git", "uninstall")
    assert "space" not in repository.git("config", "--local", "--list")
    assert (repository.folder / ".git" / "info" / "attributes").read_text() == ""
    repository.spacedsl("git", "uninstall")
