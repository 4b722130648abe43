"""timm where it is installed: with a torchvision that fits torch, or without its own operators."""

from __future__ import annotations

import importlib.util
from functools import cache

import pytest

needs_timm = [
    pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed"),
    pytest.mark.usefixtures("torchvision"),
]
"""Marks of tests that make networks of timm."""


@cache
def define_operators() -> object:
    """Declare the operators that torchvision, which timm imports, says more of when it is imported:
    where it is built for another torch it has not defined them, and cannot be imported. None is
    called here."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return None
    except RuntimeError:
        for name in ("nms", "qnms"):
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(schema)  # type: ignore[no-untyped-call]
    return library  # kept: its operators go with it
