"""PyTorch has every activation of the language, and computes what its record says."""

from __future__ import annotations

import pytest
import torch

from spacedsl.operators.activations import ACTIVATIONS
from spacedsl_runtime.elastic.functional import ACTS, activate


def test_every_activation_has_its_function() -> None:
    assert list(ACTS) == list(ACTIVATIONS)


@pytest.mark.parametrize("word", ACTIVATIONS)
def test_torch_computes_the_function(word: str) -> None:
    x = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    wanted = torch.tensor([ACTIVATIONS[word].value(float(v)) for v in x], dtype=torch.float64)
    assert (activate(x, word) - wanted).abs().max() < 1e-9
