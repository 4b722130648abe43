"""What was written as elsewhere, and how it is written here: changes of tokens that let the page
be read on, the errors they stand for and the fixes that make them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from spacedsl.diagnostics import Diagnostic, Fix, place
from spacedsl.syntax.lexer import significant
from spacedsl.syntax.machine import END, accepted, reach
from spacedsl.syntax.tree import Token
from spacedsl.text import Source, Span

LOOK = 40
"""How many tokens a change is judged by."""
BRACES = ("INT", "FLOAT")
"""What stands behind a `{` that encloses a list of values, as elsewhere."""
FOREIGN = ("UNKNOWN", "EQUAL", "COMMA", "LPAR", "RPAR", "STRING")
"""What another mistake may begin with: a change right before it is judged by no more."""


class Change(NamedTuple):
    """Tokens `first` up to `after` (exclusive) are read as `text`."""

    first: int
    after: int
    text: str


class Put(NamedTuple):
    """`text` stands instead of `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One thing written as elsewhere. `kind`: all of a kind on a page are one error. `changes` are
    how it is read. `puts` are how it is mended, `also` another way to mend it; None where the
    changes say it, nothing where nobody can say it for the author."""

    kind: str
    message: str
    at: Span
    changes: tuple[Change, ...]
    help: str | None = None
    title: str = "write it as here"
    puts: tuple[Put, ...] | None = None
    also: tuple[tuple[str, tuple[Put, ...]], ...] = ()
    code: str = "notation"
    sure: bool = False  # right whatever follows


@dataclass(frozen=True, slots=True)
class Stopped:
    """Token `index` does not fit. `runs`: the states before it and before the tokens before it, by
    their index, as far back as they are kept."""

    source: Source
    tokens: Sequence[Token]
    index: int
    runs: Mapping[int, list[int]]

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    @property
    def may(self) -> set[str]:
        """What could stand here."""
        return accepted(self.runs[self.index])

    def may_at(self, by: int) -> set[str]:
        """What could stand `by` tokens from here (`by` at most 0)."""
        states = self.runs.get(self.index + by)
        return accepted(states) if states else set()

    def at(self, by: int) -> Token:
        """The token `by` tokens from here; an end where there is none."""
        number = self.index + by
        inside = 0 <= number < len(self.tokens)
        return self.tokens[number] if inside else Token(END, "", self.tokens[-1].span)

    def touches(self, by: int) -> bool:
        """Whether the token `by` from here touches the one before it."""
        return self.at(by - 1).span.end == self.at(by).span.start

    def is_first(self, by: int) -> bool:
        """Whether the token `by` from here is the first on its line."""
        number = self.index + by
        return number <= 0 or "\n" in self.between(number - 1, number)

    def between(self, first: int, after: int) -> str:
        """The text from the end of one token to the start of another, by their numbers."""
        return self.source.text[self.tokens[first].span.end : self.tokens[after].span.start]

    def shown(self, first: int, after: int) -> str:
        """The text of the tokens from `first` up to `after`, by their numbers."""
        return self.source.text[self.tokens[first].span.start : self.tokens[after - 1].span.end]

    def span(self, first: int, after: int) -> Span:
        """Where the tokens from `first` up to `after` are, by their numbers."""
        if first == after:
            start = self.tokens[first].span.start
            return Span(start, start)
        return Span(self.tokens[first].span.start, self.tokens[after - 1].span.end)

    def close(self, number: int, opening: str, closing: str) -> int | None:
        """The number of the token that closes the bracket at token `number`."""
        depth = 0
        for at in range(number, min(len(self.tokens), number + 400)):
            depth += (self.tokens[at].text == opening) - (self.tokens[at].text == closing)
            if depth == 0:
                return at
        return None

    def past(self, first: int, end: int) -> int:
        """The number of the first token from `first` on that ends behind offset `end` of the text;
        at most that of the page's end."""
        at = first
        while at < len(self.tokens) - 1 and self.tokens[at].span.end <= end:
            at += 1
        return at

    def line_end(self, number: int) -> int:
        """The number after that of the last token on the line of token `number`."""
        at = number + 1
        while at < len(self.tokens) - 1 and "\n" not in self.between(at - 1, at):
            at += 1
        return min(at, len(self.tokens) - 1)


def read_as(source: Source, tokens: Sequence[Token], change: Change) -> list[Token]:
    """The tokens that a change puts in; all stand where what they replace stood."""
    first, after, text = change
    start = tokens[first].span.start
    span = Span(start, tokens[after - 1].span.end) if after > first else Span(start, start)
    return [t._replace(span=span) for t in significant(Source(source.name, text))[:-1]]


def gets_to(stopped: Stopped, rewrite: Rewrite) -> int:
    """The number of the first token that does not fit after the changes; 0 where they do not let
    the page be read past where it stopped, but for another mistake that begins there."""
    changes = sorted(rewrite.changes)
    begin, last = changes[0].first, max(changes[-1].after, stopped.index)
    if begin not in stopped.runs:
        return 0
    least = begin + 1 if rewrite.sure else 0
    kinds: list[str] = []
    texts: list[str] = []
    numbers: list[int] = []  # of the tokens that these are, or stand for
    at = begin
    for change in (*changes, None):
        end = min(last + LOOK, len(stopped.tokens)) if change is None else change.first
        kinds += [t.type for t in stopped.tokens[at:end]]
        texts += [t.text for t in stopped.tokens[at:end]]
        numbers += range(at, end)
        if change is not None:
            put = read_as(stopped.source, stopped.tokens, change)
            kinds += [t.type for t in put]
            texts += [t.text for t in put]
            numbers += [change.first] * len(put)
            at = change.after
    if [t.text for t in stopped.tokens[begin : begin + len(kinds)]] == texts:
        return 0
    fit = reach(stopped.runs[begin], kinds)
    got = numbers[fit] if fit < len(numbers) else len(stopped.tokens)
    passed = max(changes[0].after, stopped.index)
    if got == passed and got < len(stopped.tokens):
        return got if is_foreign([t.type for t in stopped.tokens[got : got + 2]]) else least
    return got if got > passed else least


def is_foreign(kinds: Sequence[str]) -> bool:
    """Whether another mistake may begin with tokens of these kinds."""
    listed = len(kinds) > 1 and kinds[0] == "LBRACE" and kinds[1] in BRACES
    called = list(kinds[:2]) == ["NAME", "LPAR"]
    strided = list(kinds[:2]) == ["STRIDE", "INT"]
    return listed or called or strided or (bool(kinds) and kinds[0] in FOREIGN)


def folded(
    source: Source, rewrites: Iterable[Rewrite], changed: Mapping[int, tuple[Put, ...]]
) -> list[Diagnostic]:
    """The errors that some rewrites stand for: one for all of a kind, and for all on a line.
    `changed`: by the number of a rewrite, what its changes put where."""
    groups: list[list[tuple[int, Rewrite]]] = []
    for number, rewrite in enumerate(rewrites):
        line = source.position(rewrite.at.start)[0]
        for group in groups:
            alike = any(r.kind == rewrite.kind for _, r in group)
            if alike or source.position(group[-1][1].at.start)[0] == line:
                group.append((number, rewrite))
                break
        else:
            groups.append([(number, rewrite)])
    return [_error(source, group, changed) for group in groups]


def _error(
    source: Source, group: list[tuple[int, Rewrite]], changed: Mapping[int, tuple[Put, ...]]
) -> Diagnostic:
    first = group[0][1]
    count = len(group)
    puts = [p for n, r in group for p in (changed.get(n, ()) if r.puts is None else r.puts)]
    whole = all(r.puts is None or r.puts for _, r in group)
    places = "" if count == 1 else f" (and {count - 1} more)"
    fixes = [] if not puts or not whole else [joined_fix(source, first.title + places, puts)]
    if count == 1:
        fixes += [joined_fix(source, title, other) for title, other in first.also]
    help = first.help if count == 1 else _help(source, [r for _, r in group], puts, fixes)
    where = place(source, first.at)
    return Diagnostic(first.code, first.message, where, help, fixes=tuple(fixes))


def _help(
    source: Source, group: Sequence[Rewrite], puts: Sequence[Put], fixes: Sequence[Fix]
) -> str:
    """What to do about several: of other kinds on one line what it should read."""
    first, count = group[0], len(group)
    if len({source.position(r.at.start)[0] for r in group}) > 1:
        more = f"{count - 1} more like it"
    else:
        more = f"{count} such places on this line"
    if fixes and len({r.kind for r in group}) > 1:
        begin = min(puts)
        before = source.text[: begin.span.start].rpartition("\n")[2]
        key = re.search(r"[\w-]*\s*$", before) if not begin.text else None
        rest = re.match(r"[\w.]*", source.text[max(puts).span.end :])
        meant = f"{key[0] if key else ''}{fixes[0].text}{rest[0] if rest else ''}".strip()
        if "\n" not in meant and len(meant) < MOST_SHOWN:
            return f"write `{meant}`"
    return f"{first.help}; {more}" if first.help else more


MOST_SHOWN = 60
"""Characters of what a line should read."""


def joined_fix(source: Source, title: str, puts: Sequence[Put]) -> Fix:
    """One replacement that makes all of some."""
    ordered = sorted(puts, key=lambda p: p.span)
    text, parts = source.text, []
    start = at = ordered[0].span.start
    for put in ordered:
        if put.span.start < at:
            continue
        parts.append(text[at : put.span.start])
        written = next((part[-1] for part in reversed(parts) if part), "")
        before = written or text[:start][-1:]
        follows = text[put.span.end : put.span.end + 1]
        parts.append(padded(before, put.text, follows))
        apart = not put.text and before == follows == " "
        at = put.span.end + apart  # one blank is enough where two would meet
    return Fix(title, place(source, Span(start, at)), "".join(parts))


def padded(before: str, new: str, after: str) -> str:
    """What a replacement puts in between two characters, with blanks where it would else join what
    must stay apart."""
    if not new:
        joins = _is_word(before) and _is_word(after)
        return " " if joins else ""
    apart = new[0] == "{" and not before.isspace()
    left = " " if before and (apart or (_is_word(before) and _is_word(new[0]))) else ""
    right = " " if _is_word(new[-1]) and _is_word(after) else ""
    return f"{left}{new}{right}"


def _is_word(character: str) -> bool:
    return character.isalnum() or character in ("_", '"') if character else False
