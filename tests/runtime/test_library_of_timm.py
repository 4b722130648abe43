"""Networks of the library that timm has too: the same weights give the same outputs, and both count
the same multiply-accumulates."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spacedsl.ir.reparam import with_counts
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import pair
from spacedsl.passes.cost import subnet_cost
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import (
    Arrays,
    layer_weights,
    trained_weights,
    write_weights,
)
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.package import timm_package
from spacedsl_runtime.foreign.read import write_steps
from spacedsl_runtime.foreign.timm_models import Wanted, make, operations
from spacedsl_runtime.foreign.trace import steps_of_network
from tests.runtime.foreign_networks import scattered
from tests.runtime.support import multiply_accumulates
from tests.support import library_model
from tests.with_timm import needs_timm

pytestmark = needs_timm


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("baselines/mobilenetv4-conv-s", "mobilenetv4_conv_small"),
        ("baselines/mobilenetv4-conv-m", "mobilenetv4_conv_medium"),
        ("baselines/efficientnet-lite0", "efficientnet_lite0"),
        ("baselines/fbnetv3-b", "fbnetv3_b"),
        ("baselines/repvgg-a0", "repvgg_a0"),
        ("baselines/mobileone-s0", "mobileone_s0"),
        ("models/regnetx-400mf", "regnetx_004"),
        ("baselines/regnety-400mf", "regnety_004"),
    ],
)
def test_outputs_are_those_of_timm(name: str, theirs: str) -> None:
    model = library_model(name)
    model = model.model_copy(update={"resolution": model.of.resolutions[0]})
    network = scattered(make(Wanted(theirs)))
    image = torch.randn(1, 3, *pair(model.resolution))
    assert subnet_cost(model).flops == multiply_accumulates(network, image)
    supernet = load_supernet(with_counts(model.of, ())).eval()
    write_steps(supernet, model, steps_of_network(network, image, *operations()))
    with torch.no_grad():
        expected = network.double()(image.double())
        found = supernet.double()(image.double(), model)
    assert float((found - expected).abs().max()) <= 1e-6 * float(expected.abs().max())


def norm_arrays(norm: Any, of: str) -> dict[str, Tensor]:
    arrays = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    names = ("gamma", "beta", "mean", "var")
    return {f"{name}.{of}": array for name, array in zip(names, arrays, strict=True)}


def sums_of(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The arrays of timm's blocks that it trains as sums, in order, by our names."""
    for module in network.modules():
        block: Any = module
        if type(block).__name__ == "RepVggBlock":
            summands = [block.conv_kxk, block.conv_1x1]
        elif type(block).__name__ == "MobileOneBlock":
            scale = [] if block.conv_scale is None else [block.conv_scale]
            summands = [*block.conv_kxk, *scale]
        else:
            continue
        found: dict[str, Tensor] = {}
        for i, summand in enumerate(summands):
            found |= {f"weight.{i}": summand.conv.weight} | norm_arrays(summand.bn, str(i))
        if block.identity is not None:
            found |= norm_arrays(block.identity, "identity")
        yield found


@pytest.mark.parametrize(
    ("name", "theirs"), [("repvgg-a0", "repvgg_a0"), ("mobileone-s0", "mobileone_s0")]
)
def test_what_is_trained_is_what_timm_trains(name: str, theirs: str) -> None:
    """The weights of timm's network before it folds them are those of ours, sum by sum; both give
    the same outputs, and so do what we fold and timm's own folding."""
    model = library_model(f"baselines/{name}")
    model = model.model_copy(update={"resolution": model.of.resolutions[0]})
    network = scattered(timm_package("a test", ForeignError).create_model(theirs))
    supernet = load_supernet(model.of).eval()
    program = supernet.program(model)
    arrays = sums_of(network)
    for layer, target in trained_weights(supernet, program):
        if layer.reparam:
            source = next(arrays)
            assert source.keys() == target.keys()
            write_weights(target, source)
        else:
            head: Any = network.get_submodule("head.fc")
            write_weights(target, {"weight": head.weight[:, :, None, None], "bias": head.bias})
    assert next(arrays, None) is None
    image = torch.randn(1, 3, *pair(model.resolution)).double()
    with torch.no_grad():
        expected = network.double()(image)
        found = deepcopy(supernet).double()(image, model)
        plain: Supernet = load_supernet(with_counts(model.of, ())).eval().double()
        pairs = zip(
            layer_weights(plain, plain.program(model)),
            layer_weights(supernet.double(), program),
            strict=True,
        )
        for (_, target), (_, folded) in pairs:
            write_weights(target, folded)
        deployed = plain(image, model)
    assert float((found - expected).abs().max()) <= 1e-12 * float(expected.abs().max())
    assert float((deployed - expected).abs().max()) <= 1e-11 * float(expected.abs().max())


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("baselines/ghostnet-w1", "ghostnet_100"), ("baselines/cspdarknet53", "cspdarknet53")],
)
def test_outputs_with_branches_are_those_of_timm(name: str, theirs: str) -> None:
    model = library_model(name)
    model = model.model_copy(update={"resolution": model.of.resolutions[0]})
    network = scattered(make(Wanted(theirs))).eval()
    image = torch.randn(1, 3, *pair(model.resolution))
    assert subnet_cost(model).flops == multiply_accumulates(network, image)
    supernet = load_supernet(model.of).eval()
    expected = copied_in_order(network, image, supernet, model)
    with torch.no_grad():
        found = supernet(image, model)
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def test_dense_outputs_are_those_of_timm() -> None:
    """Norms that stand before a convolution are depthwise ones of one pixel, of weights of 1."""
    model = library_model("baselines/densenet-121")
    model = model.model_copy(update={"resolution": model.of.resolutions[0]})
    network = scattered(make(Wanted("densenet121"))).eval()
    image = torch.randn(1, 3, *pair(model.resolution))
    supernet = load_supernet(model.of).eval()
    expected = copied_in_order(network, image, supernet, model)
    with torch.no_grad():
        found = supernet(image, model)
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


def copied_in_order(network: nn.Module, image: Tensor, supernet: Supernet, model: Subnet) -> Tensor:
    """What a network makes of an image; its weights, in the order in which they are used, are
    written into a supernet as those of `model`."""
    used: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            module.register_forward_hook(lambda module, *_: used.append(module))
    with torch.no_grad():
        found: Tensor = network(image)
    modules = iter(used)
    for layer, arrays in layer_weights(supernet, supernet.program(model)):
        source: Arrays = {"weight": torch.ones(arrays["weight"].shape)}
        if layer.kind != "dwconv" or layer.kernel != 1:
            source = dict(next(modules).named_parameters())
        source["weight"] = source["weight"].reshape(arrays["weight"].shape)
        if "gamma" in arrays:
            norm = next(modules)
            assert isinstance(norm, nn.BatchNorm2d)
            source |= {"gamma": norm.weight, "beta": norm.bias}
            source |= {"mean": norm.running_mean, "var": norm.running_var}  # type: ignore[dict-item]
        write_weights(arrays, source)
    assert next(modules, None) is None
    return found
