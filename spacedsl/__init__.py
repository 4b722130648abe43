"""Search spaces for INT8 networks as pages of text."""

from spacedsl.api import check, load, load_space, load_target, sample, score, write
from spacedsl.diagnostics import Diagnostic, SpaceError

__version__ = "0.1.0"

__all__ = [
    "Diagnostic",
    "SpaceError",
    "check",
    "load",
    "load_space",
    "load_target",
    "sample",
    "score",
    "write",
]
