"""What pages cannot say of an imported network, and weights that are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.read import read_network
from spacedsl_runtime.foreign.timm_models import read_tensors
from tests.cli.test_commands import run
from tests.runtime.foreign_networks import Around


def doubled(x: Tensor) -> Tensor:
    return torch.cat([x[:, :4], x[:, 4:]], 1)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Around(doubled), "Around: a concat joins paths from one tensor"),
        (Around(lambda x: torch.cat([F.relu(x[:, :2]), x[:, 2:]], 1)), "a split is in equal parts"),
        (Around(lambda x: x * 2), "Around: arithmetic with constants"),
        (Around(lambda x: x * x.mean((2, 3), keepdim=True)), "of products the language has"),
        (Around(torch.tanh), "`tanh` has no counterpart"),
        (Around(lambda x: x, nn.LayerNorm([8, 32, 32])), r"inner \(LayerNorm\): layer norm has no"),
        (Around(lambda x: x, nn.GroupNorm(2, 8)), "group norm has no integer kernels"),
        (
            Around(lambda x: x, nn.Conv2d(8, 8, 3, 1, 2)),
            r"inner \(Conv2d\): .* is padded by 1 before",
        ),
        (Around(lambda x: x, nn.Conv2d(8, 8, 33, 1, 16)), "a kernel of 33 is larger than 31"),
        (Around(lambda x: x, nn.AvgPool2d(3, 1, 1)), "does not count what is padded"),
        (Around(lambda x: x, nn.MaxPool2d(2, 2, 1)), "a maxpool of 2x2 pads 0 and 0, or nothing"),
        (Around(lambda x: x, nn.MaxPool2d(3, 2, ceil_mode=True)), "`ceil_mode` pads the end alone"),
        (Around(lambda x: x if x.sum() > 0 else -x), "cannot be followed"),
    ],
)
def test_what_cannot_be_said_is_named(network: nn.Module, message: str) -> None:
    with pytest.raises(ForeignError, match=message):
        read_network(network, "net", (3, 32))


def test_other_turns_of_axes_are_named() -> None:
    turned = Around(lambda x: x.view(1, 2, 4, 32, 32).permute(0, 1, 2, 4, 3).reshape(1, 8, 32, 32))
    with pytest.raises(ForeignError, match="`view` has no counterpart"):
        read_network(turned, "net", (3, 32))


@pytest.mark.parametrize("name", ["space", "a b", "1st", "a-", ""])
def test_a_model_has_a_name_that_pages_can_say(name: str, tmp_path: Path) -> None:
    done = run("import", "timm:lcnet_050", "--out", str(tmp_path / "a.space"), "--name", name)
    assert done.exit_code == 2
    assert f"--name {name!r} cannot be a name" in done.output


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return print, ("pickles are run",)


def test_pickles_are_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": {}, "args": Harmful()}, file)
    with pytest.raises(ForeignError, match="holds other objects than tensors"):
        read_tensors(file)
    assert "pickles are run" not in capsys.readouterr().out
    torch.save({"a": 1}, file)
    with pytest.raises(ForeignError, match="holds no tensors by name"):
        read_tensors(file)
    torch.save({"a": torch.tensor([float("nan")])}, file)
    with pytest.raises(ForeignError, match="a has values that are no finite numbers"):
        read_tensors(file)
