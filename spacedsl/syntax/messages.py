"""What is said of a token that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, Fix, Label, place, suggest
from spacedsl.syntax.machine import END, accepted
from spacedsl.syntax.tree import Token
from spacedsl.syntax.words import expected, keywords, units
from spacedsl.text import Source, Span

VALUES = ("INT", "FLOAT", "STRING", "KERNEL")


@dataclass(frozen=True, slots=True)
class Stopped:
    """Token `index` does not fit `states`; `before` are the states before the token before it."""

    source: Source
    tokens: Sequence[Token]
    index: int
    states: list[int]
    before: list[int]

    @property
    def token(self) -> Token:
        return self.tokens[self.index]


@dataclass(frozen=True, slots=True)
class Edit:
    """Put tokens of these kinds in at token `at` and go on with token `to`."""

    at: int
    inserted: tuple[str, ...]
    to: int


def explain(stopped: Stopped, edit: Edit | None) -> Diagnostic:
    """The error at a token that does not fit; `edit` would mend it."""
    token, source = stopped.token, stopped.source
    word = misspelt(stopped)
    if word is not None:
        at, kind = word
        meant, wrong = keywords()[kind], stopped.tokens[at]
        where = place(source, wrong.span)
        return Diagnostic(
            "unknown-key",
            f"unknown key `{wrong.text}`",
            where,
            help=f"did you mean `{meant}`?",
            fixes=(Fix(f"write `{meant}`", where, meant),),
        )
    if edit == Edit(stopped.index - 1, ("LBRACE",), stopped.index - 1):
        return _missing_brace(source, stopped.tokens[edit.at])
    may = accepted(stopped.states)
    if token.type in keywords() and "NAME" in may:
        message = f"`{token.text}` is a word of the language and cannot be a name"
        where = place(source, token.span)
        return Diagnostic("reserved-word", message, where, help="choose another name")
    if "QUANTITY" in may and token.type in ("INT", "FLOAT"):
        return _no_unit(stopped)
    if _is_unknown_key(stopped):
        key = stopped.tokens[stopped.index - 1]
        help = f"expected {expected(accepted(stopped.before))}"
        return Diagnostic(
            "unknown-key", f"unknown key `{key.text}`", place(source, key.span), help=help
        )
    return _unexpected(stopped, may)


def _no_unit(stopped: Stopped) -> Diagnostic:
    """A number where a quantity is read: without a unit, or with one that is not known."""
    number, source = stopped.token, stopped.source
    after = stopped.tokens[stopped.index + 1]
    attached = after.type == "NAME" and after.span.start == number.span.end
    word = after.text if attached else ""
    where = place(source, number.span.to(after.span) if attached else number.span)
    close = suggest(word, units()) if word else "ms"
    message = f"unknown unit `{word}`" if word else f"{number.text} has no unit"
    if close is None:
        return Diagnostic("unknown-unit", message, where, help=f"units: {', '.join(units())}")
    meant = f"{number.text}{close}"
    fixes = (Fix(f"write `{meant}`", where, meant),)
    return Diagnostic("unknown-unit", message, where, f"did you mean `{meant}`?", fixes=fixes)


def _missing_brace(source: Source, token: Token) -> Diagnostic:
    start = Span(token.span.start, token.span.start)
    fix = Fix("put in `{`", place(source, start), "{ ")
    message = f"a `{{` is missing before `{token.text}`"
    return Diagnostic("syntax", message, place(source, token.span), fixes=(fix,))


def _unexpected(stopped: Stopped, may: set[str]) -> Diagnostic:
    token, source = stopped.token, stopped.source
    labels: tuple[Label, ...] = ()
    if token.type == END:
        message = "the page ends too early"
        opened = _last_open(stopped.tokens[: stopped.index])
        if opened is not None:
            labels = (Label(place(source, opened.span), "this is not closed"),)
    elif token.type == "UNKNOWN" and token.text.startswith('"'):
        message = "the text in quotes does not end on its line"
    elif token.type == "UNKNOWN":
        message = f"unexpected character {token.text!r}"
    else:
        message = f"unexpected `{token.text}`"
    help = f"expected {expected(may)}"
    return Diagnostic("syntax", message, place(source, token.span), help=help, labels=labels)


def _last_open(tokens: Sequence[Token]) -> Token | None:
    opened: list[Token] = []
    for token in tokens:
        if token.text == "{":
            opened.append(token)
        elif token.text == "}" and opened:
            opened.pop()
    return opened[-1] if opened else None


def misspelt(stopped: Stopped) -> tuple[int, str] | None:
    """A name at the error or just before it that is close to a word which fits in its place: its
    index and the kind of that word."""
    for at, states in ((stopped.index, stopped.states), (stopped.index - 1, stopped.before)):
        if at >= 0 and stopped.tokens[at].type == "NAME":
            words = {keywords()[k]: k for k in sorted(accepted(states)) if k in keywords()}
            word = suggest(stopped.tokens[at].text, words)
            if word is not None:
                return at, words[word]
    return None


def _is_unknown_key(stopped: Stopped) -> bool:
    """A name followed by a value, where keys are read."""
    if stopped.index == 0 or stopped.token.type not in VALUES:
        return False
    name = stopped.tokens[stopped.index - 1]
    return name.type == "NAME" and bool(accepted(stopped.before) & {"WIDTH", "INPUT"})
