"""Going on after a syntax error: the smallest edit that lets the page go on, else panic mode.

An error is noted once, at the token that does not fit. Then, if one token left out, put in or
replaced lets many of the next ones fit, parsing goes on with that edit. If not, what is unfinished
is dropped and tokens are skipped up to a `}` or a token that is first on its line and may stand
there. Whatever happens, a tree comes back; `Recovered.broken` says which statements of the page
are not as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, order
from spacedsl.syntax.habits import meant
from spacedsl.syntax.machine import END, Machine, advance, fits, reach
from spacedsl.syntax.messages import Edit, explain, misspelt
from spacedsl.syntax.rewrite import (
    LOOK,
    Change,
    Put,
    Rewrite,
    Stopped,
    folded,
    is_foreign,
    read_as,
)
from spacedsl.syntax.tree import Node, Token
from spacedsl.syntax.words import fixed
from spacedsl.text import Source, Span

MAX_ERRORS = 20
MAX_REWRITES = 300
KEPT = 24
"""How many tokens back a change can begin."""
ENOUGH = 4
"""How many tokens must fit after an edit."""
OPENING, CLOSING = "LBRACE", "RBRACE"


@dataclass(frozen=True, slots=True)
class Recovered:
    """`broken`: the start of every statement of the page that holds an error, with its words up
    to there."""

    tree: Node
    errors: tuple[Diagnostic, ...]
    broken: tuple[tuple[Token, ...], ...]


class Recovery:
    """One run over the tokens of a page."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self.source = source
        self.tokens = list(tokens)
        self.kinds = [t.type for t in tokens]
        self.machine = Machine()
        self.runs: dict[int, Machine] = {}
        self.index = 0
        self.errors: list[Diagnostic] = []
        self.rewrites: list[Rewrite] = []
        self.changed: dict[int, tuple[Put, ...]] = {}
        self.broken: list[tuple[Token, ...]] = []

    def run(self) -> Recovered:
        """Read everything."""
        while self.index < len(self.tokens):
            if not self._step(self.tokens[self.index]):
                self._recover()
        root = self.machine.values[0]
        if not isinstance(root, Node):
            raise TypeError("the tables of the grammar changed")
        tree = Node(root.rule, (*root.children, self.tokens[-1]), root.span)
        errors = [*self.errors, *folded(self.source, self.rewrites, self.changed)]
        return Recovered(tree, tuple(sorted(errors, key=order)), tuple(self.broken))

    def up_to_end(self) -> Machine:
        """Read all but the end of the page: the run, where more could be written."""
        while self.index < len(self.tokens) - 1:
            if not self._step(self.tokens[self.index]):
                self._recover()
        return self.machine

    def _step(self, token: Token) -> bool:
        before = self.machine.copy()
        if not self.machine.take(token):
            self.machine = before
            return False
        self.runs[self.index] = before
        self.runs.pop(self.index - KEPT, None)
        self.index += 1
        return True

    def _recover(self) -> None:
        if len(self.errors) == MAX_ERRORS:
            self.broken.append(self._statement(self.machine, self.index))
            self.index = len(self.tokens) - 1
        else:
            stopped = self._stopped()
            got, rewrite = meant(stopped) if len(self.rewrites) < MAX_REWRITES else (0, None)
            edit, reached = self._best_edit(stopped)
            if rewrite is not None and (rewrite.sure or self._is_likelier(got, reached)):
                self._rewrite(rewrite)
                return
            self._note(explain(stopped, edit))
            if edit is not None and self.kinds[self.index] != END:
                back = edit.at < self.index
                holder = self.runs[edit.at] if back else self.machine
                self.broken.append(self._statement(holder, self.index - back))
                self._apply(edit)
                return
            self.broken.append(self._statement(self.machine, self.index))
        if self.kinds[self.index] == END:
            self._finish()
        else:
            self._panic()

    def _note(self, error: Diagnostic) -> None:
        """Note an error, unless it is where the last one was."""
        last = self.errors[-1].place if self.errors else None
        if error.place is None or error.place != last:
            self.errors.append(error)

    def _is_likelier(self, got: int, reached: int) -> bool:
        """Whether a rewrite that lets the page be read up to token `got` is likelier than an edit
        that lets it be read up to `reached`."""
        far = min(self.index + LOOK, len(self.kinds)) - ENOUGH
        return got >= min(reached, far) or is_foreign(self.kinds[got : got + 2])

    def _stopped(self) -> Stopped:
        runs = {at: run.states for at, run in self.runs.items()}
        return Stopped(
            self.source, self.tokens, self.index, {**runs, self.index: self.machine.states}
        )

    def _rewrite(self, rewrite: Rewrite) -> None:
        """Read on with the changes made, from the first of them."""
        puts: list[Put] = []
        made = {put.span for earlier in self.changed.values() for put in earlier}
        for change in sorted(rewrite.changes, reverse=True):
            first, after, text = self._joined(change, made)
            new = read_as(self.source, self.tokens, Change(first, after, text))
            start = self.tokens[first].span.start
            end = self.tokens[after - 1].span.end if after > first else start
            puts.append(Put(Span(start, end), text))
            self.tokens[first:after] = new
            self.kinds[first:after] = [t.type for t in new]
            begin = first
        number = len(self.rewrites)
        for key, earlier in self.changed.items():
            kept = tuple(p for p in earlier if not any(_covers(n.span, p.span) for n in puts))
            self.changed[key] = kept
        self.rewrites.append(rewrite)
        self.changed[number] = tuple(puts)
        if begin < self.index or begin in self.runs:
            self.machine = self.runs[begin].copy()
        self.runs = {at: run for at, run in self.runs.items() if at < begin}
        self.index = begin
        self.broken.append(self._statement(self.machine, begin))

    def _joined(self, change: Change, made: set[Span]) -> Change:
        """A change that takes all of what an earlier one put in, not a part of it. `made`: where
        earlier ones put something in."""
        first, after, text = change
        while first < after and first - 1 in self.runs and self._is_made(first, made):
            first -= 1
            text = f"{self.tokens[first].text} {text}"
        while first < after and self._is_made(after, made):
            text = f"{text} {self.tokens[after].text}"
            after += 1
        return Change(first, after, text)

    def _is_made(self, at: int, made: set[Span]) -> bool:
        """Whether tokens `at - 1` and `at` were put in together."""
        span = self.tokens[at].span
        return self.tokens[at - 1].span == span and span in made

    def _statement(self, machine: Machine, index: int) -> tuple[Token, ...]:
        """The first words of the statement of the page that `machine` reads, before token
        `index`."""
        values = machine.values
        start = 1 if values and not isinstance(values[0], Token | Node) else 0
        complete = fits(machine.states, END)
        words = [] if complete else _tokens(values[start:])
        return (*words[:3], *self.tokens[index : index + 3])[:3]

    # ---- edits ----------------------------------------------------------------------------------

    def _best_edit(self, stopped: Stopped) -> tuple[Edit | None, int]:
        """The edit that lets the most tokens fit, if they are enough, and the number of the first
        one that does not fit then; a word spelt right first."""
        word = misspelt(stopped)
        if word is not None:
            return Edit(word[0], (word[1],), word[0] + 1), 0
        best, found = ENOUGH - 1, None
        for edit in self._candidates(stopped):
            states = stopped.runs[edit.at]
            ahead = [*edit.inserted, *self.kinds[edit.to : edit.to + LOOK]]
            count = reach(states, ahead) - len(edit.inserted)
            count = LOOK if edit.to + count >= len(self.kinds) else count
            if count > best:
                best, found = count, edit
        return found, found.to + best if found else 0

    def _candidates(self, stopped: Stopped) -> Iterator[Edit]:
        """The likeliest first."""
        i = self.index
        may = sorted(stopped.may - {END})
        before = sorted(stopped.may_at(-1) - {END})
        yield Edit(i, (), i + 1)
        yield from (Edit(i, (kind,), i) for kind in may)
        yield from (Edit(i - 1, (kind,), i - 1) for kind in before)
        yield from (Edit(i, (kind,), i + 1) for kind in may)
        if i - 1 in self.runs:
            yield Edit(i - 1, (), i)
        yield from (Edit(i - 1, (kind,), i) for kind in before)

    def _apply(self, edit: Edit) -> None:
        if edit.at < self.index:
            self.machine = self.runs[edit.at].copy()
        self.runs = {}
        replaced = self.tokens[edit.at]
        for kind in edit.inserted:
            if edit.at < edit.to:
                token = Token(kind, fixed().get(kind, replaced.text), replaced.span)
            else:
                start = replaced.span.start
                token = Token(kind, fixed().get(kind, ""), Span(start, start))
            self.machine.feed(token)
        self.index = edit.to

    # ---- panic ----------------------------------------------------------------------------------

    def _panic(self) -> None:
        """Drop what is unfinished and skip to where something may go on."""
        self.runs = {}
        opened = self._opened()
        depth, line = 0, -1
        for at in range(self.index, len(self.tokens)):
            kind = self.kinds[at]
            number = self.source.position(self.tokens[at].span.start)[0]
            first = number != line and (at > self.index or self._is_first(at))
            line = number
            if (first and kind != OPENING) or kind in (CLOSING, END):
                size = self._resumes(opened, -depth, at)
                if size is not None:
                    self.machine.cut(size)
                    self.index = at
                    return
            depth += (kind == OPENING) - (kind == CLOSING)
        self.index = len(self.tokens) - 1
        self._finish()

    def _is_first(self, at: int) -> bool:
        here = self.source.position(self.tokens[at].span.start)[0]
        return at == 0 or self.source.position(self.tokens[at - 1].span.start)[0] != here

    def _opened(self) -> list[int]:
        """For every number of values kept: how many open bodies would be dropped."""
        counts = [0]
        for value in reversed(self.machine.values):
            brace = isinstance(value, Token) and value.type == OPENING
            counts.append(counts[-1] + brace)
        return counts[::-1]

    def _resumes(self, opened: list[int], dropped: int, at: int) -> int | None:
        """How many values to keep so that the tokens from `at` on fit."""
        wanted = self.kinds[at : at + 2]
        for size in range(len(opened) - 1, -1, -1):
            if opened[size] == dropped and reach(self.machine.states[: size + 1], wanted) == len(
                wanted
            ):
                return size
        return None

    def _finish(self) -> None:
        """Close the open bodies, or drop them where that cannot be, and end the page."""
        end = self.tokens[-1]
        brace = Token(CLOSING, "}", end.span)
        while not fits(self.machine.states, END):
            closed = self.machine.states[:]
            if advance(closed, CLOSING):
                self.machine.feed(brace)
            else:
                self.machine.cut(len(self.machine.values) - 1)
        self.machine.feed(end)
        self.index = len(self.tokens)


def _covers(span: Span, other: Span) -> bool:
    """Whether a change of `span` takes the place of one of `other`."""
    return span.start < span.end and span.start <= other.start and other.end <= span.end


def _tokens(values: Sequence[object]) -> list[Token]:
    """The first few tokens below some values."""
    found: list[Token] = []
    todo: list[object] = list(values)[::-1]
    while todo and len(found) < 3:
        value = todo.pop()
        if isinstance(value, Token):
            found.append(value)
        elif isinstance(value, Node):
            todo.extend(value.children[::-1])
        elif isinstance(value, tuple):
            todo.extend(value[::-1])
    return found
