"""Candidates: the spaces of a hyperspace, as one block type and one width window per elastic stage.

Choices are numbered in canonical order (block types by identity, windows narrowest first), so that
hyperspaces of equal hash are searched alike, however their pages are written."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from math import prod

from spacedsl.diagnostics import fault
from spacedsl.ir.covers import mismatch
from spacedsl.ir.identity import choice_identity, identity_of, stage_identity
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.search.stream import Stream
from spacedsl.search.within import Within

GUESSES = 1_000
"""Random genotypes tried for a new one before those that are left are listed."""

LIMITED_GUESSES = 50_000
"""As many where a limit leaves some out."""

COUNTED = 200_000
"""Hyperspaces of at most this many spaces are listed where there is a limit."""

Gene = tuple[int, int]
"""(block type, width window) of one elastic stage, both in canonical order."""

Genotype = tuple[Gene, ...]
"""One gene per elastic stage, from the input on."""


def canonical_choices(stage: Stage) -> tuple[BlockChoice, ...]:
    """The block types of a stage, each once, ordered by identity."""
    return tuple(c for _, c in sorted({choice_identity(c): c for c in stage.choices}.items()))


def narrowed(stage: Stage, choice: BlockChoice, widths: tuple[int, ...]) -> Stage:
    """`stage` with one block type and one width window."""
    update = {"choices": (choice,), "widths": widths, "window": len(widths)}
    return stage.model_copy(update=update)


@dataclass(frozen=True)
class Genome:
    """The genotypes of a hyperspace."""

    hyper: Space

    @cached_property
    def alternatives(self) -> tuple[tuple[tuple[Stage, ...], ...], ...]:
        """Per elastic stage, block type and window: the stage of a space that has them."""
        stages = [self.hyper.stages[i] for i in self.hyper.elastic]
        if not stages:
            raise fault("nothing-elastic", f"`{self.hyper.name}` has no elastic stage to search")
        return tuple(
            tuple(tuple(narrowed(s, c, w) for w in s.windows) for c in canonical_choices(s))
            for s in stages
        )

    @cached_property
    def shape(self) -> tuple[Gene, ...]:
        """(block types, windows) per elastic stage."""
        return tuple((len(choices), len(choices[0])) for choices in self.alternatives)

    @cached_property
    def size(self) -> int:
        """Number of genotypes."""
        return prod(blocks * windows for blocks, windows in self.shape)

    @cached_property
    def _identities(self) -> tuple[list[str], list[list[list[str]]]]:
        """Hashes of the hyperspace's stages, and of every alternative of the elastic ones."""
        alternatives = [
            [[stage_identity(stage) for stage in windows] for windows in choices]
            for choices in self.alternatives
        ]
        return [stage_identity(stage) for stage in self.hyper.stages], alternatives

    def identity(self, genotype: Genotype) -> str:
        """The content hash of a genotype's space."""
        stages, alternatives = self._identities
        found = list(stages)
        genes = zip(self.hyper.elastic, alternatives, genotype, strict=True)
        for position, choices, (block, window) in genes:
            found[position] = choices[block][window]
        return identity_of(self.hyper.resolutions, found, self.hyper.taps)

    @cached_property
    def within(self) -> Within | None:
        """What says which genotypes keep the hyperspace's limit, where it has one."""
        return Within(self.hyper, self.alternatives) if self.hyper.limit else None

    def keeps(self, genotype: Genotype) -> bool:
        """Whether a genotype is one of the hyperspace's, whose limit may leave some out."""
        return self.within is None or self.within.keeps(genotype)

    @cached_property
    def kept(self) -> int:
        """How many genotypes keep the limit; where there are more than `COUNTED`, of all."""
        if self.within is None or self.size > COUNTED:
            return self.size
        return sum(map(self.keeps, map(self.at, range(self.size))))

    def drawn(self, stream: Stream, seen: Container[Genotype]) -> Genotype:
        """A uniformly random genotype that keeps the limit and is not in `seen`. Raises
        `SpaceError` where it finds none."""
        for _ in range(GUESSES if self.within is None else LIMITED_GUESSES):
            found = self.at(stream.below(self.size))
            if found not in seen and self.keeps(found):
                return found
        if self.within is None or self.size <= COUNTED:
            every = map(self.at, range(self.size))
            rest = [g for g in every if g not in seen and self.keeps(g)]
            if rest:
                return stream.pick(rest)
        raise self.unkept()

    def unkept(self) -> Exception:
        """The error where no genotype keeps the limit, or none that is new was found."""
        message = f"no space of `{self.hyper.name}` was found that keeps its limit"
        return fault("over-limit", message, "raise the limit, or offer smaller blocks and widths")

    def at(self, index: int) -> Genotype:
        """Genotype `index` of 0..size-1, the last stage running fastest."""
        genes: list[Gene] = []
        for blocks, windows in reversed(self.shape):
            index, gene = divmod(index, blocks * windows)
            genes.append(divmod(gene, windows))
        return tuple(reversed(genes))

    def to_space(self, genotype: Genotype, name: str) -> Space:
        """The space of a genotype; stages that are not elastic are the hyperspace's."""
        stages = list(self.hyper.stages)
        genes = zip(self.hyper.elastic, self.alternatives, genotype, strict=True)
        for position, choices, (block, window) in genes:
            stages[position] = choices[block][window]
        update = {"kind": "space", "name": name, "of": self.hyper, "stages": tuple(stages)}
        return self.hyper.model_copy(update=update)

    def from_space(self, space: Space) -> Genotype:
        """The genotype of a space. Raises `SpaceError` where it is not exactly one of the
        hyperspace's: another block type, or narrower."""
        found = mismatch(self.hyper, space)
        if found is not None:
            where = f"`{found.stage}`: " if found.stage else ""
            message = f"`{space.name}` is not in `{self.hyper.name}`: {where}{found.reason}"
            raise fault("not-a-member", message)
        genes: list[Gene] = []
        for position, declared in enumerate(self.hyper.stages):
            stage = space.stages[position]
            wanted = stage_identity(stage)
            if not declared.elastic:
                if stage_identity(declared) != wanted:
                    raise self._inexact(space, stage)
                continue
            choices = self.alternatives[len(genes)]
            gene = next((g for g in _genes(choices) if _identity(choices, g) == wanted), None)
            if gene is None:
                raise self._inexact(space, stage)
            genes.append(gene)
        if space.resolutions != self.hyper.resolutions:
            raise self._inexact(space, None)
        return tuple(genes)

    def _inexact(self, space: Space, stage: Stage | None) -> Exception:
        where = f"its `{stage.name}`" if stage else "its input"
        return fault(
            "narrower",
            f"`{space.name}` is narrower than the spaces of `{self.hyper.name}`: {where}",
            "a search goes over whole block types and width windows only",
        )


def _genes(choices: tuple[tuple[Stage, ...], ...]) -> list[Gene]:
    return [(b, w) for b, windows in enumerate(choices) for w in range(len(windows))]


def _identity(choices: tuple[tuple[Stage, ...], ...], gene: Gene) -> str:
    return stage_identity(choices[gene[0]][gene[1]])


def mutate(genome: Genome, genotype: Genotype, what: int, stream: Stream) -> Genotype | None:
    """`genotype` with another block type (`what` 0) or another width window (`what` 1) in one
    random stage; None where no stage has another one."""
    places = [i for i, gene in enumerate(genome.shape) if gene[what] > 1]
    if not places:
        return None
    place = stream.pick(places)
    gene = list(genotype[place])
    other = stream.below(genome.shape[place][what] - 1)
    gene[what] = other + (other >= gene[what])
    return (*genotype[:place], (gene[0], gene[1]), *genotype[place + 1 :])
