"""One torch thread per test process (the processes share two cores), and shapes that are checked:
jaxtyping's annotations of the runtime hold in every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
from jaxtyping import config, install_import_hook

torch.set_num_threads(1)
if "spacedsl_runtime.elastic" in sys.modules:
    raise RuntimeError("the runtime was imported before its shapes could be checked")
install_import_hook("spacedsl_runtime", "beartype.beartype")


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """No checks of shapes: torch.compile cannot trace them."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
