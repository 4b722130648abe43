"""Convolutions that are trained as a sum and deployed as one: structural re-parameterisation
(RepVGG, Ding et al., CVPR 2021), over-parameterisation (MobileOne, Vasu et al., CVPR 2023).

The sum is of `reparam` convolutions of the layer's kernel, of one of 1 x 1 where that is larger,
and of the input itself where the layer keeps width and size; each has a batch norm. With the
statistics of these given, all of that is one convolution with a bias: the one that every cost is
of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.compiler.fold import affine
from spacedsl.operators.size import Size, pair
from spacedsl.passes.program import Layer
from spacedsl_runtime.elastic.functional import activate, active, conv2d, leading
from spacedsl_runtime.elastic.modules import EPSILON, ElasticConv, ElasticNorm

Norm = ElasticNorm | nn.BatchNorm2d


class Folded(NamedTuple):
    """A convolution of a bias, in double precision: (O, I, K, K) and (O,)."""

    weight: Float[Tensor, "o i kh kw"]
    bias: Float[Tensor, " o"]


class ReparamConv(nn.Module):
    """The weights of a sum: `count` of (max_cout, max_fan, K, K), then where K > 1 one of
    (max_cout, max_fan, 1, 1), each with its norm. `identity` is the norm of the input, of as many
    channels as the widest layer has that keeps width and size."""

    def __init__(self, shape: tuple[int, int, Size], count: int, kept: int) -> None:
        super().__init__()
        cout, fan, (kernel, _) = *shape[:2], pair(shape[2])
        kernels = [kernel] * count + [1] * (kernel > 1)
        self.count = count
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(cout, fan, k, k)) for k in kernels)
        self.norms = nn.ModuleList(ElasticNorm(cout) for _ in kernels)
        self.identity = ElasticNorm(kept) if kept else None

    def all_summands(self) -> list[tuple[Tensor, ElasticNorm]]:
        """The weights, each with its norm."""
        return list(zip(self.weights, cast(Iterable[ElasticNorm], self.norms), strict=True))

    def summands(self, layer: Layer) -> Iterator[tuple[Tensor, ElasticNorm]]:
        """The active weights, each with its norm."""
        for i, (weight, norm) in enumerate(self.all_summands()):
            kernel = layer.kernel if i < self.count else 1
            if i < self.count or layer.kernel != 1:
                yield active(weight, layer.cout, layer.fan_in, kernel), norm

    def identity_of(self, layer: Layer) -> ElasticNorm | None:
        """The norm of the input, where the layer keeps width and size."""
        return self.identity if layer.keeps else None

    def folded(self, layer: Layer) -> Folded:
        """The one convolution that a layer's sum is in evaluation."""
        with torch.no_grad():
            return fold(list(self.summands(layer)), self.identity_of(layer))

    def forward(
        self, x: Float[Tensor, "n {layer.cin} h w"], layer: Layer
    ) -> Float[Tensor, "n {layer.cout} h2 w2"]:
        """The sum, and the activation."""
        identity = self.identity_of(layer)
        made: list[Tensor] = [] if identity is None else [identity(x)]
        for weight, norm in self.summands(layer):
            window = layer.window._replace(kernel=weight.shape[-1])
            made.append(norm(conv2d(x, weight, None, window)))
        return activate(sum(made[1:], made[0]), layer.act)


def fold(summands: Sequence[tuple[Tensor, Norm]], identity: Norm | None) -> Folded:
    """The convolution that computes a sum of convolutions (O, I, k, k) with a norm each, the first
    with the largest kernel, and where there is an `identity` of the norm of the input."""
    first = summands[0][0]
    weight, bias = torch.zeros_like(first).double(), first.new_zeros(len(first)).double()
    for part, norm in summands:
        factor, shift = _affine(norm, len(part))
        edge = (first.shape[-1] - part.shape[-1]) // 2
        weight += F.pad(part.double() * factor[:, None, None, None], (edge,) * 4)
        bias += shift
    if identity is not None:
        factor, shift = _affine(identity, len(first))
        weight += diagonal(factor, weight)
        bias += shift
    return Folded(weight, bias)


def diagonal(factor: Float[Tensor, " o"], like: Float[Tensor, "o i kh kw"]) -> Tensor:
    """The weight of a convolution, of as many groups as there are, that gives its input times a
    factor for each channel."""
    found, at = torch.zeros_like(like), torch.arange(len(factor), device=like.device)
    middle = like.shape[-1] // 2
    found[at, at % like.shape[1], middle, middle] = factor.to(like.dtype)
    return found


def _affine(norm: Norm, channels: int) -> tuple[Tensor, Tensor]:
    """What a norm does in evaluation to each of its leading channels: factor and shift."""
    gamma, beta, mean, var = (
        leading(cast(Tensor, t).detach(), channels).double()
        for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    factor, shift = affine(gamma, beta, mean, torch.sqrt(var + EPSILON), 0.0)
    return factor, shift


class FoldedConv(ElasticConv):
    """What a sum becomes for training in 8 bits, which needs one weight: that of the largest layer,
    and a norm, so that networks of other sizes can be re-calibrated. What the input itself adds to
    the weight (`kept`, by channel) is apart, since only layers that keep width and size have it."""

    kept: Tensor | None

    def __init__(self, shape: tuple[int, int, Size], kept: Tensor | None = None) -> None:
        super().__init__(shape)
        self.with_norm(norm=True, bias=False)
        self.register_buffer("kept", kept)

    def whole(self, part: int) -> Tensor:
        """The weight of the largest layer, the input added wherever it may be."""
        weight = super().whole(part)
        if self.kept is None:
            return weight
        factor = F.pad(self.kept, (0, len(weight) - len(self.kept)))
        return weight + diagonal(factor, weight)

    def weight_of(self, layer: Layer) -> Tensor:
        """The active weight (cout, cin per group, k, k)."""
        weight = super().weight_of(layer)
        if self.kept is None or not layer.keeps:
            return weight
        return weight + diagonal(leading(self.kept, layer.cout), weight)

    def norm_of(self, layer: Layer) -> ElasticNorm | None:
        """The norm, which a deployed layer does not have."""
        return self.norm


def folded_conv(source: ReparamConv, layer: Layer | None) -> FoldedConv:
    """The sum of the largest layer (None: not known) as one weight. In evaluation it computes the
    same; the norm has no statistics yet (`settle`).

    The filters are as large as each other on average, and the norm makes up for it: a quantiser has
    one scale for all of them."""
    identity = None if layer is None else source.identity_of(layer)
    with torch.no_grad():
        plain, whole = (fold(source.all_summands(), norm) for norm in (None, identity))
        sizes = whole.weight.square().mean((1, 2, 3)).sqrt()
        share = torch.where(sizes > 0, sizes / sizes.square().mean().sqrt(), 1.0)
        kept = None
        if source.identity is not None:
            factor, _ = _affine(source.identity, source.identity.weight.shape[0])
            kept = (factor / share[: len(factor)]).to(source.weights[0].dtype)
        cout, fan, kernel, _ = plain.weight.shape
        made = FoldedConv((cout, fan, kernel), kept).to(source.weights[0])
        made.weights[0].copy_(plain.weight / share[:, None, None, None])
        norm = cast(ElasticNorm, made.norm)
        norm.weight.copy_(share * (1 + EPSILON) ** 0.5)
        norm.bias.copy_(whole.bias)
    return made


def norm_arrays(norm: Norm, of: str = "") -> dict[str, Tensor]:
    """A norm's arrays by the names that files have; `of` stands behind them."""
    arrays = norm.weight, norm.bias, norm.running_mean, norm.running_var
    pairs = zip(("gamma", "beta", "mean", "var"), arrays, strict=True)
    return {f"{name}{of}": cast(Tensor, array).detach() for name, array in pairs}


def settle(norm: ElasticNorm, read: Float[Tensor, "n c h w"]) -> None:
    """Give a norm the statistics of what it reads. In evaluation it computes what it did."""
    c = read.shape[1]
    with torch.no_grad():
        factor, shift = _affine(norm, c)
        var, mean = torch.var_mean(read.double(), (0, 2, 3), unbiased=False)
        norm.running_mean[:c], norm.running_var[:c] = mean, var
        norm.weight[:c] = factor * torch.sqrt(var + EPSILON)
        norm.bias[:c] = shift + factor * mean
