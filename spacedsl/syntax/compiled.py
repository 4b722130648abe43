"""The grammar in the form that is run: terminals in scanning order and LALR tables, as JSON.

Lark builds them from grammars/space.lark, which is the specification. Building takes a tenth of a
second, so the result lies beside it in grammars/space.json, stamped with the grammar's hash; where
the hash differs, it is built afresh. This is the only file that knows Lark."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacedsl.operators.operators import IN_BODIES

if TYPE_CHECKING:
    from lark import Lark

VERSION = 1


def _folder() -> Path:
    """Inside the installed package, or beside the package in a checkout."""
    installed = Path(str(resources.files("spacedsl") / "grammars"))
    return installed if installed.is_dir() else Path(__file__).parents[2] / "grammars"


def grammar_text() -> str:
    """The grammar file."""
    return (_folder() / "space.lark").read_text(encoding="utf-8")


@cache
def compiled() -> dict[str, Any]:
    """The grammar as `build` gives it, from the file beside it if that is of this grammar."""
    text = grammar_text()
    try:
        found = json.loads((_folder() / "space.json").read_bytes())
    except (OSError, ValueError):
        return build(text)
    return found if found.get("stamp") == _stamp(text) else build(text)


def _stamp(text: str) -> str:
    return hashlib.sha256(f"{VERSION} {text}".encode()).hexdigest()


@cache
def grammar() -> Lark:
    """The parser that Lark builds."""
    from lark import Lark

    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def build(text: str) -> dict[str, Any]:
    """Everything that is read off Lark, as plain data.

    `terminals`: [name, text or expression, is it fixed text], in the order in which Lark tries
    them. `rules`: [rule, length]. `states`: per state terminal -> the next state, or -1 minus the
    rule to reduce by; `gotos`: per state rule -> the next state."""
    from lark.parsers.lalr_analysis import Shift

    lark = grammar()
    ordered = sorted(
        lark.terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    table: Any = lark.parse_interactive("").parser_state.parse_conf.parse_table
    numbers = _numbers(table)
    found = {_rule(r) for r in _reductions(table)}
    rules = sorted(found)
    states: list[dict[str, int]] = [{} for _ in numbers]
    gotos: list[dict[str, int]] = [{} for _ in numbers]
    for state, number in numbers.items():
        for symbol, (action, to) in sorted(table.states[state].items()):
            if action is not Shift:
                states[number][symbol] = -1 - rules.index(_rule(to))
            elif symbol.isupper():
                states[number][symbol] = numbers[to]
            else:
                gotos[number][_name(symbol)] = numbers[to]
    return {
        "stamp": _stamp(text),
        "terminals": [[t.name, _expression(t.pattern), t.pattern.type == "str"] for t in ordered],
        "rules": [list(rule) for rule in rules],
        "states": states,
        "gotos": gotos,
        "start": numbers[table.start_states["start"]],
        "end": numbers[table.end_states["start"]],
    }


def _numbers(table: Any) -> dict[int, int]:
    """States by the order in which they are reached: Lark's own numbers differ between runs."""
    from lark.parsers.lalr_analysis import Shift

    numbers: dict[int, int] = {}
    todo = [table.start_states["start"]]
    for state in todo:
        if state not in numbers:
            numbers[state] = len(numbers)
            row = sorted(table.states[state].items())
            todo += [to for _, (action, to) in row if action is Shift]
    return numbers


def _rule(reduction: Any) -> tuple[str, int]:
    return _name(str(reduction.origin.name)), len(reduction.expansion)


def _name(rule: str) -> str:
    """What a rule of the grammar is called: that of an op as the op, hyphens and all."""
    word = rule.replace("_", "-")
    return word if word in IN_BODIES else rule


def _reductions(table: Any) -> list[Any]:
    from lark.parsers.lalr_analysis import Shift

    return [
        to for row in table.states.values() for action, to in row.values() if action is not Shift
    ]


def _expression(pattern: Any) -> str:
    return str(pattern.value if pattern.type == "str" else pattern.to_regexp())


def compiled_text(found: dict[str, Any]) -> str:
    """The file beside the grammar: a line per terminal, rule and state."""
    lines = []
    for key, value in found.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value)
            lines.append(f'"{key}":[\n{rows}\n]')
        else:
            lines.append(f'"{key}":{json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
