"""Features of networks for an additive fit: what a block is, by itself and in pairs.

A block is described by its *traits*: block type, width and settings, and depth of its stage. There
is a feature for every value of a trait, for every pair of values of two traits, and so on; the more
traits a feature joins, the harder it is shrunk, so a few rows determine the single traits and many
rows what they do to each other. In form `stages` the blocks of a stage count together, in form
`blocks` each also at its position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from spacedsl.ir.block import Value
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.operators.size import Size, as_number
from spacedsl.passes.bind import Site, bind_block
from spacedsl.passes.errors import BindError
from spacedsl.tables.blocks import family
from spacedsl.tables.networks import Network
from spacedsl.tables.quality import numbers
from spacedsl.tables.solve import Floats

Form = Literal["stages", "blocks"]
FORMS: tuple[Form, ...] = ("stages", "blocks")

STRENGTHS = (1.0, 0.3, 0.1, 0.05)
"""Of features by the number of traits that they join."""

MOST_FEATURES = 1500
"""Features that join more traits are left out where they would exceed this."""

Trait = tuple[str, float]
Block = tuple[float, ...]
"""Width and settings, in canonical order."""

State = tuple[int, tuple[Block, ...]]
"""A stage of a network: number of the block type and its blocks."""

Key = tuple[object, ...]
Features = dict[Key, float]


def block_features(form: Form, traits: Sequence[Trait], depth: int, position: int) -> Features:
    """Features of one block with these traits (block type first)."""
    named: list[Trait] = list(traits)
    if form == "stages":
        named.append(("depth", depth))
    found: Features = {}
    for order, strength in enumerate(STRENGTHS, 1):
        for subset in combinations(named, order):
            if form == "stages":
                found[order, subset] = strength / depth
            else:
                found[order, subset] = strength
                found[order, subset, position] = strength
    return found


def depth_features(form: Form, choice: int, depth: int) -> Features:
    """What the depth of a stage adds by itself."""
    if form == "stages":
        return {}
    first, second = STRENGTHS[:2]
    both = (("block", float(choice)), ("depth", float(depth)))
    return {(1, both[1:]): first, (2, both): second}


class Canonical:
    """Blocks that bind to the same layers count as one: the first one of their kind."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._known: dict[tuple[int, Block], Block] = {}
        self._first: dict[object, Block] = {}

    def __call__(self, number: int, block: Block) -> Block:
        """The block that stands for `block` of block type `number`."""
        key = (number, block)
        if key not in self._known:
            try:
                form: object = (number, self._bound(self._stage.choices[number], block))
            except BindError:
                form = key
            self._known[key] = self._first.setdefault(form, block)
        return self._known[key]

    def _bound(self, choice: BlockChoice, block: Block) -> object:
        """Its layers as a later block of the stage."""
        width, order = int(block[0]), family(choice).order
        settings = tuple(
            (arg.name, _value(arg.values, block[1 + order.index(arg.name)]))
            if arg.name in order
            else (arg.name, arg.values[0])
            for arg in choice.chosen
        )
        cin = width or self._stage.widths[0]
        return width, bind_block(Site(choice, cin, width, 64, 1, settings))


def _value(values: Sequence[Value], value: float) -> Value:
    return next((v for v in values if as_number(v) == value), value)


@dataclass(frozen=True)
class States:
    """N networks as states of their elastic stages: `states` per stage, those that there are, and
    `index` (N, stages) into them; `resolution` (N,)."""

    space: Space
    states: tuple[tuple[State, ...], ...]
    index: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    resolution: Floats

    @property
    def keys(self) -> list[tuple[float, tuple[int, ...]]]:
        """What tells networks apart."""
        whole = self.resolution.astype(np.int64)
        sizes = whole if (whole == self.resolution).all() else self.resolution
        return list(zip(sizes.tolist(), map(tuple, self.index.tolist()), strict=True))


def network_states(networks: Sequence[Network], space: Space) -> States:
    """The states of networks of `space`."""
    canonical = [Canonical(space.stages[at]) for at in space.elastic]
    known: list[dict[State, int]] = [{} for _ in space.elastic]
    index = np.zeros((len(networks), len(space.elastic)), dtype=np.int64)
    for i, network in enumerate(networks):
        for s, state in enumerate(_states(network.subnet, canonical)):
            index[i, s] = known[s].setdefault(state, len(known[s]))
    resolution = np.array([as_number(network.subnet.resolution) for network in networks])
    return States(space, tuple(tuple(found) for found in known), index, resolution)


def _states(subnet: Subnet, canonical: Sequence[Canonical]) -> Iterator[State]:
    for at, same in zip(subnet.of.elastic, canonical, strict=True):
        number, order = subnet.stages[at].choice, family(subnet.choice(at)).order
        blocks = (
            (float(b.width), *(as_number(b.setting(name)) for name in order))
            for b in subnet.stages[at].blocks
        )
        yield number, tuple(same(number, block) for block in blocks)


def traits_of(stage: Stage, number: int, block: Block) -> tuple[Trait, ...]:
    """The traits of a block, of which the stage offers more than one value."""
    names = family(stage.choices[number]).order
    found: list[Trait] = [("block", float(number))]
    if len(stage.widths) > 1:
        found.append(("width", block[0]))
    found += [(n, v) for n, v in zip(names, block[1:], strict=True)]
    return tuple(found)


def state_features(form: Form, stage: Stage, state: State) -> Features:
    """Features of a stage of a network."""
    number, blocks = state
    total = depth_features(form, number, len(blocks))
    for position, block in enumerate(blocks):
        traits = traits_of(stage, number, block)
        for key, value in block_features(form, traits, len(blocks), position).items():
            total[key] = total.get(key, 0.0) + value
    return total


@dataclass(frozen=True)
class Design:
    """Columns of a fit. `columns`: per stage, key -> column; `resolutions` are columns too, those
    after the stages'."""

    form: Form
    columns: tuple[dict[Key, int], ...]
    resolutions: tuple[Size, ...]
    matrix: Floats


def design(form: Form, states: States) -> Design:
    """The features of all networks, (N, F)."""
    stages = [states.space.stages[at] for at in states.space.elastic]
    found = [
        [state_features(form, stage, state) for state in known]
        for stage, known in zip(stages, states.states, strict=True)
    ]
    most = _most_traits(found)
    count = 0
    columns: list[dict[Key, int]] = []
    for known in found:
        keys = {key: None for features in known for key in features if _traits(key) <= most}
        columns.append({key: count + i for i, key in enumerate(keys)})
        count += len(keys)
    seen = set(states.resolution.tolist())
    resolutions = tuple(r for r in states.space.resolutions if as_number(r) in seen)
    matrix = np.zeros((len(states.index), count + len(resolutions)))
    for s, (known, numbered) in enumerate(zip(found, columns, strict=True)):
        values = np.zeros((len(known), count))
        for i, features in enumerate(known):
            for key, value in features.items():
                if key in numbered:
                    values[i, numbered[key]] = value
        matrix[:, :count] += values[states.index[:, s]]
    matrix[:, count:] = states.resolution[:, None] == np.array(numbers(resolutions))
    return Design(form, tuple(columns), resolutions, matrix)


def _traits(key: Key) -> int:
    order = key[0]
    return order if isinstance(order, int) else 0


def _most_traits(found: Sequence[Sequence[Features]]) -> int:
    """How many traits a feature may join."""
    counts = [0] * len(STRENGTHS)
    for known in found:
        for key in {key for features in known for key in features}:
            counts[_traits(key) - 1] += 1
    fitting = [order for order in range(1, len(counts) + 1) if sum(counts[:order]) <= MOST_FEATURES]
    return max(fitting, default=1)


def freedom(space: Space) -> int:
    """How many numbers the single traits of a space leave to be found."""
    total = len(space.resolutions)
    for at in space.elastic:
        stage = space.stages[at]
        names: dict[str, set[float]] = {}
        for choice in stage.choices:
            for name in family(choice).order:
                names.setdefault(name, set()).update(map(as_number, choice.values(name)))
        total += len(stage.choices) - 1 + len(stage.depths) - 1 + max(len(stage.widths) - 1, 0)
        total += sum(len(values) - 1 for values in names.values())
    return total
