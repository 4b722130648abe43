"""The site builds without a warning, and what is generated in docs/ is what would be now."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

from tests.report.browser import browser, needs_browser
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


@pytest.mark.slow
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


needs_mkdocs = pytest.mark.skipif(
    not WANTED and importlib.util.find_spec("material") is None, reason="no mkdocs-material"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return folder


@needs_mkdocs
def test_the_site_builds_without_a_warning(site: Path) -> None:
    def shown(page: str) -> str:
        return (site / page / "index.html").read_text(encoding="utf-8")

    for page in ("", "commands", "error-index", "gallery", "howto/ci-gate"):
        assert (site / page / "index.html").is_file(), page
    assert "spacedsl train" in shown("commands")
    assert "bad-range" in shown("error-index")
    assert "shapes.space</span>" in shown("tutorial")
    assert '<ol start="2">' in shown("howto/android")


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The address of the site on this machine."""
    handler = partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


SEARCH = """
new Promise((done) => {
  const asked = document.querySelector(".md-search__input");
  const found = () => [...document.querySelectorAll(".md-search-result__link")];
  document.querySelector("label[for=__search]").click();
  asked.focus();
  asked.value = "too-slow";
  asked.dispatchEvent(new Event("input", { bubbles: true }));
  asked.dispatchEvent(new Event("keyup", { bubbles: true }));
  const wait = () => found().length ? done(found()[0].pathname) : setTimeout(wait, 50);
  wait();
})
"""
"""Types an error's code into the search, and waits for the first page that is found."""


@needs_mkdocs
@needs_browser
def test_pages_are_whole_in_a_browser_and_found_by_the_search(served: str, tmp_path: Path) -> None:
    """In light and dark, on a phone too; nothing is loaded from elsewhere."""
    with browser(tmp_path) as chromium:
        shades = set()
        for page, width in (("", 1280), ("howto/android/", 390)):
            for dark in (False, True):
                chromium.go(served + page, width, dark=dark)
                assert chromium.said == []
                elsewhere = [u for u in chromium.asked if not u.startswith((served, "data:"))]
                assert elsewhere == []
                assert chromium.value("document.documentElement.scrollWidth") <= width
                shades.add((dark, chromium.value("getComputedStyle(document.body).color")))
        assert len(shades) == 2
        assert chromium.value(SEARCH) == "/errors/too-slow/"
        assert chromium.said == []
