"""Random streams that follow from the seed and where a training is.

Nothing random is kept from one step to the next, so a resumed training needs no state of any
generator, and views of images do not depend on the number of workers."""

from __future__ import annotations

import random
from enum import IntEnum

import numpy as np


class Use(IntEnum):
    """What a stream is for; uses never share numbers."""

    order = 1
    views = 2
    subnets = 3
    dropout = 4
    evaluation = 5
    calibration = 6
    holdout = 7
    quantisers = 8


def numbers(seed: int, use: Use, *where: int) -> np.random.Generator:
    """A numpy generator for one use at one place."""
    return np.random.default_rng([seed, use, *where])


def seed_of(seed: int, use: Use, *where: int) -> int:
    """A seed of 63 bits for generators of other libraries."""
    return int(numbers(seed, use, *where).integers(2**63))


def choices(seed: int, use: Use, *where: int) -> random.Random:
    """A generator of the standard library."""
    return random.Random(seed_of(seed, use, *where))  # noqa: S311  not for secrets
