"""Errors of the PyTorch runtime as diagnostics, and what it needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from spacedsl.diagnostics import fault
from spacedsl_runtime.errors import SpacedslError

TRAINING = ("torch", "safetensors", "PIL")


@contextmanager
def runtime_faults() -> Iterator[None]:
    """The runtime's errors as diagnostics; raises `SpaceError` too where PyTorch is missing."""
    need_training()
    try:
        yield
    except SpacedslError as error:
        raise fault(error.code, str(error), error.help) from None


def need_training() -> None:
    """Raise `SpaceError` unless the extra `train` is installed."""
    for package in TRAINING:
        if importlib.util.find_spec(package) is None:
            message = f"this needs the package {package}, which is not installed"
            raise fault("missing-extra", message, "pip install 'spacedsl[train]'")
