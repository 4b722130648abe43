"""What scoring needs to know of an elastic stage, worked out once per stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from spacedsl.diagnostics import fault
from spacedsl.ir.block import Value
from spacedsl.ir.identity import choice_identity, normal_ops, stage_identity
from spacedsl.ir.settings import are_free, shared_groups
from spacedsl.ir.space import BlockChoice, Settings, Space, Stage
from spacedsl.ir.subnet import smallest_stage
from spacedsl.operators.size import Size, as_number
from spacedsl.search.draws import WIDTH, Draws
from spacedsl.search.protocols import Floats, Ints


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter that a subnet chooses on its own, in canonical order."""

    name: str
    values: tuple[Value, ...]
    shared: bool


@dataclass(frozen=True)
class StageFacts:
    """An elastic stage of a space: one block type, one width window. `combos`: the K settings a
    block may have; `groups`: their positions, per choice of what all blocks share. Where every
    combination is another block, `slots` are what is chosen, the last one running fastest in
    `combos`; else there are none."""

    name: str
    identity: str
    choice: BlockChoice
    choice_id: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stride: Size
    shared_width: bool
    slots: tuple[Slot, ...]
    combos: tuple[Settings, ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def deepest(self) -> int:
        """The greatest number of blocks."""
        return self.depths[-1]

    @property
    def block(self) -> str:
        """The block type's name, for people."""
        return self.choice.block.name or "body"

    def columns(self) -> dict[str, Floats]:
        """What tables take for settings by name, (K,) each: of those that are fixed too."""
        every = [self.choice.fixed | dict(combo) for combo in self.combos]
        return {name: np.array([as_number(one[name]) for one in every]) for name in every[0]}

    def width_index(self, number: int, block: int, draws: Draws) -> Ints:
        """(n,) positions in `widths` of the width of block `block` (from 0)."""
        return draws.trait(number, block, WIDTH, len(self.widths), shared=self.shared_width)

    def combo_index(self, number: int, block: int, draws: Draws) -> Ints:
        """(n,) positions in `combos` of the settings of block `block` (from 0)."""
        index: Ints = np.zeros(draws.count, dtype=np.int64)
        if not self.slots and len(self.combos) > 1:
            return self._grouped_index(number, block, draws)
        for trait, slot in enumerate(self.slots, WIDTH + 1):
            count = len(slot.values)
            index = index * count + draws.trait(number, block, trait, count, shared=slot.shared)
        return index

    def _grouped_index(self, number: int, block: int, draws: Draws) -> Ints:
        """As `combo_index`: a group, then one of its combos."""
        count = len(self.groups)
        chosen = draws.trait(number, block, WIDTH + 1, count, shared=True)
        index: Ints = np.zeros(draws.count, dtype=np.int64)
        for i, group in enumerate(self.groups):
            within = draws.trait(number, block, WIDTH + 2, len(group), shared=False)
            index = np.where(chosen == i, np.array(group)[within], index)
        return index


@lru_cache(maxsize=4096)
def stage_facts(stage: Stage) -> StageFacts:
    """The facts of an elastic stage with one block type and one window."""
    choice = stage.choices[0]
    slots = _slots(stage, choice) if are_free(choice) else ()
    combos = _combos(choice, slots) if are_free(choice) else _different(stage, choice)
    return StageFacts(
        name=stage.name,
        identity=stage_identity(stage),
        choice=choice,
        choice_id=choice_identity(choice),
        widths=stage.widths,
        depths=stage.depths,
        stride=stage.stride,
        shared_width=_shares(stage, "width"),
        slots=slots,
        combos=combos,
        groups=_groups(stage, combos),
    )


def _roles(choice: BlockChoice) -> dict[str, int]:
    """Where each of these parameters stands in canonical order."""
    return {name: int(new[1:]) for name, new in normal_ops(choice)[1].items()}


def _slots(stage: Stage, choice: BlockChoice) -> tuple[Slot, ...]:
    role = _roles(choice)
    chosen = [a for a in choice.chosen if a.name in role and len(a.values) > 1]
    chosen.sort(key=lambda a: role[a.name])
    return tuple(Slot(a.name, a.values, _shares(stage, a.name)) for a in chosen)


def _shares(stage: Stage, trait: str) -> bool:
    """Whether sharing says anything: as in the stage's identity, two blocks must be there."""
    return trait in stage.shared and stage.depths[-1] > 1


def _combos(choice: BlockChoice, slots: tuple[Slot, ...]) -> tuple[Settings, ...]:
    combos: list[Settings] = []
    for values in product(*(slot.values for slot in slots)):
        chosen = {slot.name: value for slot, value in zip(slots, values, strict=True)}
        combos.append(tuple((a.name, chosen.get(a.name, a.values[0])) for a in choice.chosen))
    return tuple(combos)


def _different(stage: Stage, choice: BlockChoice) -> tuple[Settings, ...]:
    """The settings that are different blocks, in canonical order."""
    role = _roles(choice)

    def order(combo: Settings) -> list[float]:
        return [as_number(v) for _, v in sorted(combo, key=lambda s: role[s[0]])]

    return tuple(sorted({c for g in shared_groups(stage, choice) for c in g}, key=order))


def _groups(stage: Stage, combos: tuple[Settings, ...]) -> tuple[tuple[int, ...], ...]:
    """Positions in `combos` by what all blocks of a stage share."""
    groups: dict[Settings, list[int]] = {}
    for k, combo in enumerate(combos):
        shared = tuple(s for s in combo if _shares(stage, s[0]))
        groups.setdefault(shared, []).append(k)
    return tuple(map(tuple, groups.values()))


@dataclass(frozen=True, slots=True)
class Upstream:
    """What comes into a stage: the widths it may have, and the elastic stage (from 1) whose last
    block has them, or stage 0, a fixed part of one width."""

    widths: tuple[int, ...]
    number: int = 0
    depths: tuple[int, ...] = (1,)
    shared_width: bool = False

    def behind(self, stage: Stage) -> Upstream:
        """What comes out of a stage that leaves no width to choose and is as short as it can be."""
        shortest = smallest_stage(stage)
        return replace(self, widths=tuple(shortest.behind(stage, w)[-1] for w in self.widths))

    def index(self, draws: Draws) -> Ints:
        """(n,) positions in `widths` of the last block's width."""
        last: Ints = np.zeros(draws.count, dtype=np.int64)
        if self.number == 0:
            return last
        depth = np.array(self.depths)[draws.depth(self.number, self.depths)]
        for block in range(self.depths[-1]):
            drawn = draws.trait(
                self.number, block, WIDTH, len(self.widths), shared=self.shared_width
            )
            last = np.where(depth > block, drawn, last)
        return last


def require_space(space: Space) -> None:
    """Raises `SpaceError` where `space` is not one whose score is defined."""
    if not space.elastic:
        raise fault("nothing-elastic", f"`{space.name}` has no elastic stage to score")
    for position in space.elastic:
        stage = space.stages[position]
        if not stage.widths:
            raise fault("no-widths", f"elastic stage `{stage.name}` has no widths to choose from")
        if len(stage.choices) != 1 or stage.window != len(stage.widths):
            message = f"`{space.name}` leaves the block type or window of `{stage.name}` open"
            raise fault("not-a-space", message, "a score is that of one space of a hyperspace")
