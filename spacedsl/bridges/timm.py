"""timm's block strings, such as `ir_r2_k3_s2_e6_c24_se0.25_nre`, read strictly.

timm's own reader skips what it does not know; here that is an error where it stands. A network is a
list of stacks, each a list of strings, in the notation of Python or JSON; without brackets every
string is a stack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from spacedsl.diagnostics import Diagnostic, Fix, Place, SpaceError, place, suggest
from spacedsl.ir.expr import round8
from spacedsl.ir.space import MAX_DEPTH
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.text import Source, Span

Kind = Literal["ir", "ds", "dsa", "er", "cn"]
KINDS: tuple[str, ...] = get_args(Kind)
OTHER_KINDS = ("uir", "mqa", "mha")
"""Block types that timm has and the language has no operators for (or no block yet)."""

ACTS = {act.timm: word for word, act in ACTIVATIONS.items() if act.timm}
"""timm's names of activations."""

NUMBERS = ("r", "k", "s", "e", "c", "se")
FLAGS = ("skip", "noskip")
OTHER_KEYS = ("a", "p", "cc", "d", "fc", "gs", "h", "v", "nmi")
"""What timm knows and this does not."""

NEEDED = {"ir": "rksec", "ds": "rksc", "dsa": "rksc", "er": "rksec", "cn": "rksc"}
MAX_CHARACTERS = 1 << 16

TOKEN = re.compile(r"#[^\n]*|[\s,'\"()]+|[\[\]]|[^\s,'\"\[\]()#]+")
KEY = re.compile(r"([a-z]+?)([0-9][0-9.]{0,8})")


@dataclass(frozen=True, slots=True)
class Said:
    """One string: `repeat` blocks, of which the first takes the stride. `act` None: the network's
    default. `ratio` 0: no SE. `skip`: whether a block that keeps width and size adds its input."""

    kind: Kind
    repeat: int
    kernel: int
    stride: int
    width: int
    expand: float = 1
    ratio: float = 0
    act: str | None = None
    skip: bool = True


Stack = tuple[Said, ...]


def read_stacks(source: Source) -> tuple[Stack, ...]:
    """The stacks of an arch definition. Raises `SpaceError` with every string that is wrong."""
    if len(source.text) > MAX_CHARACTERS:
        at = place(source, Span(0, 0))
        raise SpaceError(Diagnostic("too-large", f"more than {MAX_CHARACTERS:,} characters", at))
    stacks: list[list[Said]] = []
    errors: list[Diagnostic] = []
    for group in _groups(source, errors):
        stack: list[Said] = []
        for span in group:
            try:
                stack.append(_read(source, span, first=not stack))
            except SpaceError as error:
                errors += error.diagnostics
        stacks.append(stack)
    if not any(stacks) and not errors:
        errors.append(Diagnostic("bad-import", "there is no block string", _at(source, 0, 0)))
    if errors:
        raise SpaceError(errors)
    return tuple(tuple(stack) for stack in stacks)


def _at(source: Source, start: int, end: int) -> Place:
    return place(source, Span(start, end))


def _groups(source: Source, errors: list[Diagnostic]) -> list[list[Span]]:
    """Spans of the strings, stack by stack."""
    groups: list[list[Span]] = []
    depth = 0
    for found in TOKEN.finditer(source.text):
        word, span = found[0], Span(*found.span())
        if word == "[":
            depth += 1
            if depth == 2:
                groups.append([])
        elif word == "]":
            depth -= 1
        elif word[0] == "#" or not word.strip(" \t\r\n,'\"()"):
            continue
        elif depth == 2:
            groups[-1].append(span)
        else:
            groups.append([span])
        if not 0 <= depth <= 2:
            message = "brackets that do not match: an arch definition is a list of lists"
            errors.append(Diagnostic("bad-import", message, place(source, span)))
            return []
    if depth:
        end = len(source.text)
        errors.append(Diagnostic("bad-import", "a bracket is not closed", _at(source, end, end)))
    return groups


def _read(source: Source, span: Span, *, first: bool) -> Said:
    """One string. `first`: of its stack."""
    string = _String(source, span)
    kind, keys = string.kind, string.keys
    for key in NEEDED[kind]:
        if key not in keys:
            raise string.fail(f"a `{kind}` says its `{key}`", span, f"e.g. {EXAMPLES[kind]}")
    if kind in ("ds", "dsa") and keys.get("e", 1) != 1:
        raise string.fail(f"`{kind}` has no expansion", string.spans["e"], "write e1, or `ir`")
    if kind == "cn" and {"e", "se"} & set(keys):
        extra = min({"e", "se"} & set(keys))
        raise string.fail(f"`cn` is one convolution: it has no `{extra}`", string.spans[extra])
    whole = {key: string.whole(key) for key in "rksc"}
    if whole["k"] % 2 == 0:
        message = f"kernel {whole['k']} is even: timm pads it otherwise than pages do"
        raise string.fail(message, string.spans["k"])
    if whole["s"] > 1 and not first:
        help = "timm would take it for 1; begin a new stack"
        raise string.fail("only the first block of a stack has a stride", string.spans["s"], help)
    if round8(whole["c"]) != whole["c"]:
        help = f"timm builds {round8(whole['c'])} channels of it: write c{round8(whole['c'])}"
        raise string.fail(f"{whole['c']} channels are no multiple of 8", string.spans["c"], help)
    skips = {"skip", "noskip"} & string.flags
    return Said(
        kind=kind,
        repeat=whole["r"],
        kernel=whole["k"],
        stride=whole["s"],
        width=whole["c"],
        expand=keys.get("e", 1),
        ratio=keys.get("se", 0),
        act=string.act,
        skip="skip" in skips if kind == "cn" else kind != "dsa" and "noskip" not in skips,
    )


EXAMPLES = {
    "ir": "ir_r2_k3_s2_e6_c24",
    "ds": "ds_r1_k3_s1_e1_c16",
    "dsa": "dsa_r1_k3_s1_e1_c16",
    "er": "er_r1_k3_s2_e4_c24",
    "cn": "cn_r1_k1_s1_c960",
}
LIMITS = {"r": (1, MAX_DEPTH), "k": (1, 31), "s": (1, 2), "c": (1, 65_536)}


class _String:
    """The words of one string, each known."""

    def __init__(self, source: Source, span: Span) -> None:
        self.source, self.span = source, span
        self.keys: dict[str, float] = {}
        self.spans: dict[str, Span] = {}
        self.flags: set[str] = set()
        self.act: str | None = None
        words = source.text[span.start : span.end].split("_")
        at = span.start + len(words[0]) + 1
        self.kind = self._kind(words[0], Span(span.start, at - 1))
        for word in words[1:]:
            self._take(word, Span(at, at + len(word)))
            at += len(word) + 1

    def fail(self, message: str, at: Span, help: str | None = None) -> SpaceError:
        return SpaceError(Diagnostic("bad-import", message, place(self.source, at), help))

    def whole(self, key: str) -> int:
        least, most = LIMITS[key]
        value = self.keys[key]
        if value != int(value) or not least <= value <= most:
            message = f"`{key}` is a whole number from {least} to {most}"
            raise self.fail(message, self.spans[key])
        return int(value)

    def _kind(self, word: str, span: Span) -> Kind:
        known: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        if word in known:
            return known[word]
        if word in OTHER_KINDS:
            raise self.fail(f"timm's `{word}` has no counterpart here", span)
        raise self._unknown("block type", word, KINDS, span)

    def _take(self, word: str, span: Span) -> None:
        if word in FLAGS:
            self._once("skip", span)
            self.flags.add(word)
            return
        if word[:1] == "n" and word[1:] in ACTS:
            self._once("n", span)
            self.act = ACTS[word[1:]]
            return
        found = KEY.fullmatch(word)
        key = found[1] if found else word
        if found and key in NUMBERS:
            self._once(key, span)
            self.keys[key] = self._number(found[2], span)
            return
        if key in OTHER_KEYS:
            raise self.fail(f"timm's `{word}` cannot be said here", span)
        known = [*NUMBERS, *FLAGS, *(f"n{name}" for name in ACTS)]
        raise self._unknown("key", key, known, span)

    def _once(self, key: str, span: Span) -> None:
        if key in self.spans:
            raise self.fail(f"`{key}` is said twice", span)
        self.spans[key] = span

    def _number(self, text: str, span: Span) -> float:
        value = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else 0.0
        if value == 0:
            raise self.fail(f"{text} is not a number above 0", span)
        return int(value) if value == int(value) else value

    def _unknown(
        self, what: str, word: str, known: list[str] | tuple[str, ...], at: Span
    ) -> SpaceError:
        where = place(self.source, at)
        close = suggest(word, known)
        help = f"did you mean `{close}`?" if close else f"known: {', '.join(known)}"
        fixes = (Fix(f"write `{close}`", where, close),) if close else ()
        message = f"unknown {what} `{word[:40]}`; timm would ignore it"
        return SpaceError(Diagnostic("unknown-import-key", message, where, help, fixes=fixes))
