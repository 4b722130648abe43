"""What a few images tell of a whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spacedsl_runtime.measure import few
from spacedsl_runtime.measure.few import held, of_few


def test_memory_grows_with_the_maps_that_a_step_holds_and_not_with_the_weights() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Conv2d(8, 4, 1))
    image, hidden = 4 * 3 * 10 * 10, 4 * 8 * 10 * 10
    with held(2) as found:
        for _ in range(3):  # passes one after the other hold no more than one
            net(torch.rand(2, 3, 10, 10)).sum().backward()
    assert found.most == 2 * (image + hidden)
    assert found.more(64) == 62 * (image + hidden)
    assert found.more(2) == 0


@pytest.mark.parametrize(
    ("long_s", "batch", "asked"),
    [
        (9.0, 512, [2, 16, 128]),
        (9.0, 64, [2, 16, 64]),
        (0.0, 64, [2]),
        (9.0, 2, [2]),
        (9.0, 1, [1]),
    ],
)
def test_more_images_are_measured_where_a_few_take_no_time(
    long_s: float, batch: int, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few, "LONG_S", long_s)
    seen: list[int] = []

    def measure(images: int) -> int:
        seen.append(images)
        return images

    assert of_few(measure, batch, torch.device("cpu")) == asked[-1]
    assert seen == asked
