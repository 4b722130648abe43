"""Where what an item says was written: in its page, or in those it inherits from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from spacedsl.diagnostics import Place, place
from spacedsl.ir.space import Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.scope import Scope
from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span

Page = TypeVar("Page", bound=Scope)

STAGE_KEYS = ("width", "window", "depth", "stride", "shared")


@dataclass(frozen=True, slots=True)
class Origin:
    """`stage` is "" for the item itself; `text` is what is written at `place`, on one line."""

    stage: str
    key: str
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Level(Generic[Page]):
    """An item in its page."""

    page: Page
    node: Node

    def stage(self, name: str) -> Node | None:
        found = [n for n in self.node.all("stage") if n.token("NAME").text == name]
        return found[0] if found else None


def origin(
    scope: Scope, name: str, stage: str, key: str, block: str = "", *, elastic: bool = True
) -> Origin | None:
    """Where the `key` of a stage ("" for the item) of space `name` comes from: `block`, `width`,
    ..., or a parameter of block `block`. None where nothing says it."""
    for level in levels(scope, name):
        found = _said(level, stage, key, block, elastic)
        if found is not None:
            source = level.page.source
            text = " ".join(source.text[found.start : found.end].split())
            return Origin(stage, key, text, place(source, found))
    return None


def levels(scope: Page, name: str) -> Iterator[Level[Page]]:
    """The item and what it is `of`, outwards."""
    seen: set[tuple[str, str]] = set()
    while name in scope.items and (scope.source.name, name) not in seen:
        seen.add((scope.source.name, name))
        level = Level(scope, scope.items[name])
        yield level
        of = level.node.first("of")
        if of is None:
            return
        name = of.token("NAME").text
        scope = next(iter(scope.holders(name, "space")), scope)


def _said(level: Level[Scope], stage: str, key: str, block: str, elastic: bool) -> Span | None:
    if not stage:
        node = level.node.first(key)
        return node.span if node else None
    own = level.stage(stage)
    if key in STAGE_KEYS:
        node = own.first(key) if own else None
        return node.span if node else None
    listed = level.node.first("blocks") if elastic else None
    for holder in (own, listed):
        found = _block_said(holder, key, block) if holder else None
        if found is not None:
            return found
    return None


def _block_said(holder: Node, key: str, block: str) -> Span | None:
    """The list of blocks or the body, or what is said of one parameter of `block`."""
    choices = holder.all("choice", *IN_BODIES)
    if not choices:
        return None
    if key == "block":
        return choices[0].span.to(choices[-1].span)
    named = [n for n in choices if n.rule == "choice" and n.token("NAME").text == block]
    args = [a for n in named for a in n.all("arg") if a.token("NAME").text == key]
    return args[0].span if args else None


def origins(scope: Scope, name: str) -> list[Origin]:
    """Where every part of a space, or of the space of a model, was written. Raises
    `SpaceError`."""
    item = scope.get(name)
    if isinstance(item, Subnet):
        own = scope.items[name].all("model_stage")
        found = [_of_model(scope, node) for node in own]
        of = item.of.name
        holder = next(iter(scope.holders(of, "space")), scope)
        return [*found, *origins(holder, of)]
    if not isinstance(item, Space):
        return []
    said = [origin(scope, name, "", key) for key in ("input", "quality", "limit", "taps")]
    for stage in item.said:
        said += [
            origin(scope, name, stage.name, key, block, elastic=stage.elastic)
            for key, block in _keys(stage)
        ]
    return [o for o in said if o is not None]


def _keys(stage: Stage) -> Iterator[tuple[str, str]]:
    yield "block", ""
    for choice in stage.choices:
        yield from ((arg.name, choice.block.name) for arg in choice.args)
    yield from ((key, "") for key in STAGE_KEYS)


def _of_model(scope: Scope, node: Node) -> Origin:
    name: Token = node.token("NAME")
    text = " ".join(scope.source.text[node.span.start : node.span.end].split())
    return Origin(name.text, "blocks", text, place(scope.source, node.span))
