"""All spaces that differ from one in a single elastic stage, scored together: the products before
and after the stage are those of the space, so that a neighbour costs one more."""

from __future__ import annotations

import numpy as np

from spacedsl.search.candidate import Genotype
from spacedsl.search.exact.halves import Complex64
from spacedsl.search.exact.pairs import Pairs
from spacedsl.search.protocols import Floats


def neighbours(pairs: Pairs, genotype: Genotype) -> tuple[list[Genotype], Floats]:
    """The spaces with another gene in one stage, and their scores (N,)."""
    halves, found = pairs.halves, []
    met: list[Complex64] = []
    least: list[float] = []
    for place, own in enumerate(genotype):
        before, after = genotype[:place], genotype[place + 1 :]
        incoming = genotype[place - 1][1] if place else 0
        head = halves.head(before)
        around: dict[int, tuple[Complex64, Floats]] = {}
        for gene in halves.genes(place):
            changed = (*before, gene, *after)
            if gene == own or not halves.genome.keeps(changed):
                continue
            window = gene[1]
            if window not in around:
                tail = halves.tail(window, after)
                around[window] = (
                    head.transform[:, :, None] * tail.transform[:, None],
                    head.least[:, :, None] + tail.least[:, None],
                )
            transform, floor = around[window]
            step = halves.step(place, gene, incoming)
            product = transform * step.transform
            met.append(product.reshape(-1, product.shape[-1]).sum(axis=0))
            least.append(float((floor + step.least).min()))
            found.append(changed)
    if not found:
        return [], np.empty(0)
    return found, pairs.parted(np.stack(met), np.array(least))[0].sum(axis=1)
