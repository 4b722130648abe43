"""The site builds without a warning, and what is generated in docs/ is what would be now."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import ROOT

DOCS = ROOT / "docs"
WANTED = os.environ.get("SPACEDSL_REQUIRE_SITE")


def script(name: str) -> ModuleType:
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_gallery_is_current() -> None:
    found = script("gallery").gallery()
    if os.environ.get("SPACEDSL_UPDATE"):
        (DOCS / "gallery.md").write_text(found, encoding="utf-8")
    assert (DOCS / "gallery.md").read_text(encoding="utf-8") == found
    pages = {p.stem for p in (ROOT / "spaces").rglob("*.space")}
    without_size = {p.stem for d in ("std", "targets") for p in (ROOT / "spaces" / d).iterdir()}
    shown = set(re.findall(r"spaces/(?:\w+/)?([\w-]+)\.space", found))
    assert shown >= pages - without_size - shown


def test_pictures_are_current_and_used() -> None:
    drawn = script("pictures").PICTURES
    assert {p.stem for p in (DOCS / "pictures").glob("*.svg")} == set(drawn)
    texts = "".join(p.read_text(encoding="utf-8") for p in DOCS.glob("*.md"))
    for name, draw in drawn.items():
        text = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert text == draw()
        assert ET.fromstring(text).tag.endswith("svg")
        assert f"(pictures/{name}.svg)" in texts


def test_links_are_rewritten_for_the_site() -> None:
    rewritten = script("docs_site").rewritten
    page = DOCS / "howto" / "this-pc.md"
    assert rewritten("[a](../targets.md#x)", page) == "[a](../targets.md#x)"
    assert rewritten("[a](../../README.md)", page) == "[a](../repository/README.md)"
    assert rewritten("[a](../../docs/errors)", page) == "a"
    assert rewritten("`[a](../../README.md)`", page) == "`[a](../../README.md)`"
    assert rewritten("```space s.space\n```", page) == '```space title="s.space"\n```'
    readme = ROOT / "README.md"
    assert rewritten("[a](docs/targets.md)", readme) == "[a](../targets.md)"


@pytest.mark.skipif(
    not WANTED and importlib.util.find_spec("material") is None, reason="no mkdocs-material"
)
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    for page in ("", "commands", "error-index", "gallery", "howto/ci-gate"):
        assert (tmp_path / page / "index.html").is_file(), page
    assert "spacedsl train" in (tmp_path / "commands" / "index.html").read_text(encoding="utf-8")
    assert "bad-range" in (tmp_path / "error-index" / "index.html").read_text(encoding="utf-8")
    listing = (tmp_path / "tutorial" / "index.html").read_text(encoding="utf-8")
    assert "shapes.space</span>" in listing
