"""What is not a member of what it is `of`: where, why, and where that was said."""

from __future__ import annotations

from spacedsl.diagnostics import Diagnostic, Label, Place
from spacedsl.ir.covers import Mismatch
from spacedsl.lang.origin import origin
from spacedsl.lang.scope import Scope
from spacedsl.syntax.tree import Token

SAID = {
    "input": "the resolutions are here",
    "block": "the blocks are here",
    "stride": "the stride is here",
    "shared": "what is shared is here",
    "taps": "the taps are here",
}


def not_a_member(found: Mismatch, parent: str, of: Token, at: Place, scope: Scope) -> Diagnostic:
    """The error at `at`; `of` names the parent, whose page is shown too."""
    prefix = f"{found.stage}: " if found.stage else ""
    message = f"not a member of {parent}: {prefix}{found.reason}"
    label = _label(found, of, scope)
    return Diagnostic("not-a-member", message, at, labels=(label,) if label else ())


def _label(found: Mismatch, of: Token, scope: Scope) -> Label | None:
    holder = next(iter(scope.holders(of.text, "space")), None)
    if holder is None:
        return None
    key = "window" if "window" in found.reason and found.key == "width" else found.key
    positions = [i for i, s in enumerate(found.witness.of.stages) if s.name == found.stage]
    block = found.witness.choice(positions[0]).block.name if positions else ""
    elastic = bool(positions) and found.witness.of.stages[positions[0]].elastic
    said = origin(holder, of.text, found.stage, key, block, elastic=elastic)
    if said is None:
        return None
    return Label(
        said.place, SAID.get(key, f"the {key} is here" if key == "window" else "the list is here")
    )
