"""docs/reference.md is of the language. SPACEDSL_UPDATE=1 writes it."""

from __future__ import annotations

import os

from spacedsl.lang.blocks import SHORTCUTS
from spacedsl.lang.explanations import explained
from spacedsl.lang.reference import EXAMPLE, SHORTCUT_MEANINGS, all_words, reference_text
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.words import keywords, units
from tests.support import ROOT

PATH = ROOT / "docs" / "reference.md"


def test_the_file_is_what_is_generated() -> None:
    if os.environ.get("SPACEDSL_UPDATE"):
        PATH.write_text(reference_text(), encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == reference_text(), "run SPACEDSL_UPDATE=1 pytest"


def test_nothing_of_the_language_is_left_out() -> None:
    assert set(keywords().values()) <= all_words()
    assert set(SHORTCUT_MEANINGS) == set(SHORTCUTS)
    text = reference_text()
    for word in (*ACTIVATIONS, *units()):
        assert f"`{word}`" in text
    for code in explained():
        assert f"(errors/{code}.md)" in text


def test_the_example_has_every_kind_of_item() -> None:
    for word in ("block", "hyperspace", "space", "model", "target"):
        assert f"\n{word} " in EXAMPLE
