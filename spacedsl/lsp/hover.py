"""What is shown of the word under the mouse."""

from __future__ import annotations

from typing import NamedTuple

from spacedsl.ir.item import Item
from spacedsl.lang.page import Page
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.values import shown, value_list
from spacedsl.lsp import glossary
from spacedsl.lsp.cursor import Path, at, enclosing
from spacedsl.lsp.names import ITEMS, Name, meaning
from spacedsl.lsp.summaries import item_facts, item_or_none, stage_facts, stage_of, windows
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.runtimes.table import runtimes
from spacedsl.syntax.tree import Node, Token
from spacedsl.syntax.words import keywords
from spacedsl.text import Span

MAX_LINES = 40
"""Of a body that is shown."""


class Hover(NamedTuple):
    """Markdown, and what it is about."""

    text: str
    span: Span


def hover(page: Page, offset: int) -> Hover | None:
    """What is known of the word at an offset."""
    found = at(page.tree, offset)
    if found is None:
        return None
    path, token = found
    name = meaning(page, path, token)
    text = _named(name, page, path) if name else _word(page, path, token)
    if not text:
        text = _values(page, path)
    return Hover(text, token.span) if text else None


def _named(name: Name, page: Page, path: Path) -> str:
    match name.kind:
        case "block":
            return _joined(_comment(name.node), _code(_body(name)), *_choice(page, path))
        case "stage":
            item = enclosing(path, *ITEMS)
            stage = stage_of(_item(page, item), name.text)
            said = [f"**{name.text}**", _list(stage_facts(stage))] if stage else []
            return _joined(*said) or _joined(_code(_text(name.page, name.node)))
        case "space" | "model" | "target":
            facts = item_facts(item_or_none(name.page, name.text))
            return _joined(_comment(name.node), _code(_head(name)), _list(facts))
        case _:
            return _joined(_code(_text(name.page, name.node)), *_parameter(name, page, path))


def _parameter(name: Name, page: Page, path: Path) -> list[str]:
    """The values that a parameter has where the cursor is."""
    arg = enclosing(path, "arg")
    if name.kind != "parameter" or arg is None:
        return []
    return [_expanded(page, arg.get("values"))]


def _choice(page: Page, path: Path) -> list[str]:
    """The values of a block type in the stage that it stands in."""
    item, stage = enclosing(path, *ITEMS), enclosing(path, "stage", "model_stage")
    if item is None or stage is None:
        return []
    found = stage_of(_item(page, item), stage.token("NAME").text)
    token = path[-1].token("NAME")
    choices = [c for c in (found.choices if found else ()) if c.block.name == token.text]
    return [f"{a.name}: {', '.join(map(str, a.values))}" for c in choices for a in c.args]


def _word(page: Page, path: Path, token: Token) -> str:
    if token.type in keywords():
        return _joined(glossary.WORDS.get(token.text, ""), *_windows(page, path, token))
    if token.type == "STRING" and path[-1].rule == "use":
        uses = [p for p in page.uses if p.use_path == token.text[1:-1]]
        defined = ", ".join(f"`{name}`" for p in uses for name in p.names)
        return _joined(*(p.source.name for p in uses), defined)
    if token.type == "STRING" and path[-1].rule == "runtime":
        runtime = runtimes().get(token.text[1:-1])
        return runtime.about if runtime else ""
    if token.type != "NAME":
        return ""
    words = {word: act.text for word, act in ACTIVATIONS.items()}
    words |= glossary.MODIFIERS if path[-1].rule == "modifier" else {}
    words |= glossary.SHORTCUTS if path[-1].rule == "shortcut" else {}
    words |= glossary.SIZES if path[-1].rule in ("ref", "kernel") else {}
    return words.get(token.text, "")


def _windows(page: Page, path: Path, token: Token) -> list[str]:
    stage, item = enclosing(path, "stage"), enclosing(path, *ITEMS)
    if token.text not in ("window", "width") or stage is None:
        return []
    found = stage_of(_item(page, item), stage.token("NAME").text)
    return [windows(found)] if found and found.widths else []


def _values(page: Page, path: Path) -> str:
    """Every value of a list or range."""
    node = enclosing(path, "values")
    return _expanded(page, node) if node else ""


def _expanded(page: Page, node: Node) -> str:
    try:
        values = value_list(node, Report(page.source))
    except (Abandon, ZeroDivisionError, ValueError):
        return ""
    noun = "value" if len(values) == 1 else "values"
    return f"{len(values)} {noun}: {', '.join(shown((value,)) for value in values)}"


def _item(page: Page, node: Node | None) -> Item | None:
    names = node.tokens("NAME") if node else ()
    return item_or_none(page, names[0].text) if names else None


def _text(page: Page, node: Node) -> str:
    return " ".join(page.source.text[node.span.start : node.span.end].split())


def _body(name: Name) -> str:
    """A definition as it is written, its comments inside too."""
    lines = name.page.source.text[name.node.span.start : name.node.span.end].splitlines()
    return "\n".join([*lines[:MAX_LINES], *(["..."] if len(lines) > MAX_LINES else [])])


def _head(name: Name) -> str:
    return _text(name.page, name.node).partition("{")[0].strip()


def _comment(node: Node) -> str:
    """The comment right before a definition."""
    lines: list[str] = []
    for line in reversed(node.tokens()[0].leading):
        if not line:
            break
        lines.insert(0, line.lstrip("# "))
    return " ".join(lines)


def _code(text: str) -> str:
    return f"```space\n{text}\n```"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
