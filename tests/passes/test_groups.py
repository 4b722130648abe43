"""Convolutions with groups: what they cost, what they are the same as, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.covers import mismatch
from spacedsl.ir.identity import block_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.lang.write import write
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.kernels import layer_kernels
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.targets.features import group_of, work_of
from spacedsl.text import Source

PAGE = """\
language 1

space s {{
  input 3 x 32
  stem {{ conv 3x3 relu strided  width 32  stride 2 }}
  stage1 {{ {body}  width {widths}  stride 2 }}
  head {{ pool  linear -> 10 }}
}}

model m of s at 32 {{
  stem {{ 32 }}
  stage1 {{ {width} }}
}}
"""


def page(body: str, widths: str = "64", width: int = 64) -> tuple[Space, Subnet]:
    text = PAGE.format(body=body, widths=widths, width=width)
    found = Loader().parse(Source("page", text), Path())
    space, model = found.get("s"), found.get("m")
    assert isinstance(space, Space)
    assert isinstance(model, Subnet)
    return space, model


def test_a_filter_reads_its_group() -> None:
    dense, grouped = (page(f"conv 3x3 {g} relu strided")[1] for g in ("", "groups 8"))
    before, after = subnet_cost(dense), subnet_cost(grouped)
    assert before.weights - after.weights == 9 * 32 * 64 * 7 // 8
    assert before.flops - after.flops == 64 * 9 * 32 * 64 * 7 // 8
    assert subnet_memory(dense) == subnet_memory(grouped)


def test_groups_by_an_expression_are_the_same_network() -> None:
    space, number = page("conv 3x3 groups 2 relu strided")
    other, expression = page("conv 3x3 relu groups cin / 16 strided")
    assert subnet_identity(number) == subnet_identity(expression)
    assert subnet_identity(number) != subnet_identity(page("conv 3x3 relu strided")[1])
    assert "groups cin / 16 relu" in write(other)
    assert block_identity(space.stages[1].choices[0]) != block_identity(other.stages[1].choices[0])
    assert mismatch(space, other) is not None
    assert mismatch(space, page("conv 3x3 groups 2 relu strided")[0]) is None


def test_one_group_is_none_and_one_for_each_channel_is_a_depthwise_convolution() -> None:
    _, plain = page("conv 3x3 relu strided")
    assert subnet_identity(page("conv 3x3 groups 1 relu strided")[1]) == subnet_identity(plain)
    _, depthwise = page("dwconv 3x3 relu strided  conv 1x1")
    assert subnet_identity(page("conv 3x3 -> cin groups cin relu strided  conv 1x1")[1]) == (
        subnet_identity(depthwise)
    )


def test_kernels_of_groups_have_a_latency_model_of_their_own() -> None:
    _, model = page("conv 3x3 groups 8 relu strided")
    layer = next(found for found in layers(subnet_sites(model)[1][0].bind()))
    (kernel,) = layer_kernels(layer)
    assert kernel.kind == "conv-bn-relu/8"
    assert kernel.groups == 8
    assert group_of(kernel) == "grouped conv"
    assert work_of(kernel)[0] == 64 * 9 * 4 * 64


@pytest.mark.parametrize("widths", ["32, 40", "40, 64", "32, 40, 64"])
def test_every_width_of_a_list_is_divided(widths: str) -> None:
    with pytest.raises(SpaceError, match="do not divide the 40 channels"):
        page("conv 3x3 groups 16 relu strided", widths, int(widths[:2]))
