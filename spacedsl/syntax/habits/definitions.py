"""Blocks as functions and classes of other languages, and their parameters."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import suggest
from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

TYPES = ("int", "float", "str", "list", "tuple", "bool", "number", "any", "activation")


def definitions(stopped: Stopped) -> Iterator[Rewrite]:
    """`def b(k):`, `class b(nn.Module):`, `b(k) {`: blocks as functions and classes."""
    index, word = stopped.index, stopped.token
    if "BLOCK" not in stopped.may or word.type != "NAME" or not stopped.is_first(0):
        return
    said = suggest(word.text, ("block",)) is not None
    name = stopped.at(said)
    if name.type != "NAME" or stopped.at(said + 1).text != "(":
        return
    message = f"unknown key `{word.text}`" if said else "a `block` is missing before its name"
    help = f"write `block {name.text}(...) {{`"
    opening = index + said + 1
    end = stopped.close(opening, "(", ")") or opening
    inherits = word.text == "class" and end == opening + 2
    parent = inherits or "." in stopped.shown(opening, end + 1)
    changes = (Change(index, index + said, "block"), *([Change(opening + 1, end, "")] * parent))
    if parent:
        help = f"write `block {name.text}(kernel, expand) {{`, with the names of its parameters"
    puts = () if parent else None
    yield Rewrite(
        "def", message, word.span, changes, help, "write `block`", puts, code="unknown-key"
    )
    if said and end == opening + 2:
        base = stopped.tokens[opening + 1].text
        kind = suggest(base, ("hyperspace", "space"))
        meant = f"hyperspace {name.text}" if kind else f"space {name.text} of {base}"
        change, help = Change(index, end + 1, meant), f"write `{meant}`"
        yield Rewrite("def", message, word.span, (change,), help, help, code="unknown-key")


def parameters(stopped: Stopped) -> Iterator[Rewrite]:
    """`block b(int k)`, `block b(k: int)`, `block b(k = 3, 5)`."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    types = [t for t in (before, stopped.at(1)) if t.text.lower() in TYPES]
    if (
        token.type == "NAME"
        and before in types
        and stopped.may_at(-1) == {"NAME"} | (stopped.may_at(-1) & {"RPAR"})
    ):
        change = Change(index - 1, index, "")
        message = f"a parameter has no type, as `{before.text}`"
        yield Rewrite(
            "type", message, before.span, (change,), f"write `{token.text}`", "leave it out"
        )
    if token.text == ":" and stopped.at(1) in types and before.type == "NAME":
        change = Change(index, index + 2, "")
        at = stopped.span(index, index + 2)
        message = f"a parameter has no type, as `{stopped.at(1).text}`"
        yield Rewrite("type", message, at, (change,), f"write `{before.text}`", "leave it out")
    listed = {"NAME"} <= stopped.may <= {"NAME", "RPAR"} and before.text in ("(", ",")
    if token.text in ("*", "/") and listed:
        yield _mark(stopped)
    kinds = [t.type for t in stopped.tokens[max(0, index - 24) : index]]
    listed = "LPAR" in kinds[-1 - kinds[::-1].index("LBRACE") if "LBRACE" in kinds else 0 :]
    if token.type in ("INT", "FLOAT") and before.text == "," and listed and stopped.may == {"NAME"}:
        after = index + 1
        while (
            stopped.tokens[after].type in ("INT", "FLOAT", "COMMA")
            and stopped.tokens[after + 1].type != "NAME"
        ):
            after += 1
        said = stopped.shown(index, after)
        yield Rewrite(
            "default",
            f"a parameter has one default, so `{said}` does not stand here",
            stopped.span(index, after),
            (Change(index - 1, after, ""),),
            "a stage lists the values to choose from: `mbv2 { kernel 3, 5 }`",
            "leave them out",
        )


def _mark(stopped: Stopped) -> Rewrite:
    """`block b(k, *, e = 4)`, `block b(k, **kwargs)`: what Python has among parameters."""
    index, tokens = stopped.index, stopped.tokens
    after = index
    while tokens[after].text in ("*", "/"):
        after += 1
    after += tokens[after].type == "NAME"
    said, at = stopped.shown(index, after), stopped.span(index, after)
    last = tokens[after].text != ","
    lone = last and stopped.at(-1).text == "("
    change = Change(index - (last and not lone), after + (not last), "")
    message = f"`{said}` is no parameter: each has a name"
    return Rewrite("mark", message, at, (change,), "leave it out", "leave it out")


HABITS = (definitions, parameters)
