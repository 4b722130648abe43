"""Search spaces for INT8 networks as pages of text."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacedsl.version import __version__

if TYPE_CHECKING:
    from spacedsl.api import check, load_target, write
    from spacedsl.diagnostics import Diagnostic, SpaceError
    from spacedsl.notebook.devices import Device, target
    from spacedsl.notebook.nets import (
        bench,
        deploy,
        export,
        open_file,
        quantise,
        register_timm,
        supernet,
    )
    from spacedsl.notebook.sampled import OfModels, Sampled, score_by
    from spacedsl.notebook.searches import BestModel, Result, best, evolve, optimum, score
    from spacedsl.notebook.training import distill, evaluate, search_models, train
    from spacedsl.notebook.values import (
        Diff,
        Model,
        Space,
        load,
        load_model,
        load_space,
        parse,
        sample,
    )
    from spacedsl.notebook.watching import Progress
    from spacedsl.search.protocols import LatencyModel, QualityModel

_HOMES = {
    "api": ("check", "load_target", "write"),
    "diagnostics": ("Diagnostic", "SpaceError"),
    "notebook.devices": ("Device", "target"),
    "notebook.nets": (
        "bench", "deploy", "export", "open_file", "quantise", "register_timm", "supernet",
    ),
    "notebook.sampled": ("OfModels", "Sampled", "score_by"),
    "notebook.searches": ("BestModel", "Result", "best", "evolve", "optimum", "score"),
    "notebook.values": (
        "Diff", "Model", "Space", "load", "load_model", "load_space", "parse", "sample",
    ),
    "notebook.training": ("distill", "evaluate", "search_models", "train"),
    "notebook.watching": ("Progress",),
    "search.protocols": ("LatencyModel", "QualityModel"),
}  # fmt: skip
"""Module -> the names that it gives."""

__all__ = [
    "BestModel",
    "Device",
    "Diagnostic",
    "Diff",
    "LatencyModel",
    "Model",
    "OfModels",
    "Progress",
    "QualityModel",
    "Result",
    "Sampled",
    "Space",
    "SpaceError",
    "__version__",
    "bench",
    "best",
    "check",
    "deploy",
    "distill",
    "evaluate",
    "evolve",
    "export",
    "load",
    "load_model",
    "load_space",
    "load_target",
    "open_file",
    "optimum",
    "parse",
    "quantise",
    "register_timm",
    "sample",
    "score",
    "score_by",
    "search_models",
    "supernet",
    "target",
    "train",
    "write",
]


def __getattr__(name: str) -> Any:
    """What the package offers, imported when it is first asked for: each command is one start."""
    for module, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"spacedsl.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names above, for completion."""
    return sorted(__all__)
