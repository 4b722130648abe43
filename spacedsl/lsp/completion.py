"""What may be written at the cursor."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacedsl.ir.block import Block
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import SUFFIX, library
from spacedsl.lang.model_settings import setting_text
from spacedsl.lang.origin import Level
from spacedsl.lang.page import Page
from spacedsl.lang.parameters import KINDS, parameter_kind
from spacedsl.lang.values import shown
from spacedsl.lsp import glossary
from spacedsl.lsp.frames import Frame, Open, opened
from spacedsl.lsp.names import block_of, named, space_levels, stage_choices
from spacedsl.lsp.summaries import item_or_none, stage_of
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import IN_BODIES, OPERATORS
from spacedsl.runtimes.table import runtimes
from spacedsl.syntax.tree import Node, Token
from spacedsl.syntax.words import WINDOWED, keywords
from spacedsl.text import Span

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*$")
MAX_PATHS = 500
ONCE = {
    "width",
    "window",
    "depth",
    "stride",
    "shared",
    "input",
    "quality",
    "limit",
    "taps",
    "blocks",
}
"""Keys that a body says once."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`kind`: `keyword`, `block`, `space`, `stage`, `parameter`, `value`, `activation`, `flag`,
    `runtime` or `path`."""

    text: str
    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What may replace `span`."""

    choices: tuple[Choice, ...]
    span: Span


def complete(page: Page, offset: int) -> Completion:
    """Everything that fits at an offset, by place and meaning; the editor filters by what is
    typed."""
    text = page.source.text
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    if _in_comment(line):
        return Completion((), Span(offset, offset))
    if line.count('"') % 2:
        start = offset - len(line) + line.rfind('"') + 1
        return Completion(tuple(_quoted(page, line)), Span(start, offset))
    word = WORD.search(line)
    start = offset - (len(word[0]) if word else 0)
    if start and (text[start - 1].isalnum() or text[start - 1] == "."):
        return Completion((), Span(offset, offset))
    state = opened(text[:start])
    item = _item(page, state, offset)
    found = [*_names(page, state, item), *_keywords(state)]
    return Completion(
        tuple({c.text: c for c in reversed(found)}.values())[::-1], Span(start, offset)
    )


def _quoted(page: Page, line: str) -> Iterator[Choice]:
    """What fits between quotation marks."""
    if re.match(r"\s*use\s*\"", line):
        yield from _paths(page)
    elif re.match(r"\s*runtime\s*\"[^\"]*$", line):
        yield from (Choice(name, "runtime", r.about) for name, r in runtimes().items())


def _in_comment(line: str) -> bool:
    return "#" in re.sub(r'"[^"]*"?', "", line)


def _item(page: Page, state: Open, offset: int) -> Node | None:
    """The item that the cursor is in, as the whole page has it."""
    found = page.tree.all("block", "space", "model", "target")
    inside = [node for node in found if node.span.start < offset]
    return inside[-1] if inside and state.frames else None


def _keywords(state: Open) -> Iterator[Choice]:
    """Words of the language that fit, without keys that are said already."""
    inside = state.frames[-1].inside if state.frames else ()
    said = {n.rule if isinstance(n, Node) else n.text for n in inside} & ONCE
    if not state.frames and state.before:
        said.add("language")
    for kind, word in keywords().items():
        if kind in state.may and word not in said and word != "x":
            yield Choice(word, "keyword", glossary.WORDS.get(word, ""))


def _paths(page: Page) -> Iterable[Choice]:
    """Pages below this page's folder, and the library's."""
    found: dict[str, str] = {}
    for base, what in ((page.folder, ""), (library(), "library")):
        count = 0
        for folder, folders, files in os.walk(base):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            count += len(files) + len(folders)
            if count > MAX_PATHS:
                break
            for name in sorted(files):
                path = (Path(folder) / name).relative_to(base).as_posix()
                if name.endswith(SUFFIX) and Path(folder) / name != Path(page.source.name):
                    found.setdefault(path, what)
    return [Choice(path, "path", detail) for path, detail in found.items()]


def _names(page: Page, state: Open, item: Node | None) -> Iterable[Choice]:
    last = state.last
    if last is not None and last.type in ("OF", "REFERENCE"):
        return _spaces(page)
    if state.frame("block", "shortcut", "optional") or _inline_op(state):
        return _in_body(page, state, item)
    if "NAME" not in state.may and "INT" not in state.may:
        return ()
    if not state.frames or item is None:
        return _activations() if last is not None and last.text == "=" else ()
    match state.frames[-1].rule:
        case "space":
            return _stages(page, item, state.frames[-1], "stage")
        case "model":
            return _stages(page, item, state.frames[-1], "model_stage")
        case "blocks":
            return _blocks(page, item, "")
        case "stage":
            return _in_stage(page, state, item, state.frames[-1])
        case "choice":
            return _in_choice(page, state, item, state.frames[-1])
        case "model_stage":
            return _in_model_stage(page, state, item, state.frames[-1])
    return ()


def _spaces(page: Page) -> Iterator[Choice]:
    own = [n for p in (page, *page.uses) for n, node in p.items.items() if node.rule == "space"]
    for name in dict.fromkeys(own):
        yield Choice(name, "space")
    for name in sorted({*page.names_beside()} - {*own}):
        found = named(page, name, "space")
        if found is not None:
            detail = found.node.tokens()[0].text
            yield Choice(name, "space", f"{detail}, {found.page.source.name}")


def _activations() -> Iterator[Choice]:
    return (Choice(word, "activation", act.text) for word, act in ACTIVATIONS.items())


# ---- spaces --------------------------------------------------------------------------------------


def _stages(page: Page, item: Node, frame: Frame, rule: str) -> Iterator[Choice]:
    """The stages that are not said yet."""
    said = {n.token("NAME").text for n in frame.inside if isinstance(n, Node) and n.rule == rule}
    outer = space_levels(page, item)[1 if rule == "stage" else 0 :]
    for name in dict.fromkeys(n.token("NAME").text for lv in outer for n in lv.node.all("stage")):
        if name not in said:
            yield Choice(name, "stage")


def _levels(page: Page, item: Node) -> Sequence[Level[Page]]:
    """What an item is of, outwards, without itself."""
    return space_levels(page, item)[1 if item.rule == "space" else 0 :]


def _blocks(page: Page, item: Node, stage: str) -> Iterator[Choice]:
    """Block types: those that the outer space offers the stage, else all that are known."""
    offered = stage_choices(_levels(page, item), stage) if stage else ()
    for node in offered:
        yield Choice(node.token("NAME").text, "block", _flat(node, page))
    if not offered:
        for known in (page, *page.uses):
            for name, node in known.items.items():
                if node.rule == "block":
                    yield Choice(name, "block", _params(node))


def _flat(node: Node, page: Page) -> str:
    args = [arg.token("NAME").text for arg in node.all("arg")]
    return f"({', '.join(args)})" if args else ""


def _params(block: Node) -> str:
    names = [p.token("NAME").text for p in (block.first("params") or block).all("param")]
    return f"({', '.join(names)})"


def _in_stage(page: Page, state: Open, item: Node, frame: Frame) -> Iterator[Choice]:
    last = state.last
    outer = _outer_stage(page, item, frame.name)
    if last is not None and last.type in ("WIDTH", "DEPTH", "WINDOW", "STRIDE"):
        yield from _list_values(last.type, outer)
        return
    if _in_shared(frame):
        choices = stage_choices(space_levels(page, item), frame.name)
        for node in choices:
            yield from _parameters(page, item, node.token("NAME").text)
        return
    if not any(isinstance(n, Node) and n.rule in IN_BODIES for n in frame.inside):
        yield from _blocks(page, item, frame.name)


def _in_shared(frame: Frame) -> bool:
    """Whether the unfinished statement is `shared`."""
    tokens = [v for v in frame.inside if isinstance(v, Token)]
    return bool(tokens) and tokens[0].type == "SHARED"


def _list_values(key: str, outer: Stage | None) -> Iterator[Choice]:
    """The windows, depths, ... that the outer stage has."""
    if outer is None:
        return
    if key == "WIDTH":
        for window in outer.windows if outer.widths else ():
            yield Choice(shown(window), "value", "a window")
    elif key == "DEPTH":
        yield Choice(shown(outer.depths), "value")
    else:
        value = outer.window if key == "WINDOW" else outer.stride
        yield Choice(str(value), "value")


def _outer_stage(page: Page, item: Node, name: str) -> Stage | None:
    found = _levels(page, item)
    return (
        stage_of(item_or_none(found[0].page, found[0].node.token("NAME").text), name)
        if found
        else None
    )


def _parameters(page: Page, item: Node, block: str) -> Iterator[Choice]:
    found = block_of(page, item, block)
    lowered = item_or_none(found.page, found.text) if found else None
    if isinstance(lowered, Block):
        for param in lowered.params:
            yield Choice(param.name, "parameter", KINDS[parameter_kind(lowered, param.name)])


def _in_choice(page: Page, state: Open, item: Node, frame: Frame) -> Iterator[Choice]:
    """Parameters that are not said yet; after one, and after a `,`, its values."""
    stage = state.frame("stage")
    outer = _outer_stage(page, item, stage.name) if stage else None
    choices = [c for c in (outer.choices if outer else ()) if c.block.name == frame.name]
    tokens = [t.text for t in frame.inside if isinstance(t, Token)]  # of one that may yet go on
    if len(tokens) == 1 or tokens[-1:] == [","]:
        values = _arg_values(page, item, frame.name, tokens[0], choices)
        yield from (value for value in values if value.text not in tokens)
        return
    said = {n.token("NAME").text for n in frame.inside if isinstance(n, Node) and n.rule == "arg"}
    yield from (c for c in _parameters(page, item, frame.name) if c.text not in {*said, *tokens})


def _arg_values(
    page: Page, item: Node, block: str, name: str, choices: Sequence[BlockChoice]
) -> Iterator[Choice]:
    found = block_of(page, item, block)
    lowered = item_or_none(found.page, found.text) if found else None
    if isinstance(lowered, Block) and parameter_kind(lowered, name) == "activation":
        yield from _activations()
    for choice in choices:
        for arg in choice.args:
            if arg.name == name:
                yield Choice(shown(arg.values), "value")


# ---- models --------------------------------------------------------------------------------------


def _in_model_stage(page: Page, state: Open, item: Node, frame: Frame) -> Iterator[Choice]:
    """A block type first, then widths and settings."""
    space = item_or_none(page, item.token("NAME").text)
    found = _levels(page, item)
    if not isinstance(space, Subnet | Space) and found:
        space = item_or_none(found[0].page, found[0].node.token("NAME").text)
    stage = stage_of(space, frame.name)
    if stage is None:
        return
    if not frame.inside and len(stage.choices) > 1:
        for choice in stage.choices:
            yield Choice(choice.block.name, "block")
    tokens = [t.text for t in frame.inside if isinstance(t, Token)]
    if tokens[-1:] == ["="]:
        named = (a.values for c in stage.choices for a in c.chosen if a.name == tokens[-2])
        for value in dict.fromkeys(v for values in named for v in values):
            yield Choice(shown((value,)), "value")
        return
    for width in stage.widths if "INT" in state.may else ():
        yield Choice(str(width), "value", "width")
    if "SETTING" in state.may:
        for text in dict.fromkeys(t for c in stage.choices for t in _settings(c)):
            yield Choice(text, "parameter")


def _settings(choice: BlockChoice) -> Iterator[str]:
    return (setting_text(arg.name, value) for arg in choice.chosen for value in arg.values)


# ---- bodies --------------------------------------------------------------------------------------


def _inline_op(state: Open) -> bool:
    """Whether a body written inside a stage is being written."""
    return _op(state) is not None


def _op(state: Open) -> str | None:
    """The op whose statement is unfinished."""
    inside = state.frames[-1].inside if state.frames else ()
    tokens = [v for v in inside if isinstance(v, Token) and v.type.lower() in IN_BODIES]
    return tokens[-1].type.lower() if tokens else None


def _in_body(page: Page, state: Open, item: Node | None) -> Iterator[Choice]:
    last, op = state.last, _op(state)
    if "NAME" not in state.may:
        return
    params, lets = _locals(item)
    sizes = [*glossary.SIZES, *params, *lets]
    if (last is not None and last.text in ("->", "+", "-", "*", "/", "(", "=")) or (
        last is not None and last.type == "SE"
    ):
        yield from (Choice(n, "parameter", glossary.SIZES.get(n, "")) for n in sizes)
        yield from _activations() if last.text == "=" and not state.frames else ()
    elif last is not None and last.type in (*WINDOWED, "OPTIONAL"):
        yield from (Choice(n, "parameter") for n in params)
    elif last is not None and last.type == "SHORTCUT":
        yield from (Choice(n, "value", text) for n, text in glossary.SHORTCUTS.items())
    elif op is not None:
        yield from (
            Choice(n, "flag", glossary.MODIFIERS[n])
            for n in OPERATORS[op].flags
            if n in glossary.MODIFIERS
        )
        if OPERATORS[op].acts:
            yield from (Choice(n, "parameter") for n in params)
            yield from _activations()


def _locals(item: Node | None) -> tuple[list[str], list[str]]:
    """Parameters and lets of the block that the cursor is in."""
    if item is None or item.rule != "block":
        return [], []
    params = [p.token("NAME").text for p in (item.first("params") or item).all("param")]
    return params, [let.token("NAME").text for let in item.all("let")]
