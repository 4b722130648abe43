"""Pages as values: spaces and models that know their sizes, samples and text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacedsl import api
from spacedsl.bridges.optuna import Trial, parameters, suggest
from spacedsl.diagnostics import fault
from spacedsl.figures import amount, counted
from spacedsl.files import write_atomic
from spacedsl.ir import space as ir_space
from spacedsl.ir import subnet as ir_subnet
from spacedsl.ir.block import Value
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.diff import Change, diff_spaces, diff_subnets
from spacedsl.ir.expr import Frozen
from spacedsl.ir.identity import space_identity
from spacedsl.ir.item import Item
from spacedsl.ir.size import count_subnets
from spacedsl.lang.page import Loader, main_item
from spacedsl.lang.resolve import resolved_text
from spacedsl.lang.values import shown, widths_text
from spacedsl.lang.write import write
from spacedsl.notebook import html
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.extremes import CostRange, cost_range
from spacedsl.passes.memory import subnet_memory
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source


def _same(mine: Frozen, other: object, kind: type[Frozen]) -> bool:
    """A value equals what the rest of the package makes of the same page."""
    return isinstance(other, kind) and mine.__dict__ == other.__dict__


class Model(ir_subnet.Subnet):
    """One network of a space. Counts are those of `spacedsl show`."""

    def __eq__(self, other: object) -> bool:
        return _same(self, other, ir_subnet.Subnet)

    __hash__ = ir_subnet.Subnet.__hash__

    @property
    def flops(self) -> int:
        """Multiply-accumulates."""
        return subnet_cost(self).flops

    @property
    def params(self) -> int:
        """Weights and three LSQ+ scalars per convolution, as the published tables count them."""
        return subnet_cost(self).params

    @property
    def weights(self) -> int:
        """Weights of the deployed network."""
        return subnet_cost(self).weights

    @property
    def memory(self) -> int:
        """Bytes of 8-bit activations that are alive at a time, at most."""
        return subnet_memory(self)

    @property
    def hash(self) -> str:
        """What this network is, in a hash."""
        return subnet_identity(self)

    @property
    def text(self) -> str:
        """Its page, which names the space that it is of."""
        return write(self)

    @property
    def trial(self) -> dict[str, Value]:
        """The parameters by which a trial of Optuna asks for this model."""
        return parameters(self)

    def diff(self, other: ir_subnet.Subnet) -> Diff:
        """What differs in another model, by meaning."""
        return Diff(self.name, other.name, diff_subnets(self, other))

    def save(self, path: str | Path) -> Path:
        """Write a page that needs no other page beside it, and return where it is."""
        return _saved(path, resolved_text(self))

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return (
            f"<model {self.name} of {self.of.name}: {self.resolution} px, "
            f"{amount(self.flops)} FLOPs, {amount(self.params)} params>"
        )

    def _repr_html_(self) -> str:
        rows = [
            ("input", f"{self.resolution} px"),
            ("FLOPs", amount(self.flops)),
            ("params", amount(self.params)),
            ("memory", f"{amount(self.memory)} bytes"),
        ]
        return html.titled(f"model {self.name}", html.table((), rows), html.page(self.text))


class Space(ir_space.Space):
    """A space, or a hyperspace of spaces."""

    def __eq__(self, other: object) -> bool:
        return _same(self, other, ir_space.Space)

    __hash__ = ir_space.Space.__hash__

    def sample(self, n: int = 1, *, seed: int = 0) -> list[Model]:
        """`n` random models; the same for the same seed."""
        if n < 0:
            raise fault("bad-option", f"{n} models", "say how many, from 0 on")
        return [model(found) for found in api.sample(self, n, seed)]

    def suggest(self, trial: Trial, name: str = "suggested") -> Model:
        """The model that a trial of Optuna asks for."""
        return model(suggest(self, trial, name))

    def __contains__(self, found: object) -> bool:
        """Whether a model is one of its models."""
        return isinstance(found, ir_subnet.Subnet) and subnet_mismatch(self, found) is None

    @property
    def subnets(self) -> int:
        """How many models there are, exactly."""
        return count_subnets(self)

    @property
    def costs(self) -> CostRange:
        """Least and greatest FLOPs, parameters and memory of its models, all attained."""
        return cost_range(self)

    @property
    def hash(self) -> str:
        """What this space is, in a hash."""
        return space_identity(self)

    @property
    def text(self) -> str:
        """Its page, which names the hyperspace that it is of."""
        return write(self)

    def diff(self, other: ir_space.Space) -> Diff:
        """What differs in another space, by meaning."""
        return Diff(self.name, other.name, diff_spaces(self, other))

    def save(self, path: str | Path) -> Path:
        """Write a page that needs no other page beside it, and return where it is."""
        return _saved(path, resolved_text(self))

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        of = f" of {self.of.name}" if self.of else ""
        return f"<{self.kind} {self.name}{of}: {counted(self.subnets, 'model')}>"

    def _repr_html_(self) -> str:
        rows = [(s.name, widths_text(s), shown(s.depths), _blocks(s)) for s in self.said]
        heads = ("stage", "width", "depth", "blocks")
        said = f"{self.kind} {self.name}: {shown(self.resolutions)} px, "
        said += counted(self.subnets, "model")
        return html.titled(said, html.table(heads, rows), html.page(self.text))


@dataclass(frozen=True, slots=True, repr=False)
class Diff:
    """What differs between two values, by meaning: true where anything does."""

    a: str
    b: str
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __repr__(self) -> str:
        return f"<diff of {self.a} and {self.b}: {counted(len(self.changes), 'change')}>"

    def _repr_html_(self) -> str:
        rows = [(c.stage or "", c.key, _side(c.before), _side(c.after)) for c in self.changes]
        return html.titled(f"{self.a} -> {self.b}", html.table(("", "", self.a, self.b), rows))


def _side(values: Any) -> str:
    return ", ".join(map(str, values)) if values else "none"


def _blocks(stage: ir_space.Stage) -> str:
    return ", ".join(choice.block.name or "body" for choice in stage.choices)


def _saved(path: str | Path, text: str) -> Path:
    write_atomic(Path(path), text)
    return Path(path)


def space(found: ir_space.Space) -> Space:
    """The value with methods of a plain one."""
    return Space.model_construct(**dict(found))


def model(found: ir_subnet.Subnet) -> Model:
    """The value with methods of a plain one."""
    return Model.model_construct(**dict(found))


def _value(item: Item, said: str) -> Space | Model:
    if isinstance(item, ir_space.Space):
        return space(item)
    if isinstance(item, ir_subnet.Subnet):
        return model(item)
    raise fault("wrong-kind", f"{said} is not a hyperspace, a space or a model")


def load(spec: str | Path) -> Space | Model:
    """The hyperspace, space or model of a page: a path, a name of the library (`vnni`), either
    followed by `#ITEM`. Raises `SpaceError`."""
    return _value(api.load(spec), str(spec))


def load_space(spec: str | Path) -> Space:
    """As `load`, for a hyperspace or a space."""
    return space(api.load_space(spec))


def space_of(found: ir_space.Space | str | Path) -> ir_space.Space:
    """The space that is meant: itself, or the one of a page. Raises `SpaceError`."""
    return found if isinstance(found, ir_space.Space) else load_space(found)


def load_model(spec: str | Path) -> Model:
    """As `load`, for a model."""
    found = api.load(spec)
    if not isinstance(found, ir_subnet.Subnet):
        raise fault("wrong-kind", f"{spec} is not a model")
    return model(found)


def parse(text: str, name: str | None = None, *, folder: str | Path = ".") -> Space | Model:
    """The hyperspace, space or model of a page's text, or its item `name`; `use` and `of` are
    looked for in `folder` and in the library. Raises `SpaceError`."""
    if not isinstance(text, str):
        message = f"a page is text, not a value of {type(text).__name__}"
        raise fault("wrong-kind", message, "`load` takes a path; bytes need `.decode()`")
    page = Loader().parse(Source("text", text), Path(folder))
    items = [n for n in page.names if page.kind(n) in ("hyperspace", "space", "model")]
    if name is None and len(items) > 1:
        message = f"the text has several: {', '.join(items)}"
        raise fault("several-items", message, f'name one: parse(text, "{items[-1]}")')
    return _value(page.get(name or (items or [main_item(page)])[0]), name or "the page")


def sample(found: ir_space.Space, n: int = 1, seed: int = 0) -> list[Model]:
    """`n` random models of a space, as `Space.sample`."""
    return space(found).sample(n, seed=seed)
