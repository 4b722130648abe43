"""Which networks a batch of a profile is made of: those that hold what is not covered yet, small
ones, those about which the model so far is least sure, and some at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from spacedsl.diagnostics import fault
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import random_subnet, small_subnet
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.errors import BindError
from spacedsl.passes.kernels import Kernel
from spacedsl.passes.network import subnet_identity
from spacedsl.search.protocols import Coverage
from spacedsl.targets.attribution import kernel_owners
from spacedsl.targets.covered import Ranges, Wanted, uncovered
from spacedsl.targets.features import work_of
from spacedsl.targets.kernel_model import KernelModel, fit_kernels
from spacedsl.targets.profile_file import BatchRecord, SpaceNote
from spacedsl.targets.profile_fit import samples_of

POOL = 6
"""Networks that are looked at for each one that is measured."""

GAP_POOL = 24
GAP_SHARE, SMALL_SHARE, RANDOM_SHARE = 0.5, 0.2, 0.4
"""Of the networks of a batch, at most those chosen for what is not covered yet; those that are
small; and of the others those chosen at random."""

DESIGN_POINTS = 400
DESIGN_BATCHES = (1, 2, 4, 8, 16, 32)
"""After so many batches the model that chooses is fitted again."""

Drawn = tuple[Subnet, tuple[Kernel, ...]]


class Chooser:
    """Chooses networks; the same ones for the same profile so far. Raises `SpaceError` where a
    space's members cannot be built."""

    def __init__(self, spaces: Sequence[Space], batches: Sequence[BatchRecord]) -> None:
        self._spaces = [(space, _note_of(space)) for space in spaces]
        self._wanted = [Wanted(space) for space in spaces]
        self._model: KernelModel | None = None
        self._fitted_at = 0
        nets = [net for batch in batches for net in (*batch.references, *batch.nets)]
        self._measured = {net.hash for net in nets}
        self._kernels = {Kernel(*kernel) for net in nets for kernel in net.kernels}
        self._gaps = self._open_gaps()

    @property
    def missing(self) -> int:
        """Kernels of which nothing is known yet."""
        return len({kernel for gaps in self._gaps for kernel in uncovered(gaps)})

    @property
    def covered(self) -> tuple[str, ...]:
        """Hashes of the spaces whose members are covered."""
        known = zip(self._spaces, self._wanted, self._gaps, strict=True)
        return tuple(note.hash for (_, note), wanted, gaps in known if wanted.covered(gaps))

    def saw(self, kernels: Sequence[Kernel]) -> None:
        """These were measured."""
        self._kernels.update(kernels)
        self._gaps = self._open_gaps()

    def _open_gaps(self) -> list[dict[Kernel, Coverage]]:
        ranges = Ranges(sorted(self._kernels))
        return [wanted.gaps(ranges) for wanted in self._wanted]

    def choose(self, count: int, batches: Sequence[BatchRecord]) -> list[tuple[Subnet, SpaceNote]]:
        """`count` networks, their spaces in turn."""
        number = len(batches)
        self._fit(batches)
        rng = random.Random(f"spacedsl profile {number}")  # noqa: S311  not for secrets
        open_gaps = [dict(gaps) for gaps in self._gaps]
        found: list[tuple[Subnet, SpaceNote]] = []
        for i in range(count):
            place = (number * count + i) % len(self._spaces)
            space, note = self._spaces[place]
            gaps = open_gaps[place]
            if i >= count * (1 - SMALL_SHARE):
                subnet, kernels = min(self._pool(space, POOL, rng, small_subnet), key=_work)
            elif gaps and i < count * GAP_SHARE:
                subnet, kernels = max(
                    self._pool(space, GAP_POOL, rng), key=lambda drawn: _filled(drawn, gaps)
                )
            else:
                subnet, kernels = self._least_sure(self._pool(space, POOL, rng), rng)
            for kernel in kernels:
                gaps.pop(kernel, None)
            self._measured.add(subnet_identity(subnet))
            found.append((subnet, note))
        return found

    def _pool(
        self,
        space: Space,
        count: int,
        rng: random.Random,
        draw: Callable[[Space, random.Random, str], Subnet] = random_subnet,
    ) -> list[Drawn]:
        """Random members, those that were not measured where there are any."""
        drawn = [draw(space, rng, space.name) for _ in range(count)]
        new = [subnet for subnet in drawn if subnet_identity(subnet) not in self._measured]
        return [(subnet, kernel_owners(subnet)[0]) for subnet in new or drawn]

    def _least_sure(self, pool: Sequence[Drawn], rng: random.Random) -> Drawn:
        model = self._model
        if model is None or rng.random() < RANDOM_SHARE:
            return pool[0]
        return max(pool, key=lambda drawn: model.doubt(drawn[1]))

    def _fit(self, batches: Sequence[BatchRecord]) -> None:
        due = [n for n in DESIGN_BATCHES if self._fitted_at < n <= len(batches)]
        if due:
            self._fitted_at = len(batches)
            self._model = fit_kernels(samples_of(batches), DESIGN_POINTS)


def _filled(drawn: Drawn, gaps: dict[Kernel, Coverage]) -> int:
    """How much of what is missing a network holds; what is uncovered counts before all else."""
    held = gaps.keys() & set(drawn[1])
    return len(held) + len(gaps) * sum(gaps[kernel] == Coverage.UNCOVERED for kernel in held)


def _work(drawn: Drawn) -> float:
    return sum(work_of(kernel)[0] for kernel in drawn[1])


def _note_of(space: Space) -> SpaceNote:
    """How a profile names a space. Raises `SpaceError` where no member can be built."""
    try:
        kernel_owners(random_subnet(space, random.Random(0), space.name))  # noqa: S311
    except BindError as error:
        raise fault("bad-body", f"{space.name}: {error}") from None
    return SpaceNote(name=space.name, hash=space_identity(space), resolutions=space.resolutions)
