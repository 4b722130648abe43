"""Configuration files of others, YAML or JSON, as values that know where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spacedsl.diagnostics import Diagnostic, Fix, Place, SpaceError, fault, place, suggest
from spacedsl.syntax.words import keywords
from spacedsl.text import Source, Span
from spacedsl.vocabulary import has_meaning, synonyms

if TYPE_CHECKING:
    from yaml import MappingNode, Node

MAX_CHARACTERS = 1 << 16
MAX_ENTRIES = 10_000


def _same(key: str, known: Iterable[str]) -> str | None:
    """The known key that says the same: another word for it, or the first letter of one."""
    meant = _meant(key)
    for other in known:
        short, long = sorted((key, other), key=len)
        if meant & _meant(other) or (len(short) == 1 and any(w[0] == short for w in _meant(long))):
            return other
    return None


def _meant(key: str) -> set[str]:
    """A word that says something here or elsewhere, and what it says here."""
    known = has_meaning(key) or key in keywords().values()
    return {key, *synonyms(key)} if known else set()


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a file: a scalar, a tuple of entries, or a dict of them. `path` is how people name
    it (`supernet_config.mb1.c`), `place` where it stands (None: JSON)."""

    value: Any
    path: str
    place: Place | None

    def fail(self, message: str, help: str | None = None) -> SpaceError:
        """An error at this value."""
        return SpaceError(
            Diagnostic("bad-import", f"{self.path or 'it'}: {message}", self.place, help)
        )

    def table(self, known: Iterable[str] | None = None) -> dict[str, Entry]:
        """The value as a mapping, whose keys are `known`. Raises `SpaceError`."""
        if not isinstance(self.value, dict):
            raise self.fail("keys and values are expected here")
        for key, entry in self.value.items():
            if known is not None and key not in known:
                raise entry.unknown_key(key, sorted(known))
        return self.value

    def unknown_key(self, key: str, known: list[str]) -> SpaceError:
        """An error on the key of this value."""
        close = suggest(key, known) or _same(key, known)
        help = f"did you mean `{close}`?" if close else f"known: {', '.join(known)}"
        fixes = (Fix(f"write `{close}`", self.place, close),) if close and self.place else ()
        message = f"unknown key `{key[:40]}`"
        return SpaceError(Diagnostic("unknown-import-key", message, self.place, help, fixes=fixes))

    def need(self, key: str) -> Entry:
        """The entry under a key that must be there."""
        table = self.table()
        if key not in table:
            raise self.fail(f"it does not say `{key}`")
        return table[key]

    def items(self) -> tuple[Entry, ...]:
        """The entries of a list, or this one scalar."""
        return self.value if isinstance(self.value, tuple) else (self,)

    def number(self, *, whole: bool = False) -> int | float:
        """The value as a number above or equal to 0."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise self.fail("a number is expected here")
        if value == int(value):
            return int(value)
        if whole:
            raise self.fail("a whole number is expected here")
        return value

    def whole(self) -> int:
        """The value as a whole number."""
        return int(self.number(whole=True))

    def numbers(self) -> tuple[int | float, ...]:
        """A list of numbers, ascending, each once."""
        found = sorted({entry.number() for entry in self.items()})
        if not found:
            raise self.fail("an empty list")
        return tuple(found)

    def wholes(self) -> tuple[int, ...]:
        """A list of whole numbers, ascending, each once."""
        return tuple(sorted({entry.whole() for entry in self.items()}))

    def kernels(self) -> tuple[int, ...]:
        """A list of kernels, which are odd in networks of elsewhere."""
        found = self.wholes()
        even = next((value for value in found if value % 2 == 0), None)
        if even is not None:
            raise self.fail(f"kernel {even} is even")
        return found

    def flag(self) -> bool:
        """The value as true or false."""
        if not isinstance(self.value, bool):
            raise self.fail("True or False is expected here")
        return self.value

    def word(self) -> str:
        """The value as a word."""
        if not isinstance(self.value, str):
            raise self.fail("a word is expected here")
        return self.value


def read_json(source: Source) -> Entry:
    """JSON. Raises `SpaceError`."""
    _bounded(source)
    try:
        value = json.loads(source.text)
    except json.JSONDecodeError as error:
        at = place(source, Span(error.pos, error.pos + 1))
        raise SpaceError(Diagnostic("bad-import", f"this is not JSON: {error.msg}", at)) from None
    except (ValueError, RecursionError) as error:
        raise fault("bad-import", f"{source.name} is not JSON: {error}") from None
    return _plain(value, "")


def _plain(value: object, path: str) -> Entry:
    dot = f"{path}." if path else ""
    if isinstance(value, dict):
        return Entry({k: _plain(v, f"{dot}{k}") for k, v in value.items()}, path, None)
    if isinstance(value, list):
        return Entry(tuple(_plain(v, f"{path}[{i}]") for i, v in enumerate(value)), path, None)
    return Entry(value, path, None)


def read_yaml(source: Source) -> Entry:
    """YAML, by PyYAML's safe loader. Raises `SpaceError`."""
    try:
        import yaml
    except ImportError:
        help = "pip install 'spacedsl[yaml]'"
        raise fault("missing-extra", "reading YAML needs PyYAML", help) from None
    _bounded(source)
    try:
        node = yaml.compose(source.text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = place(source, Span(mark.index, mark.index + 1)) if mark else None
        message = f"this is not YAML: {error.problem}"
        raise SpaceError(Diagnostic("bad-import", message, at)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise fault("bad-import", f"{source.name} is not YAML: {error}") from None
    if node is None:
        raise fault("bad-import", f"{source.name} is empty")
    return _Yaml(source).entry(node, "")


def _bounded(source: Source) -> None:
    if len(source.text) > MAX_CHARACTERS:
        raise fault("too-large", f"{source.name} has more than {MAX_CHARACTERS:,} characters")


class _Yaml:
    """YAML's nodes to entries. Aliases are copied, so their number is bounded too."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0

    def entry(self, node: Node, path: str, at: Node | None = None) -> Entry:
        """`at`: the node to point at, a mapping's key."""
        import yaml

        self.count += 1
        if self.count > MAX_ENTRIES:
            message = f"{self.source.name} has more than {MAX_ENTRIES:,} values"
            raise fault("too-large", message)
        span = Span((at or node).start_mark.index, (at or node).end_mark.index)
        where = place(self.source, span)
        if isinstance(node, yaml.MappingNode):
            return Entry(dict(self._pairs(node, path)), path, where)
        if isinstance(node, yaml.SequenceNode):
            entries = tuple(self.entry(n, f"{path}[{i}]") for i, n in enumerate(node.value))
            return Entry(entries, path, where)
        try:
            value = yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise Entry(None, path, where).fail(f"not a value: {error}") from None
        return Entry(value, path, where)

    def _pairs(self, node: MappingNode, path: str) -> Iterator[tuple[str, Entry]]:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if not isinstance(key.value, list) else "?"
            entry = self.entry(value, f"{path}.{name}" if path else name, at=key)
            if name in seen:
                raise entry.fail("said twice")
            seen.add(name)
            yield name, entry
