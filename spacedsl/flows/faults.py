"""Errors of the PyTorch runtime as diagnostics, and what it needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from spacedsl.diagnostics import fault
from spacedsl_runtime.errors import SpacedslError

TRAINING = ("torch", "safetensors", "PIL")
IMAGES = ("PIL",)
"""What is needed to train, and to read images."""

EXTRAS = {"PIL": "images"}
"""The extra of a package, where it is not `train`."""


@contextmanager
def runtime_faults(needs: tuple[str, ...] = TRAINING) -> Iterator[None]:
    """The runtime's errors as diagnostics; raises `SpaceError` too where a package is missing."""
    _need(needs)
    try:
        yield
    except SpacedslError as error:
        raise fault(error.code, str(error), error.help) from None


def need_training() -> None:
    """Raise `SpaceError` unless the extra `train` is installed."""
    _need(TRAINING)


def _need(packages: tuple[str, ...]) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            message = f"this needs the package {package}, which is not installed"
            extra = EXTRAS.get(package, "train")
            raise fault("missing-extra", message, f"pip install 'spacedsl[{extra}]'")
