"""The trained graph is the deployed graph: torch beside ONNX Runtime and LiteRT, tensor by tensor.

Blocks come from the library, so one that is added in text is tested here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacedsl.compiler.supernet import supernet_plan
from spacedsl.ir.block import Block
from spacedsl.ir.sampling import random_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.activations import ACTIVATIONS
from tests.compiler.onnx_support import by_onnx_runtime, library_blocks, net_around
from tests.laws.strategies import members
from tests.runtime.parity import (
    VNNI,
    as_if_trained,
    by_litert,
    deployed,
    differences,
    extracted,
)
from tests.runtime.support import images, started

BLOCKS = [pytest.param(block, id=block.name) for block in library_blocks()]
MOST_OFF = 50e-6


RUNTIMES = {"onnxruntime": by_onnx_runtime, "litert": by_litert}


@dataclass
class Counted:
    """Elements that are off by a step, of how many."""

    off: int = 0
    total: int = 0


class Pool:
    """Differences of torch from each runtime."""

    def __init__(self) -> None:
        self.counted = {name: Counted() for name in RUNTIMES}

    def add(self, subnet: Subnet, seed: int, folder: Path) -> None:
        """Every tensor of a subnet of a random supernet: at most one step off."""
        chosen = subnet
        qat = started(supernet_plan(subnet.of, VNNI), [chosen], seed)
        pair = deployed(extracted(as_if_trained(qat, seed), subnet), subnet, folder)
        for runtime, run in RUNTIMES.items():
            found = self.counted[runtime]
            for name, off in differences(pair, images(4, chosen), run):
                assert off.max() <= 1, f"{runtime}, {name}: {off.max()} steps"
                found.off += int(off.sum())
                found.total += off.size

    def check(self) -> None:
        for runtime, found in self.counted.items():
            assert found.total > 1_000_000
            assert found.off < MOST_OFF * found.total, f"{runtime}: {found.off} of {found.total}"


def with_any_act(block: Block) -> Block:
    """Without default values, so that a test chooses the activation."""
    free = tuple(p.model_copy(update={"default": None}) for p in block.params)
    return block.model_copy(update={"params": free})


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_deploys_as_it_was_trained(block: Block, tmp_path: Path) -> None:
    pool = Pool()
    block = with_any_act(block)

    @settings(max_examples=8)
    @given(
        act=st.sampled_from(list(ACTIVATIONS)),
        stride=st.sampled_from([1, 2]),
        width=st.sampled_from([16, 24]),
        size=st.sampled_from([32, 35]),
        seed=st.integers(0, 2**16),
    )
    def run(act: str, stride: int, width: int, size: int, seed: int) -> None:
        pool.add(net_around(block, stride, width, size, act), seed, tmp_path)

    run()
    pool.check()


@pytest.mark.slow
def test_every_activation_deploys_as_it_was_trained(tmp_path: Path) -> None:
    """In a block with SE, on both paths and after the sum."""
    pool = Pool()
    blocks = {block.name: with_any_act(block) for block in library_blocks()}
    for act in ACTIVATIONS:
        for name in ("mbv3", "bottleneck-se"):
            for stride, width, size in ((1, 16, 33), (2, 24, 36)):
                pool.add(net_around(blocks[name], stride, width, size, act), size, tmp_path)
    pool.check()


def test_random_blocks_deploy_as_they_were_trained(tmp_path: Path) -> None:
    pool = Pool()

    @settings(max_examples=25, suppress_health_check=[*HealthCheck])
    @given(space=members(elastic=2, most=2), seed=st.integers(0, 2**16))
    def run(space: Space, seed: int) -> None:
        pool.add(random_subnet(space, random.Random(seed)), seed, tmp_path)

    run()
    pool.check()
