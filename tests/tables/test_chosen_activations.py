"""Tables know activations that a block chooses, and none between two of them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from spacedsl.api import sample
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.block import Value
from spacedsl.ir.sampling import largest, smallest
from spacedsl.ir.space import Settings, Space
from spacedsl.ir.subnet import Subnet, SubnetBlock
from spacedsl.operators.size import ACTIVATION_NUMBERS
from spacedsl.passes.bind import subnet_sites
from spacedsl.search.stage_facts import stage_facts
from spacedsl.tables.accuracy import FittedAccuracy
from spacedsl.tables.blocks import family
from spacedsl.tables.distilled import substage_rows
from spacedsl.tables.fit_accuracy import fit_accuracy
from spacedsl.tables.fit_quality import fit_quality
from spacedsl.tables.latency import block_unit
from spacedsl.tables.network_sums import network_values
from spacedsl.tables.networks import Network
from spacedsl.tables.quality import FittedQuality
from tests.support import item_of

PAGE = """language 1
use "std/blocks.space"

hyperspace h {
  input 3 x 32
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 {
    mbv2 { kernel 3  expand 2  act relu, swish }
    width 8, 16
    depth 1..2
    stride 2
  }
  head { pool  linear -> 10 }
}

hyperspace more {
  input 3 x 32
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 {
    mbv2 { kernel 3  expand 2  act relu, hswish, swish }
    width 8, 16
    depth 1..2
    stride 2
  }
  head { pool  linear -> 10 }
}

space one of h { stage1 { mbv2 { act swish } } }
"""


def space(name: str) -> Space:
    found = item_of(PAGE, name)
    assert isinstance(found, Space)
    return found


H, MORE, ONE = map(space, ("h", "more", "one"))


def worth(subnet: Subnet) -> float:
    """Swish is better, and width is."""
    blocks = subnet.stages[1].blocks
    fixed = subnet.choice(1).fixed
    swish = sum((fixed | dict(_said(b)))["act"] == "swish" for b in blocks) / len(blocks)
    return 60 + 6 * swish + sum(b.width for b in blocks) / len(blocks) / 4 + len(blocks)


def _said(block: SubnetBlock) -> list[tuple[str, Value]]:
    return [(s.name, s.value) for s in block.settings]


def networks(of: Space, count: int = 300) -> list[Network]:
    rng = random.Random(1)
    return [Network(i, s, worth(s) + rng.gauss(0, 0.02)) for i, s in enumerate(sample(of, count))]


def test_accuracies_are_those_of_each() -> None:
    model = FittedAccuracy(fit_accuracy(networks(H), H))
    for of in (H, ONE):
        subnets = list(sample(of, 12))
        found = network_values(subnets, model)
        assert np.abs(found - [worth(s) for s in subnets]).max() < 1  # of 6 between the two
    other = [
        s
        for s in sample(MORE, 20)
        if any(("act", "hswish") in _said(b) for b in s.stages[1].blocks)
    ]
    with pytest.raises(SpaceError, match="does not cover"):
        network_values(other, model)


def test_losses_of_a_distillation_are_those_of_each() -> None:
    rows = [
        {
            "window": 0,
            "resolution": 32,
            "cin": 8,
            "blocks": [[b.width, [s.value for s in b.settings]] for b in n.subnet.stages[1].blocks],
            "loss": (80 - n.value) / 80,
        }
        for n in networks(H)
    ]
    model = FittedQuality(fit_quality(substage_rows(H, 1, 0, rows), H))
    for of in (H, ONE):
        facts = stage_facts(of.stages[1])
        loss = model.stage(1, facts.choice)
        assert loss is not None
        count = len(facts.combos)
        widths = np.full(count, 16)
        terms = loss.terms(32, 1, 0, np.full(count, 8), widths, facts.columns())
        assert not np.isnan(terms).any()
        base = loss.base(32, 1, np.array([8]))
        wanted = [(80 - 60 - 4 - 1 - 6 * (act == "swish")) / 80 for act in _acts(facts.combos)]
        assert np.abs(loss.link(base + terms) - wanted).max() < 0.01
    columns = {"kernel": np.array([3.0]), "expand": np.array([2.0])}
    columns["act"] = np.array([float(ACTIVATION_NUMBERS["hswish"])])
    whole = model.stage(1, H.stages[1].choices[0])
    assert whole is not None
    unknown = whole.terms(32, 1, 0, np.array([8]), np.array([16]), columns)
    assert np.isnan(unknown).all()


def _acts(combos: tuple[Settings, ...]) -> list[str]:
    return [str(dict(combo).get("act", "swish")) for combo in combos]


def test_latencies_of_blocks_are_those_of_each() -> None:
    """A block whose space has one of several activations is the one that a table knows."""
    known = {family(H.stages[1].choices[0]).identity}
    mine, swish = (largest(ONE), largest(H))
    sites = subnet_sites(mine)[1], subnet_sites(swish)[1]
    units = [[block_unit(site, known) for site in blocks] for blocks in sites]
    assert units[0] == units[1]
    assert [block_unit(site) for site in sites[0]] != units[0]
    (relu,) = {block_unit(site, known) for site in subnet_sites(smallest(H))[1]}
    assert relu.settings != units[0][0].settings
