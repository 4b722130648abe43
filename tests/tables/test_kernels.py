"""Layers to latency kernels."""

from __future__ import annotations

import pytest

from spacedsl.ir.space import BlockChoice
from spacedsl.operators.layer import Layer
from spacedsl.passes.bind import Site
from spacedsl.passes.bound import layers
from spacedsl.passes.kernels import Kernel, kernels, layer_kernels
from spacedsl.tables.blocks import KernelCache, reachable_sites
from tests.support import library_space


def choice(hyperspace: str, block: str) -> BlockChoice:
    stage = library_space(hyperspace).stage("stage3")
    return next(c for c in stage.choices if c.block.name == block)


def test_mbv3_kernels_in_order() -> None:
    site = Site(choice("onnxw", "mbv3"), 64, 96, 56, 2, (("kernel", 5), ("expand", 4)))
    assert kernels(layers(site.bind())) == (
        Kernel("conv-bn-relu", 64, 256, 56),
        Kernel("hswish", 256, 256, 56),
        Kernel("dwconv-bn-relu", 256, 256, 56, 5, 2),
        Kernel("hswish", 256, 256, 28),
        Kernel("se", 256, 64, 28),
        Kernel("conv-bn-relu", 256, 96, 28),
        Kernel("conv-bn-relu", 64, 96, 56, 1, 2),
        Kernel("add", 96, 96, 28),
    )


def test_relu_is_absorbed_after_an_add_too() -> None:
    site = Site(choice("onnxw", "bottleneck"), 96, 96, 28, 1, (("kernel", 3), ("expand", 1)))
    kinds = [kernel.kind for kernel in kernels(layers(site.bind()))]
    assert kinds == ["conv-bn-relu"] * 3 + ["add-relu"]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Layer("dropout", 8, 8, 1, 1, rate=0.2), ()),
        (Layer("linear", 1920, 1000, 1, 1, bias=True), (Kernel("fc", 1920, 1000, 1),)),
        (Layer("pool", 64, 64, 7, 1, kernel=7), (Kernel("global-avgpool", 64, 64, 7),)),
        (Layer("act", 8, 8, 4, 4, act="relu"), (Kernel("relu", 8, 8, 4),)),
        (
            Layer("se", 64, 64, 7, 7, act="relu", squeeze=16, gate="sigmoid"),
            (Kernel("se-relu-sigmoid", 64, 16, 7),),
        ),
    ],
)
def test_single_layers(layer: Layer, expected: tuple[Kernel, ...]) -> None:
    assert tuple(layer_kernels(layer)) == expected


@pytest.mark.parametrize("name", ["onnxw", "mobilew", "tiny"])
def test_cached_kernels_equal_bound_ones_at_every_size(name: str) -> None:
    space, cache = library_space(name), KernelCache()
    for site in list(reachable_sites(space, space.resolutions))[::97]:
        assert cache.kernels(site) == kernels(layers(site.bind()))
