"""Collects diagnostics of one page, so that a run reports every independent error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from spacedsl.diagnostics import Diagnostic, Fix, Label, SpaceError, order, place, suggest
from spacedsl.operators.operators import OPERATORS
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span
from spacedsl.vocabulary import advice, is_norm, is_unit_left_out, leaves_out


class Abandon(Exception):
    """This item is already reported; its caller goes on with the next one."""


Mend = tuple[str, Span, str]
"""A fix: what it does, and what it puts instead of what."""

PAGE_WIDE = ("block", "space")
"""What a name means all over a page; other names belong to an item."""

SWITCHES = {
    **dict.fromkeys(("true", "yes", "on", "add", "residual", "skip"), "identity"),
    **dict.fromkeys(("false", "no", "off"), "none"),
}
"""How other notations switch a shortcut on or off -> the kind of shortcut that they mean."""

MAX_SUGGESTED = 25
"""More unknown names than that get no suggestion, which takes time."""

Seen = dict[tuple[str, str], Diagnostic]


class Report:
    """Diagnostics of one item, in order of discovery. `seen`: what the whole page found unknown,
    so that a name is reported once however often it is used."""

    def __init__(self, source: Source, seen: Seen | None = None) -> None:
        self.source = source
        self.found: list[Diagnostic] = []
        self._mends: dict[int, tuple[Mend, ...]] = {}
        self._seen: Seen = {}
        self._seen_in_page: Seen = {} if seen is None else seen

    def error(
        self,
        code: str,
        message: str,
        at: Node | Token,
        help: str | None = None,
        fixes: Iterable[Mend] = (),
        labels: Iterable[tuple[str, Node | Token]] = (),
    ) -> None:
        """Note an error at a node or token and go on. `labels`: what else has to do with it."""
        mends = tuple(fixes)
        error = self._diagnostic(code, message, at, help, mends, labels)
        self._mends[id(error)] = mends
        self.found.append(error)

    def _diagnostic(
        self,
        code: str,
        message: str,
        at: Node | Token,
        help: str | None,
        fixes: Iterable[Mend] = (),
        labels: Iterable[tuple[str, Node | Token]] = (),
    ) -> Diagnostic:
        shown = tuple(Fix(title, place(self.source, span), text) for title, span, text in fixes)
        notes = tuple(Label(place(self.source, other.span), said) for said, other in labels)
        where = place(self.source, at.span)
        return Diagnostic(code, message, where, help, notes, shown)

    def fail(
        self,
        code: str,
        message: str,
        at: Node | Token,
        help: str | None = None,
        fixes: Iterable[Mend] = (),
        labels: Iterable[tuple[str, Node | Token]] = (),
    ) -> Abandon:
        """Note an error; to be raised, so that nothing is built on what is wrong."""
        self.error(code, message, at, help, fixes, labels)
        return Abandon()

    def unknown(self, what: str, name: Token, known: Iterable[str]) -> Abandon:
        """Note an unknown name, with the one that was probably meant or all there are."""
        seen = self._seen_in_page if what in PAGE_WIDE else self._seen
        key = what, name.text
        if key not in seen:
            listed = sorted(set(known)) if len(seen) < MAX_SUGGESTED else []
            of_number = self._of_number(name) if what == "block" else None
            seen[key] = of_number or self._unknown(what, name, listed)
        return self.depends((seen[key],))

    def join(self, begin: int) -> None:
        """Make one error of those of a code from number `begin` on that each have one fix, with a
        fix for all of them."""
        groups: dict[str, list[Diagnostic]] = {}
        for error in self.found[begin:]:
            groups.setdefault(error.code, []).append(error)
        joined: list[Diagnostic] = []
        for group in groups.values():
            mends = [m for error in group for m in self._mends.get(id(error), ())[:1]]
            alike = len(mends) == len(group) > 1
            joined += [self._joined(group, mends)] if alike else group
        self.found[begin:] = joined

    def _joined(self, group: Sequence[Diagnostic], mends: Sequence[Mend]) -> Diagnostic:
        from spacedsl.syntax.rewrite import Put, joined_fix  # which only errors need

        first, more = group[0], len(group) - 1
        help = f"{first.help}; {more} more like it" if first.help else f"{more} more like it"
        puts = [Put(span, text) for _, span, text in mends]
        fix = joined_fix(self.source, f"{mends[0][0]} (and {more} more)", puts)
        return replace(first, help=help, fixes=(fix,))

    def once(self, key: tuple[str, str], error: Diagnostic) -> Abandon:
        """Note an error of the whole page; the first of its key stands for all."""
        return self.depends((self._seen_in_page.setdefault(key, error),))

    def _unknown(self, what: str, name: Token, known: list[str]) -> Diagnostic:
        where = place(self.source, name.span)
        close = suggest(name.text, known)
        said = advice(name.text) if what in ("modifier", "activation", "block") else None
        listed = f"known: {', '.join(known)}" if known else None
        help = f"did you mean `{close}`?" if close else "; ".join(filter(None, (said, listed)))
        fixes = (Fix(f"write `{close}`", where, close),) if close else ()
        if close is None and what == "modifier" and leaves_out(name.text):
            help, cut = said or "", place(self.source, self.with_blank(name.span))
            fixes = (Fix("leave it out", cut, ""),)
        doubled = re.fullmatch(r"(\w+)x\1", name.text) if what == "name" else None
        if doubled and doubled[1] in known:
            help = f"both sides are alike: write `{doubled[1]}`"
            fixes = (Fix(f"write `{doubled[1]}`", where, doubled[1]),)
        switch = SWITCHES.get(name.text.lower()) if what == "shortcut" else None
        if switch is not None:
            help = f"a shortcut is one of {', '.join(known)}: write `{switch}`"
            fixes = (Fix(f"write `{switch}`", where, switch),)
        message = f"unknown {what} `{name.text}`"
        return Diagnostic(f"unknown-{what}", message, where, help or None, fixes=fixes)

    def negated(self, word: Token) -> Abandon:
        """Note `no bias` and `without norm` among what an op says."""
        behind = re.match(r"[ \t]+([\w-]+)", self.source.text[word.span.end :])
        what = behind[1] if behind and behind[1] not in OPERATORS else ""
        meant = " nonorm" if is_norm(what) else ""
        span = self.with_blank(word.span)
        span = span._replace(end=word.span.end + (behind.end() if behind and what else 0))
        help = "write `nonorm`" if meant else "what is not written is not there: leave it out"
        message = f"`{word.text} {what}".rstrip() + "` is no word of an op"
        return self.fail("unknown-modifier", message, word, help, [(help, span, meant)])

    def _of_number(self, name: Token) -> Diagnostic | None:
        """The error of a word that stands where a block type does but belongs to the number before
        it, as elsewhere: its step without a blank, its unit."""
        step = re.fullmatch("step[_-]?([0-9]+)", name.text)
        if step is not None:
            meant = f"step {step[1]}"
            help, fixes = f"write `{meant}`", [(f"write `{meant}`", name.span, meant)]
            return self._diagnostic("notation", f"`{name.text}` is two words", name, help, fixes)
        text = self.source.text
        if is_unit_left_out(name.text) and re.search(r"[0-9][ \t]*$", text[: name.span.start]):
            message = f"`{name.text}` is a unit, and numbers have none here"
            fixes = [("leave out the unit", self.with_blank(name.span), "")]
            return self._diagnostic("notation", message, name, "leave it out", fixes)
        return None

    def with_blank(self, span: Span) -> Span:
        """A word and the blank before it."""
        before = self.source.text[: span.start]
        return Span(len(before.rstrip()), span.end)

    def is_blank(self, start: int, end: int) -> bool:
        """Whether nothing is written between two offsets."""
        return not self.source.text[start:end].strip()

    def is_first(self, token: Token) -> bool:
        """Whether a token is the first on its line."""
        before = self.source.text[: token.span.start]
        return not before.rpartition("\n")[2].strip()

    def depends(self, causes: Iterable[Diagnostic]) -> Abandon:
        """Note that what is reported already is why this cannot be built."""
        self.found += causes
        return Abandon()

    def raise_if_any(self) -> None:
        """Raises `SpaceError` with everything found, in order of the text."""
        if self.found:
            raise SpaceError(sorted(dict.fromkeys(self.found), key=order))
