"""Bodies that open or close as elsewhere: on one line without braces, with another bracket."""

from __future__ import annotations

from collections.abc import Iterator

from spacedsl.diagnostics import suggest
from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped
from spacedsl.syntax.words import keywords
from spacedsl.text import Span
from spacedsl.vocabulary import has_meaning


def one_line(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1: mbv2 width 8, 16`, `stage1 8 k3 e2`, `stem conv 3x3 relu width 8`."""
    index, tokens = stopped.index, stopped.tokens
    by = 0 if stopped.at(-1).type == "NAME" and stopped.is_first(-1) else -1
    name = stopped.at(by - 1)
    if name.type != "NAME" or not stopped.is_first(by - 1) or "LBRACE" not in stopped.may_at(by):
        return
    first = index + by
    after = stopped.line_end(first)
    sign = tokens[first].text in (":", "=")
    texts = [t.text for t in tokens[first:after]]
    if set(texts) & {"{", "}"} or after - first < 1 + sign or stopped.is_first(by):
        return
    said = stopped.shown(first + sign, after)
    start, end = tokens[first].span.start, tokens[after - 1].span.end
    for inner in dict.fromkeys((said, said.replace(",", ""))):
        yield Rewrite(
            "one-line",
            f"the body of `{name.text}` stands in `{{` and `}}`",
            Span(name.span.start, end),
            (Change(first, after, f"{{ {inner} }}"),),
            f"write `{name.text} {{ {inner} }}`" if len(inner) < 60 else "put it in braces",
            "put it in braces",
            (Put(Span(start, end), f"{{ {inner} }}"),),
        )


def openings(stopped: Stopped) -> Iterator[Rewrite]:
    """`blocks [ ... }`, `stem ( ... }`, `blocks: [ ... }`: what only a brace closes."""
    index, sign = stopped.index, stopped.token.text in (":", "=")
    opening = stopped.at(1 if sign else 0)
    if opening.text not in ("[", "(", "<") or "LBRACE" not in stopped.may:
        return
    message = f"`{opening.text}` opens no body"
    change = Change(index, index + sign + 1, "{")
    yield Rewrite("opening", message, opening.span, (change,), "write `{`", "write `{`")


def unnamed(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage1 = fused, 8, 16`: a stage as values of which no key says what they are."""
    index, tokens = stopped.index, stopped.tokens
    by = 0 if stopped.at(-1).type == "NAME" and "LBRACE" in stopped.may else -1
    name = stopped.at(by - 1)
    begins = stopped.is_first(by - 1) or stopped.at(by - 2).type == "ELASTIC"
    if name.type != "NAME" or not begins or "LBRACE" not in stopped.may_at(by):
        return
    if has_meaning(name.text) or suggest(name.text, keywords().values()):
        return
    first = index + by
    after = stopped.line_end(first)
    listed = ("NAME", "INT", "FLOAT", "COMMA", "EQUAL", "KERNEL", "__ANON_2", "STEP")
    signs = (":", "[", "]", "(", ")")
    if all(t.type in listed or t.text in signs for t in tokens[first:after]):
        yield Rewrite(
            "unnamed",
            f"what is said of `{name.text}` has no keys: `{stopped.shown(first, after)}`",
            Span(name.span.start, tokens[after - 1].span.end),
            (Change(first, after, "{ width 8 }"),),
            f"a stage says what each value is: `{name.text} {{ mbv2  width 8, 16  depth 1..2 }}`",
            puts=(),
            code="syntax",
        )


HABITS = (one_line, openings, unnamed)
