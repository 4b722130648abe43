"""One torch thread per test process: the processes share two cores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from jaxtyping import config

torch.set_num_threads(1)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """No checks of shapes: torch.compile cannot trace them."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
