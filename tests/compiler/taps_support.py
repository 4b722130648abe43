"""A page with taps, and a network of it."""

from __future__ import annotations

from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from tests.support import item_of

EYES = """language 1

use "std/blocks.space"

space eyes {
  input 3 x 32, 44
  taps stride 4, 8, 16
  stem { conv 3x3 relu strided  width 8  stride 2 }
  stage1 { mbv1-dual { kernel 3 }  width 16, 24  depth 1..2  stride 2 }
  stage2 { mbv2-plain { kernel 3, 5  expand 2, 3 }  width 24, 40  depth 1..2  stride 2 }
  stage3 { mbv3 { kernel 3, 5  expand 2 }  width 24, 40  depth 1..2 }
  stage4 { fused { kernel 3  expand 2 }  width 48, 64  depth 1..2  stride 2 }
}

model eye of eyes at 44 {
  stage1 { 24  24 }
  stage2 { 40 k5 e3  24 k3 e2 }
  stage3 { 40 k3  40 k5 }
  stage4 { 48 }
}
"""
"""The first taps end in an activation and a sum, the last in a projection's sum."""


PEAKS = (
    EYES.replace("eyes", "peaks")
    .replace("model eye ", "model peak ")
    .replace("at 44", "at 48")
    .replace("32, 44", "32, 48")
    .replace("4, 8, 16", "4, 8, 16 pyramid 20")
)
"""The same with a pyramid."""


def eyes() -> Space:
    found = item_of(EYES, "eyes")
    assert isinstance(found, Space)
    return found


def eye() -> Subnet:
    found = item_of(EYES, "eye")
    assert isinstance(found, Subnet)
    return found


def peaks() -> Space:
    found = item_of(PEAKS, "peaks")
    assert isinstance(found, Space)
    return found


def peak() -> Subnet:
    found = item_of(PEAKS, "peak")
    assert isinstance(found, Subnet)
    return found
