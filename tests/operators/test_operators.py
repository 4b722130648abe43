"""The operators' records, and the list of files that an operator takes."""

from __future__ import annotations

from spacedsl.ir.block import WINDOWED
from spacedsl.operators.operators import FLAGS, IN_BODIES
from tests.support import ROOT

LATENCY = {"prior.py", "features.py", "nn_meter_words.py"}
"""Files that name latency kernels, some of which are called as their operators are. What reads
networks of others, in `foreign`, has words of its own."""


def test_contributing_lists_every_file_that_names_an_operator() -> None:
    """Read off an operator without weights."""
    recipe = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("**An operator.**")[2]
    for folder in ("spacedsl", "runtime"):
        for path in (ROOT / folder).rglob("*.py"):
            named = '"maxpool"' in path.read_text(encoding="utf-8")
            if named and path.name not in LATENCY and path.parent.name != "foreign":
                assert f"({path.relative_to(ROOT)})" in recipe


def test_flags_are_fields_of_their_operators() -> None:
    said = {flag for op in IN_BODIES.values() for flag in op.flags}
    assert said == set(FLAGS)
    for word, op in WINDOWED.items():
        for flag in IN_BODIES[word].flags:
            assert FLAGS[flag].field in op.model_fields
