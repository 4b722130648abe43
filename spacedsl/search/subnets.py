"""Evolution of subnets under latency limits (OFA: Cai et al., ICLR 2020).

For every limit a population of subnets whose latency is just below it; in each round the better
half stays and is mutated and crossed. A subnet is valued once, whatever limit asks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spacedsl.diagnostics import fault
from spacedsl.ir.block import Value as Choice
from spacedsl.ir.settings import canonical_stage
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.operators.size import as_number

POPULATION, ROUNDS = 512, 20
MUTATED, MUTATED_RESOLUTION = 0.3, 0.5
"""Chance of a gene (a depth, a width, a setting) and of the resolution to be drawn anew."""

WINDOW = 0.1
"""Subnets are looked for within this share below their limit."""

VALUES = 400
"""How many subnets a search by prediction values at most."""

TRIES = 40
"""Random subnets per place in the first population before walks look for the rest."""

STEPS = 400
"""Steps of a walk towards a range of latencies."""

Ms = Callable[[Subnet], float]
"""A subnet's predicted latency in milliseconds."""

Value = Callable[[Sequence[Subnet]], Sequence[float]]
"""How good each of some subnets is; the same for a subnet whenever it is asked."""


@dataclass(frozen=True, slots=True)
class EvolutionSettings:
    """`population` subnets, half of which are parents; a quarter of it is mutated and a quarter
    crossed in each of `rounds`. `window`: the share below a limit in which subnets are looked
    for."""

    population: int = POPULATION
    rounds: int = ROUNDS
    window: float = WINDOW
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises `SpaceError`."""
        for name, holds, rule in (
            ("population", self.population >= 4, "is below 4"),
            ("rounds", self.rounds >= 0, "is negative"),
            ("window", 0 < self.window <= 1, "is not within 0 and 1"),
            ("seed", self.seed >= 0, "is negative"),
        ):
            if not holds:
                raise fault("bad-option", f"{name} {getattr(self, name):g} {rule}")

    @property
    def children(self) -> int:
        """How many are mutated in a round, and how many crossed."""
        return self.population // 4

    def most(self, limits: int) -> int:
        """How many subnets so many limits ask to be valued, at most."""
        return limits * (self.population + 2 * self.children * self.rounds)


@dataclass(frozen=True, slots=True)
class Best:
    """The best subnet for a limit, by value; of equals the faster one."""

    limit_ms: float
    subnet: Subnet
    ms: float
    value: float


@dataclass(frozen=True, slots=True)
class _Member:
    subnet: Subnet
    ms: float
    value: float


def require_limits(space: Space, limits_ms: Sequence[float], range_ms: tuple[float, float]) -> None:
    """Raises `SpaceError` for a limit that no subnet of a space meets."""
    for limit in limits_ms:
        if limit < range_ms[0]:
            raise fault(
                "no-subnet",
                f"no subnet of {space.name} meets {limit:g} ms: their latencies are "
                f"{range_ms[0]:.4g} to {range_ms[1]:.4g} ms",
                "ask for limits within that",
            )


def search_subnets(
    space: Space,
    limits_ms: Sequence[float],
    range_ms: tuple[float, float],
    ms: Ms,
    value: Value,
    plan: EvolutionSettings,
) -> tuple[Best, ...]:
    """The best subnet of a space for every limit. `range_ms`: least and greatest latency of its
    subnets. Raises `SpaceError` for a limit that no subnet meets."""
    require_limits(space, limits_ms, range_ms)
    found = [_Limit(space, t, range_ms, ms, value, plan).best() for t in limits_ms]

    def best(limit_ms: float) -> Best:
        """Of those of all limits: a faster one may be better than all in a limit's own window."""
        return min((b for b in found if b.ms <= limit_ms), key=lambda b: (-b.value, b.ms))

    return tuple(replace(best(t), limit_ms=t) for t in limits_ms)


@dataclass(frozen=True, slots=True)
class _Limit:
    """The search for one limit."""

    space: Space
    limit_ms: float
    range_ms: tuple[float, float]
    ms: Ms
    value: Value
    plan: EvolutionSettings

    def best(self) -> Best:
        rng = random.Random(f"{self.plan.seed} {self.limit_ms!r}")  # noqa: S311  not for secrets
        low, high, first = self._first(rng)
        living = self._valued(first)
        for _ in range(self.plan.rounds):
            parents = living[: max(2, self.plan.population // 2)]
            known = {m.subnet for m in living}
            children: list[Subnet] = []
            for mutating in (True, False):
                for _ in range(self.plan.children):
                    child = self._child(parents, mutating, (low, high), known, rng)
                    if child is not None:
                        known.add(child)
                        children.append(child)
            living = _ranked([*parents, *self._valued(children)])
        found = living[0]
        return Best(self.limit_ms, found.subnet, found.ms, found.value)

    def _valued(self, subnets: Sequence[Subnet]) -> list[_Member]:
        values = self.value(subnets)
        return _ranked([_Member(s, self.ms(s), v) for s, v in zip(subnets, values, strict=True)])

    def _first(self, rng: random.Random) -> tuple[float, float, list[Subnet]]:
        """The range of latencies that is searched, and different subnets in it. Where there are
        none just below the limit, the range is widened downwards."""
        high = min(self.limit_ms, self.range_ms[1])
        share = self.plan.window
        while True:
            low = high * (1 - share)
            found = self._members(low, high, rng)
            if found or low <= 0:
                break
            share = min(1.0, 2 * share)
        if not found:
            message = f"no subnet of {self.space.name} below {self.limit_ms:g} ms was found"
            raise fault("no-subnet", message, "ask for a greater limit")
        return low, high, found

    def _members(self, low: float, high: float, rng: random.Random) -> list[Subnet]:
        found: dict[Subnet, None] = {}
        wanted = self.plan.population
        for _ in range(TRIES * wanted):
            subnet = random_member(self.space, rng)
            if low <= self.ms(subnet) <= high:
                found[subnet] = None
            if len(found) == wanted:
                return list(found)
        for _ in range(wanted - len(found)):
            walked = self._walk(low, high, rng)
            if walked is not None:
                found[walked] = None
        return list(found)

    def _walk(self, low: float, high: float, rng: random.Random) -> Subnet | None:
        """From a random subnet by mutations that lead no further away."""
        here = random_member(self.space, rng)
        for _ in range(STEPS):
            distance = _distance(self.ms(here), low, high)
            if distance == 0:
                return here
            there = mutate(here, MUTATED / 2, MUTATED_RESOLUTION / 2, rng)
            if _distance(self.ms(there), low, high) <= distance:
                here = there
        return None

    def _child(
        self,
        parents: Sequence[_Member],
        mutating: bool,
        window: tuple[float, float],
        known: set[Subnet],
        rng: random.Random,
    ) -> Subnet | None:
        """A new subnet within the window; None where none was found in some tries."""
        for _ in range(TRIES):
            parent = rng.choice(parents).subnet
            if mutating:
                child = mutate(parent, MUTATED, MUTATED_RESOLUTION, rng)
            else:
                child = cross(parent, rng.choice(parents).subnet, rng)
            if child not in known and window[0] <= self.ms(child) <= window[1]:
                return child
        return None


def _ranked(members: Sequence[_Member]) -> list[_Member]:
    """Best first; a stable order."""
    return sorted(members, key=lambda m: (-m.value, m.ms))


def _distance(ms: float, low: float, high: float) -> float:
    return max(low - ms, ms - high, 0.0)


def random_member(space: Space, rng: random.Random) -> Subnet:
    """A random subnet of a space: what `mutate` makes of any when everything is drawn anew."""
    stages = tuple(
        _stage(stage, rng.choice(stage.depths), lambda _, pool: rng.choice(pool))
        for stage in space.stages
    )
    return Subnet(name="subnet", of=space, resolution=rng.choice(space.resolutions), stages=stages)


def mutate(subnet: Subnet, genes: float, resolution: float, rng: random.Random) -> Subnet:
    """A subnet of the same space: its resolution is drawn anew with one chance, every depth, width
    and setting with the other. Blocks that a greater depth adds are random."""
    stages: list[SubnetStage] = []
    for stage, before in zip(subnet.of.stages, subnet.stages, strict=True):
        depth = len(before.blocks)
        if rng.random() < genes:
            depth = rng.choice(stage.depths)

        def gene(at: Gene, pool: Pool, before: SubnetStage = before) -> Choice:
            position, name = at
            if position >= len(before.blocks) or rng.random() < genes:
                return rng.choice(pool)
            return _value(before.blocks[position], name)

        stages.append(_stage(stage, depth, gene))
    size = subnet.resolution
    if rng.random() < resolution:
        size = rng.choice(subnet.of.resolutions)
    return subnet.model_copy(update={"resolution": size, "stages": tuple(stages)})


def cross(one: Subnet, other: Subnet, rng: random.Random) -> Subnet:
    """A subnet with the resolution, the depths, widths and settings of either parent; blocks that
    one of them does not have are the other's."""
    stages: list[SubnetStage] = []
    for stage, *parents in zip(one.of.stages, one.stages, other.stages, strict=True):
        depth = len(rng.choice(parents).blocks)

        def gene(at: Gene, pool: Pool, parents: list[SubnetStage] = parents) -> Choice:
            position, name = at
            having = [p for p in parents if position < len(p.blocks)]
            return _value(rng.choice(having).blocks[position], name)

        stages.append(_stage(stage, depth, gene))
    size = rng.choice((one, other)).resolution
    return one.model_copy(update={"resolution": size, "stages": tuple(stages)})


Gene = tuple[int, str]
"""A block's position in its stage, and a setting's name ("" for the width)."""

Pool = Sequence[Choice]


def _stage(stage: Stage, depth: int, gene: Callable[[Gene, Pool], Choice]) -> SubnetStage:
    """A stage of `depth` blocks of which `gene` says every value, shared ones once; in canonical
    form, so that one network is one subnet."""
    pools: dict[str, Pool] = {"": stage.windows[0]} if stage.widths else {}
    pools |= {arg.name: arg.values for arg in stage.choices[0].chosen}
    shared = {"" if name == "width" else name for name in stage.shared}
    once = {name: gene((0, name), pool) for name, pool in pools.items() if name in shared}
    blocks: list[SubnetBlock] = []
    for position in range(depth):
        found = {n: once[n] if n in once else gene((position, n), p) for n, p in pools.items()}
        width = found.pop("", 0)
        settings = tuple(Setting(name=name, value=value) for name, value in found.items())
        blocks.append(SubnetBlock(width=int(as_number(width)), settings=settings))
    return canonical_stage(stage, SubnetStage(blocks=tuple(blocks)))


def _value(block: SubnetBlock, name: str) -> Choice:
    return block.setting(name) if name else block.width
