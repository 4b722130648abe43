"""A small space that learns scikit-learn's digits in seconds: FP32, then in 8 bits."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from spacedsl.ir.space import Space
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.quant.qat import QatSupernet
from tests.runtime.parity import VNNI
from tests.runtime.support import plan_json
from tests.support import page_of

PAGE = """language 1
use "std/blocks.space"

space digits {
  input 3 x 16
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { mbv3 { kernel 3, 5  expand 2  act hswish }  width 8, 16  depth 1..2  stride 2 }
  stage2 { fused { kernel 3  expand 1, 2  act swish }  width 16, 24 }
  stage3 { bottleneck { kernel 3  expand 0.5  act relu6 }  width 24  stride 2 }
  head { pool  dropout 0.1  linear -> 10 }
}
"""
HALF = (0.5, 0.5, 0.5)
UNSEEN = 500
"""Images at the end that no training sees."""


def digits_space() -> Space:
    """The space of the page."""
    found = page_of(PAGE).get("digits")
    assert isinstance(found, Space)
    return found


def digits() -> tuple[Tensor, Tensor]:
    """Shuffled images (1797, 3, 16, 16) in -1..1, and labels."""
    data = load_digits()
    x = F.interpolate(torch.from_numpy(data.images).float()[:, None] / 16, scale_factor=2)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return (x.repeat(1, 3, 1, 1)[order] - 0.5) / 0.5, torch.from_numpy(data.target)[order]


def train(
    model: Supernet | QatSupernet, groups: Iterable[dict[str, Any]], data: Any, steps: int
) -> None:
    """Sandwich rule: the largest, the smallest and a random subnet in every step."""
    supernet = model if isinstance(model, Supernet) else model.supernet
    rng, generator = random.Random(0), torch.Generator().manual_seed(1)
    optimiser = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    x, y = data
    for _ in range(steps):
        batch = torch.randint(0, len(x), (64,), generator=generator)
        optimiser.zero_grad()
        for subnet in (supernet.largest(), supernet.smallest(), supernet.sample(rng)):
            torch.autograd.backward(F.cross_entropy(model(x[batch], subnet), y[batch]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()


def trained_supernet(space: Space, data: tuple[Tensor, Tensor]) -> QatSupernet:
    """FP32 for 60 steps, then QAT for 25."""
    torch.manual_seed(0)
    supernet = load_supernet(plan_json(space, VNNI))
    x, y = data[0][:-UNSEEN], data[1][:-UNSEEN]
    train(supernet, [{"params": list(supernet.parameters())}], (x, y), 60)
    qat = QatSupernet(supernet)
    chosen = qat.covering(random.Random(0))
    qat.start(chosen, [x[:64]] * len(chosen))
    weights = {"params": list(qat.weight_parameters()), "lr": 0.02}
    train(qat, [weights, {"params": list(qat.quantiser_parameters()), "lr": 1e-4}], (x, y), 25)
    return qat
