"""timm's networks as teachers: the same weights give the maps of our own EfficientNet-Lite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from spacedsl_runtime.distill.efficientnet_lite import MEAN, STD, load_lite, weights_path
from spacedsl_runtime.distill.teacher import StageStride, cut
from spacedsl_runtime.distill.teachers import open_teacher
from spacedsl_runtime.errors import TeacherError
from tests.runtime.test_teachers import some_digits
from tests.with_timm import needs_timm

pytestmark = needs_timm

RENAMED = (
    (r"^_conv_", "conv_"),
    (r"^_fc\.", "classifier."),
    (r"^_bn0\.", "bn1."),
    (r"^_bn1\.", "bn2."),
)
FIRST = ("conv_dw", "bn1", "conv_pw", "bn2")
"""In timm's first block, which has no expansion."""
OTHERS = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
DEPTHS = (1, 2, 2, 3, 3, 4, 1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lite0's weights under timm's names."""
    found = torch.load(weights_path("lite0"), map_location="cpu", weights_only=True)
    path = tmp_path_factory.mktemp("timm") / "lite0.safetensors"
    save_file({renamed(key): tensor.contiguous() for key, tensor in found.items()}, path)
    return path


def renamed(key: str) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\._(\w+?)\.(\w+)", key)
    if block is None:
        for pattern, name in RENAMED:
            key = re.sub(pattern, name, key)
        return key
    stage, place = 0, int(block[1])
    while place >= DEPTHS[stage]:
        place -= DEPTHS[stage]
        stage += 1
    ours = ("expand_conv", "bn0", "depthwise_conv", "bn1", "project_conv", "bn2")
    names = zip(ours[2:], FIRST, strict=True) if stage == 0 else zip(ours, OTHERS, strict=True)
    return f"blocks.{stage}.{place}.{dict(names)[block[2]]}.{block[3]}"


def test_lite0_of_timm_gives_the_maps_of_ours(weights: Path) -> None:
    theirs = open_teacher(f"timm:tf_efficientnet_lite0:{weights}", some_digits)
    ours = load_lite("lite0")
    x = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        expected = ours.features(x)[1:]
    found = theirs.features(x)
    assert [b.stride for b in theirs.boundaries] == [2, 4, 8, 16, 16, 32, 32]
    assert [b.width for b in theirs.boundaries] == [m.shape[1] for m in expected]
    for mine, its in zip(expected, found, strict=True):
        assert torch.allclose(mine, its, atol=2e-4)
    assert theirs.channels == len(MEAN) == len(STD)
    parts = [
        StageStride("stem", 2, False),
        StageStride("stage0", 2, False),
        StageStride("stage1", 4, True),
    ]
    parts += [
        StageStride("stage2", 8, True),
        StageStride("stage3", 16, True),
        StageStride("stage4", 16, True),
    ]
    parts += [StageStride("stage5", 32, True), StageStride("stage6", 32, True)]
    places = cut(parts, theirs)
    assert [places[f"stage{i}"] for i in range(1, 7)] == [(i - 1, i) for i in range(1, 7)]


def test_blocks_are_boundaries_where_stages_stand_alone() -> None:
    from spacedsl_runtime.distill.timm_teacher import TimmNetwork

    timm = pytest.importorskip("timm")
    found = TimmNetwork(timm.create_model("resnet18", pretrained=False))
    assert found.strides == (2, 4, 4, 8, 8, 16, 16, 32, 32)
    assert found.widths == (64, 64, 64, 128, 128, 256, 256, 512, 512)


def test_what_timm_cannot_give_is_said(weights: Path, tmp_path: Path) -> None:
    def refused(spec: str, message: str) -> None:
        with pytest.raises(TeacherError, match=message):
            open_teacher(spec, some_digits)

    refused("timm:nonesuch", "timm gives no nonesuch")
    refused(f"timm:resnet18:{weights}", "holds no weights of resnet18")
    refused(f"timm:resnet18:{tmp_path / 'none'}", "holds no weights of resnet18")
    (tmp_path / "cut").write_bytes(weights.read_bytes()[:1000])
    refused(f"timm:resnet18:{tmp_path / 'cut'}", "holds no weights of resnet18")
