"""What a name in a page means: where it is defined, here or in another page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from spacedsl.diagnostics import SpaceError
from spacedsl.lang.origin import Level, levels
from spacedsl.lang.page import Page
from spacedsl.lsp.cursor import Path, enclosing
from spacedsl.lsp.project import path_of
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span
from spacedsl.vocabulary import SHORT

ITEMS = ("block", "space", "model", "target")


@dataclass(frozen=True, slots=True)
class Name:
    """`kind`: `block`, `space`, `model`, `target`, `stage`, `let` or `parameter`. `token` is the
    name where it is defined, `node` its definition. Two are the same if they are defined at one
    place."""

    kind: str
    text: str
    file: FilePath
    span: Span
    token: Token = field(compare=False)
    node: Node = field(compare=False)
    page: Page = field(compare=False, repr=False)


def _name(kind: str, token: Token, node: Node, page: Page) -> Name:
    return Name(kind, token.text, path_of(page), token.span, token, node, page)


def meaning(page: Page, path: Path, token: Token) -> Name | None:
    """What a token names, or None where it names nothing that a page defines."""
    find = _FINDERS.get(path[-1].rule) if token.type in ("NAME", "SETTING") else None
    return find(page, path, token) if find is not None else None


def holder(page: Page, name: str, rule: str) -> Page | None:
    """The page that `name` is defined in, as seen from `page`."""
    try:
        pages = page.holders(name, rule)
    except SpaceError:
        return None
    return next((p for p in pages if name in p.items), None)


def named(page: Page, name: str, rule: str) -> Name | None:
    """The block, space or model of this name."""
    found = holder(page, name, rule)
    if found is None:
        return None
    node = found.items[name]
    return _name(rule, node.token("NAME"), node, found)


def space_levels(page: Page, item: Node) -> list[Level[Page]]:
    """The space that an item is or is a model of, and what that is of, outwards."""
    if item.rule == "space" and item.tokens("NAME"):
        return [*_levels(page, item.token("NAME").text)]
    of = item.first("of")
    if of is None or not of.tokens("NAME"):
        return []
    found = named(page, of.token("NAME").text, "space")
    return [*_levels(found.page, found.text)] if found else []


def _levels(page: Page, name: str) -> Iterator[Level[Page]]:
    try:
        yield from levels(page, name)
    except SpaceError:
        return


def listed(level: Level[Page], stage: Node | None) -> tuple[Node, ...]:
    """The block types that a page lists for a stage, or for all of its elastic stages."""
    own = stage.all("choice") if stage else ()
    blocks = level.node.first("blocks")
    return own or (blocks.all("choice") if blocks else ())


def stage_choices(found: Sequence[Level[Page]], stage: str) -> tuple[Node, ...]:
    """The block types of a stage, from the page that says them."""
    for level in found:
        choices = listed(level, level.stage(stage))
        if choices:
            return choices
    return ()


def block_of(page: Page, item: Node, name: str) -> Name | None:
    """The block that `name` means inside an item: of its own page, else of those it is of."""
    own = named(page, name, "block")
    if own is not None:
        return own
    found = (named(level.page, name, "block") for level in space_levels(page, item))
    return next((block for block in found if block), None)


def parameter(block: Name, name: str) -> Name | None:
    """A parameter of a block."""
    nodes = (block.node.first("params") or block.node).all("param")
    return next(
        (
            _name("parameter", node.token("NAME"), node, block.page)
            for node in nodes
            if node.token("NAME").text == name
        ),
        None,
    )


def local(page: Page, block: Node, name: str) -> Name | None:
    """A parameter or a `let` of a block, as its body says it."""
    own = parameter(_name("block", block.token("NAME"), block, page), name)
    if own is not None:
        return own
    lets = (let for let in block.all("let") if let.token("NAME").text == name)
    return next((_name("let", let.token("NAME"), let, page) for let in lets), None)


# ---- by the rule that a token stands in ----------------------------------------------------------


def _item(page: Page, path: Path, token: Token) -> Name | None:
    """A definition's own name; a model's and a target's may stand before `of`."""
    node = path[-1]
    return _name(node.rule, token, node, page) if node.tokens("NAME")[:1] == (token,) else None


def _space(page: Page, path: Path, token: Token) -> Name | None:
    return named(page, token.text, "space")


def _choice(page: Page, path: Path, token: Token) -> Name | None:
    item = enclosing(path, *ITEMS)
    return block_of(page, item, token.text) if item else None


def _arg(page: Page, path: Path, token: Token) -> Name | None:
    choice, item = enclosing(path, "choice"), enclosing(path, *ITEMS)
    if choice is None or item is None or path[-1].token("NAME") is not token:
        return None
    block = block_of(page, item, choice.token("NAME").text)
    return parameter(block, token.text) if block else None


def _local(page: Page, path: Path, token: Token) -> Name | None:
    block = enclosing(path, "block")
    return local(page, block, token.text) if block else None


def _param(page: Page, path: Path, token: Token) -> Name | None:
    node = path[-1]
    return _name("parameter", token, node, page) if node.tokens()[0] is token else None


def _let(page: Page, path: Path, token: Token) -> Name | None:
    return _name("let", token, path[-1], page)


def _stage(page: Page, path: Path, token: Token) -> Name | None:
    """The outermost definition: what is of a space only narrows its stages."""
    item = enclosing(path, *ITEMS)
    found = space_levels(page, item) if item else []
    for level in reversed(found):
        node = level.stage(token.text)
        if node is not None:
            return _name("stage", node.token("NAME"), node, level.page)
    return None


def _setting(page: Page, path: Path, token: Token) -> Name | None:
    """`k3` names `kernel`, `mid=24` names `mid`."""
    node, item, stage = path[-1], enclosing(path, *ITEMS), enclosing(path, "model_stage")
    if item is None or stage is None or node.tokens()[0] is not token:
        return None
    long = len(node.tokens()) > 1
    name = token.text if long else SHORT.get(token.text[0], "")
    type_node = stage.first("type")
    found = space_levels(page, item)
    if type_node is not None:
        names = [type_node.token("NAME").text]
    else:
        names = [c.token("NAME").text for c in stage_choices(found, stage.token("NAME").text)]
    blocks = (block_of(page, item, n) for n in names)
    return next((p for b in blocks if b and (p := parameter(b, name))), None)


def _trait(page: Page, path: Path, token: Token) -> Name | None:
    item, stage = enclosing(path, *ITEMS), enclosing(path, "stage")
    if item is None or stage is None:
        return None
    choices = stage_choices(space_levels(page, item), stage.token("NAME").text)
    blocks = (block_of(page, item, c.token("NAME").text) for c in choices)
    return next((p for b in blocks if b and (p := parameter(b, token.text))), None)


def _ref(page: Page, path: Path, token: Token) -> Name | None:
    """A name in a block's body, or in the width of a stage."""
    find = _trait if enclosing(path, "growth") else _local
    return find(page, path, token)


_FINDERS: dict[str, Callable[[Page, Path, Token], Name | None]] = {
    **dict.fromkeys(ITEMS, _item),
    "of": _space,
    "reference": _space,
    "choice": _choice,
    "type": _choice,
    "arg": _arg,
    "param": _param,
    "let": _let,
    **dict.fromkeys(("modifier", "kernel", "optional"), _local),
    "ref": _ref,
    **dict.fromkeys(("stage", "model_stage"), _stage),
    "setting": _setting,
    "trait": _trait,
}
