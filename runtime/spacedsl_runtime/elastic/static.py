"""Programs as plain modules: `nn.Conv2d`, `nn.BatchNorm2d` and friends, nothing elastic."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from spacedsl.operators.size import Size, pair, size_of
from spacedsl.operators.window import Window
from spacedsl.passes.bound import Beside, Concat, TopDown, last_layer
from spacedsl.passes.program import Joined, Layer, Program, se_layers
from spacedsl_runtime.elastic.functional import (
    activate,
    gated,
    pool2d,
    shuffled,
    space_to_depth,
    upsampled,
    wholly_padded,
)
from spacedsl_runtime.elastic.interpreter import top_down
from spacedsl_runtime.elastic.modules import (
    EPSILON,
    MOMENTUM,
    ElasticConv,
    ElasticLinear,
    ElasticNorm,
    ElasticSe,
)
from spacedsl_runtime.elastic.reparam import ReparamConv, fold, norm_arrays

M = TypeVar("M", bound=nn.Module)

Maps = dict[str, Tensor]
"""The taps of a network without a head by name, (N, C, H, W) each."""

WeightsAt = Callable[[Layer], nn.Module]


class Activation(nn.Module):
    """An activation by its name in the language."""

    def __init__(self, act: str) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, kept."""
        return activate(x, self.act)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return self.act


class Pool(nn.Module):
    """Max or average pooling."""

    def __init__(self, kind: str, window: Window) -> None:
        super().__init__()
        self.kind, self.window = kind, window

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return pool2d(x, self.kind, self.window)


class Pad(nn.Module):
    """Zeros around a map, for a window that is not padded on both sides alike."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return wholly_padded(x, self.window)


class SpaceToDepth(nn.Module):
    """Blocks of pixels as channels."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, b b C, H / b, W / b)."""
        return space_to_depth(x, self.block)


class Reparam(nn.Module):
    """A convolution as the sum that it is trained as: convolutions, the largest kernel first, with
    a norm each, and where there is an `identity` the norm of the input."""

    def __init__(
        self, summands: list[tuple[nn.Conv2d, nn.BatchNorm2d]], identity: nn.BatchNorm2d | None
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv for conv, _ in summands)
        self.norms = nn.ModuleList(norm for _, norm in summands)
        self.identity = identity

    @property
    def summands(self) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
        """The convolutions, each with its norm."""
        return list(zip(self.convs, self.norms, strict=True))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, cin, H, W) -> (N, cout, H', W')."""
        made: list[Tensor] = [] if self.identity is None else [self.identity(x)]
        made += [norm(conv(x)) for conv, norm in self.summands]
        return sum(made[1:], made[0])

    def arrays(self) -> dict[str, Tensor]:
        """Its weights by the names of `weights.trained_weights`."""
        found: dict[str, Tensor] = {}
        for i, (conv, norm) in enumerate(self.summands):
            found |= {f"weight.{i}": conv.weight.detach()} | norm_arrays(norm, f".{i}")
        return found if self.identity is None else found | norm_arrays(self.identity, ".identity")

    def folded(self) -> nn.Conv2d:
        """The one convolution that computes the same in evaluation."""
        pairs = self.summands
        found = fold([(conv.weight.detach(), norm) for conv, norm in pairs], self.identity)
        like, _ = pairs[0]
        size = like.in_channels, like.out_channels, like.kernel_size, like.stride, like.padding
        conv = nn.Conv2d(*size, groups=like.groups).to(like.weight)  # type: ignore[arg-type]
        _copy(conv.weight, found.weight)
        _copy(cast(Tensor, conv.bias), found.bias)
        return conv


def folded(network: M) -> M:
    """An extracted FP32 network with one convolution for every sum that is trained as such, in
    place; the same outputs in evaluation. It is what is deployed."""
    for name, module in list(network.named_modules()):
        if isinstance(module, Reparam):
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, module.folded())
    return network


class Sum(nn.Module):
    """A residual: main path plus shortcut."""

    def __init__(self, main: nn.Module, shortcut: nn.Module, act: str | None) -> None:
        super().__init__()
        self.main, self.shortcut, self.act = main, shortcut, act

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        return activate(self.main(x) + self.shortcut(x), self.act)


class Concatenation(nn.Module):
    """Paths that read the same map, their channels one behind the other."""

    def __init__(self, paths: Sequence[nn.Module], act: str | None) -> None:
        super().__init__()
        self.paths, self.act = nn.ModuleList(paths), act

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        return activate(torch.cat([path(x) for path in self.paths], dim=1), self.act)


class Slice(nn.Module):
    """Some channels, from the one at `start` on."""

    def __init__(self, start: int, channels: int) -> None:
        super().__init__()
        self.start, self.channels = start, channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, H, W)."""
        return x.narrow(1, self.start, self.channels)


class Shuffle(nn.Module):
    """The first channel of every group, then the second of every one, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return shuffled(x, self.groups)


class SqueezeExcite(nn.Module):
    """x times a gate computed from its global average."""

    def __init__(self, squeeze: nn.Module, excite: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze, self.excite = squeeze, excite

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return gated(x, self.excite(self.squeeze(self.pool(x))))


class Upsample(nn.Module):
    """Every pixel as several."""

    def __init__(self, times: Size) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return upsampled(x, self.times)


class Neck(nn.Module):
    """A pyramid: the convolutions of its levels, and those that make its outputs."""

    def __init__(
        self, laterals: Sequence[Layer], pyramid: TopDown[Layer], weights_at: WeightsAt
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        layers = [*laterals, *(layer for level in pyramid.levels for layer in level)]
        self.layers = nn.ModuleDict(
            {_module_name(e): _layer(e, weights_at) for e in layers if e.kind != "add"}
        )
        self.laterals = [_module_name(layer) for layer in laterals]

    def forward(self, maps: Maps) -> Maps:
        """(N, C, H, W) each, to as many of one width."""
        made = [self.layers[n](x) for n, x in zip(self.laterals, maps.values(), strict=True)]

        def apply(layer: Layer, x: Tensor) -> Tensor:
            found: Tensor = self.layers[_module_name(layer)](x)
            return found

        return dict(zip(maps, top_down(self.pyramid, made, apply), strict=True))


class Backbone(nn.Module):
    """A network without a head, in parts that each end in one of its outputs, or in a map that its
    pyramid reads."""

    def __init__(self, parts: Mapping[str, nn.Module], neck: Neck | None = None) -> None:
        super().__init__()
        self.parts, self.neck = nn.ModuleDict(parts), neck

    def forward(self, x: Tensor) -> Maps:
        """(N, channels, R, R) -> its taps by name, (N, C, H, W) each."""
        found: Maps = {}
        for name, part in self.parts.items():
            x = found[name] = part(x)
        if self.neck is not None:
            found = self.neck(found)
        return found


def build_static(program: Program, weights_at: WeightsAt) -> nn.Sequential:
    """Plain modules that do what the program does, its pyramid left out, with copies of its
    weights."""
    steps: list[tuple[str, nn.Module]] = []
    for i, step in enumerate(program):
        if isinstance(step, Beside | TopDown):
            continue
        name = _module_name(last_layer(step)) or str(i)
        made = _layer(step, weights_at) if isinstance(step, Layer) else _joined(step, weights_at)
        steps.append((name, made))
    return nn.Sequential(OrderedDict(steps))


def _module_name(layer: Layer) -> str:
    return layer.name.replace(".", "_")


def _joined(step: Joined, weights_at: WeightsAt) -> nn.Module:
    paths = [build_static(branch, weights_at) for branch in step.branches]
    if isinstance(step, Concat):
        return Concatenation(paths, step.join.act)
    main, shortcut = paths
    return Sum(main, shortcut, step.join.act)


def _layer(layer: Layer, weights_at: WeightsAt) -> nn.Module:
    match layer.kind:
        case "pool":
            return nn.AdaptiveAvgPool2d(1)
        case "maxpool" | "avgpool":
            return Pool(layer.kind, layer.window)
        case "space-to-depth":
            return SpaceToDepth(pair(layer.kernel)[0])
        case "dropout":
            return nn.Dropout(layer.rate)
        case "act":
            return Activation(layer.act or "")
        case "slice":
            return Slice(layer.start, layer.cout)
        case "shuffle":
            return Shuffle(layer.groups)
        case "upsample":
            return Upsample(layer.kernel)
    source = weights_at(layer)
    if isinstance(source, ElasticSe):
        squeeze, excite = se_layers(layer)
        return SqueezeExcite(_conv(source.squeeze, squeeze), _conv(source.excite, excite))
    if isinstance(source, ElasticLinear):
        return _linear(source, layer)
    if isinstance(source, ReparamConv):
        return _activated([("conv", _reparam(source, layer))], layer)
    return _conv(cast(ElasticConv, source), layer)


def _conv(source: ElasticConv, layer: Layer) -> nn.Sequential:
    parts: list[tuple[str, nn.Module]] = [
        ("conv", _conv2d(source.weight_of(layer), source.bias_of(layer), layer))
    ]
    if not (layer.valid or _is_odd(layer.window)):
        parts.insert(0, ("pad", Pad(layer.window)))
    norm = source.norm_of(layer)
    if norm is not None:
        parts.append(("norm", _norm(norm, layer.cout)))
    return _activated(parts, layer)


def _is_odd(window: Window) -> bool:
    """Whether it is padded alike on both sides."""
    return all(reach % 2 for reach in pair(window.reach))


def _activated(parts: list[tuple[str, nn.Module]], layer: Layer) -> nn.Sequential:
    act = [("act", Activation(layer.act))] if layer.act is not None else []
    return nn.Sequential(OrderedDict([*parts, *act]))


def _reparam(source: ReparamConv, layer: Layer) -> Reparam:
    summands = [
        (_conv2d(weight, None, layer), _norm(norm, layer.cout))
        for weight, norm in source.summands(layer)
    ]
    identity = source.identity_of(layer)
    return Reparam(summands, None if identity is None else _norm(identity, layer.cout))


def _conv2d(weight: Tensor, bias: Tensor | None, layer: Layer) -> nn.Conv2d:
    window = layer.window._replace(kernel=size_of(*weight.shape[2:]))
    before, _ = window.pads(layer.size)
    conv = nn.Conv2d(
        layer.cin,
        layer.cout,
        pair(window.kernel),
        pair(window.stride),
        pair(before) if _is_odd(window) else 0,
        pair(window.dilation),
        groups=layer.cin // layer.fan_in,
        bias=bias is not None,
        device=weight.device,
    )
    _copy(conv.weight, weight)
    conv.weight.requires_grad_(not layer.ones)
    if bias is not None and conv.bias is not None:
        _copy(conv.bias, bias)
    return conv


def _norm(source: ElasticNorm, channels: int) -> nn.BatchNorm2d:
    device = source.weight.device
    norm = nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM, device=device)
    _copy(norm.weight, source.weight[:channels])
    _copy(norm.bias, source.bias[:channels])
    _copy(cast(Tensor, norm.running_mean), source.running_mean[:channels])
    _copy(cast(Tensor, norm.running_var), source.running_var[:channels])
    return norm


def _linear(source: ElasticLinear, layer: Layer) -> nn.Sequential:
    linear = nn.Linear(layer.cin, layer.cout, device=source.weight.device)
    _copy(linear.weight, source.weight_of(layer))
    _copy(linear.bias, source.bias)
    return nn.Sequential(OrderedDict([("flatten", nn.Flatten()), ("linear", linear)]))


def _copy(target: Tensor, source: Tensor) -> None:
    with torch.no_grad():
        target.copy_(source)
