"""The package timm, which may be missing, or not fit the torch that is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from spacedsl_runtime.errors import SpacedslError


def timm_package(what: str, error: Callable[[str, str | None], SpacedslError]) -> Any:
    """The module `timm`, which `what` needs. Raises `error`."""
    try:
        return importlib.import_module("timm")
    except ImportError as found:
        raise error(f"{what} needs timm: {found}", "pip install 'spacedsl[timm]'") from None
    except RuntimeError as found:
        help = (
            "install the build of torchvision that goes with torch: both for CPU, or both for CUDA"
        )
        raise error(f"timm cannot be imported: {reason(found)}", help) from None


def reason(error: Exception) -> str:
    """The first line of an error, or its class."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
