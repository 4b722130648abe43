"""Plans and subnets, from wherever they are. Imports no torch.

What they mean is `spacedsl`'s; here its errors become the runtime's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacedsl.compiler.subnets import check_member, load_subnet
from spacedsl.compiler.supernet import SupernetPlan, supernet_plan
from spacedsl.compiler.supernet_file import load_supernet_plan, supernet_plan_of_json
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.block import Value
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage
from spacedsl.operators.size import Size
from spacedsl_runtime.errors import PlanError, SpacedslError, SubnetError

Source = SupernetPlan | Space | Path | str | Mapping[str, Any]
"""A plan, a space, a page (`PATH`, `PATH#ITEM` or a name of the library), a plan's file (`.json`)
or its JSON object."""


def read_plan(source: Source, kind: str = "supernet") -> SupernetPlan:
    """The plan that `source` is or makes. Raises `PlanError` for one that is missing, damaged, or
    of another format, version or kind, and for a space that has no one supernet."""
    with mistakes(PlanError):
        found = _plan(source)
    if found.kind != kind:
        raise PlanError(f"{found.name}: a plan of kind {found.kind!r} where {kind!r} is needed")
    return found


def _plan(source: Source) -> SupernetPlan:
    if isinstance(source, SupernetPlan):
        return source
    if isinstance(source, Space):
        return supernet_plan(source)
    if isinstance(source, Mapping):
        return supernet_plan_of_json(source)
    if Path(source).suffix == ".json":
        return load_supernet_plan(Path(source))
    from spacedsl.api import load_space

    return supernet_plan(load_space(source))


def read_subnet(source: Path | str | Mapping[str, Any], plan: SupernetPlan) -> Subnet:
    """A subnet of the plan's space from a file, or from its JSON object. Raises `SubnetError`."""
    with mistakes(SubnetError):
        return load_subnet(source if isinstance(source, Mapping) else Path(source), plan)


def check_subnet(plan: SupernetPlan, subnet: Subnet) -> None:
    """Raise `SubnetError` unless `subnet` is one of the plan's, naming what is not and what is."""
    with mistakes(SubnetError):
        check_member(plan, subnet)


Choices = tuple[int, Size, tuple[tuple[tuple[int, tuple[Value, ...]], ...], ...]]
"""What a subnet of a known supernet chooses: input width, resolution and, block by block, its width
and settings. Plain numbers: torch.compile takes them for constants."""


def choices_of(subnet: Subnet) -> Choices:
    """What a subnet chooses."""
    stages = [
        tuple([(b.width, tuple([s.value for s in b.settings])) for b in stage.blocks])
        for stage in subnet.stages
    ]
    return subnet.of.channels, subnet.resolution, tuple(stages)


def subnet_of(plan: SupernetPlan, choices: Choices) -> Subnet:
    """The subnet of a plan with these choices. Raises `ValueError` where it has others to make."""
    cin, resolution, chosen = choices
    stages: list[SubnetStage] = []
    for declared, blocks in zip(plan.stages, chosen, strict=True):
        names = [arg.name for arg in declared.choices[0].chosen]
        made = []
        for width, values in blocks:
            pairs = zip(names, values, strict=True)
            settings = tuple(Setting(name=name, value=value) for name, value in pairs)
            made.append(SubnetBlock(width=width, settings=settings))
        stages.append(SubnetStage(blocks=tuple(made)))
    return Subnet(name="subnet", of=plan.reading(cin), resolution=resolution, stages=tuple(stages))


@contextmanager
def mistakes(error: Callable[[str, str | None], SpacedslError]) -> Iterator[None]:
    """Errors of a page or a file as the runtime's."""
    try:
        yield
    except SpaceError as found:
        first = found.diagnostics[0]
        raise error(first.message, first.help) from None
