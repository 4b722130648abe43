"""Genotypes and the spaces that they are."""

from __future__ import annotations

import pytest

from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.search.candidate import Genome
from tests.support import item_of

PAGE = """language 1
use "std/blocks.space"

hyperspace h {
  input 3 x 32
  {said}
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 {
    mbv2 { kernel 3  expand 2 }
    fused { kernel 3  expand 1, 2 }
    width 8..24 step 8  window 2  stride 2
  }
  {head}
}
"""


@pytest.mark.parametrize(
    ("said", "head"),
    [
        ("", "head { pool  linear -> 10 }"),
        ("limit params 1M", "head { pool  linear -> 10 }"),
        ("taps stride 2, 4", ""),
    ],
)
def test_the_hash_of_a_genotype_is_that_of_its_space(said: str, head: str) -> None:
    hyper = item_of(PAGE.replace("{said}", said).replace("{head}", head), "h")
    assert isinstance(hyper, Space)
    genome = Genome(hyper)
    for index in range(genome.size):
        genotype = genome.at(index)
        space = genome.to_space(genotype, "s")
        assert genome.identity(genotype) == space_identity(space)
        assert space.taps == hyper.taps
