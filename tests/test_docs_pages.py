"""What docs say of the code stays true, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)


def test_the_architecture_names_every_folder_once() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "spacedsl").glob("*/__init__.py")}
    assert sorted(named) == sorted(folders)


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for name in re.findall(r"`(\w+/\w+\.py)`", text):
        assert (ROOT / "spacedsl" / name).is_file() or (ROOT / name).is_file(), name


def test_the_glossary_is_in_order() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    words = [w.casefold() for w in re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)]
    assert words == sorted(words)
    known = {w.split(",")[0].split(" (")[0] for w in words} | {"search space", "distillation"}
    for word in re.findall(r"(?<!\*)\*(\w[\w -]*)\*(?!\*)", text.split("\n\n", 2)[2]):
        assert any(word.casefold().startswith(k) for k in known), word


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    bare = (re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)
    return set(bare)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target
