"""Search spaces for INT8 networks as pages of text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacedsl.version import __version__

if TYPE_CHECKING:
    from spacedsl.api import check, load, load_space, load_target, sample, score, write
    from spacedsl.diagnostics import Diagnostic, SpaceError

__all__ = [
    "Diagnostic",
    "SpaceError",
    "__version__",
    "check",
    "load",
    "load_space",
    "load_target",
    "sample",
    "score",
    "write",
]


def __getattr__(name: str) -> Any:
    """What the package offers, imported when it is first asked for: each command is one start."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "diagnostics" if name in ("Diagnostic", "SpaceError") else "api"
    found = globals()[name] = getattr(import_module(f"spacedsl.{module}"), name)
    return found
