"""What a page says of targets that no search or export could use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from spacedsl.diagnostics import Diagnostic, Fix, Place, SpaceError, place, suggest
from spacedsl.ir.target import Target
from spacedsl.lang.load import locate, nearest
from spacedsl.lang.page import Page
from spacedsl.runtimes.rules import TYPES, Rules
from spacedsl.runtimes.table import rules_of, runtime_of, runtimes
from spacedsl.vocabulary import bare

AT = {"unknown-types": "types", "unknown-rule": "rules"}
"""Code of an error -> the key that it is about; `runtime`, else `device`, for others."""

HERE = "this machine"
"""What `device` says of where this runs; a page that says another place has other latencies."""


def said_errors(page: Page) -> tuple[Diagnostic, ...]:
    """Runtimes, data types and rules that a page's targets name and nothing here knows."""
    found: list[Diagnostic] = []
    for name, target in _targets(page):
        found += _misnamed(target, page, name)
        found += _no_anchor(target, name, page)
    return tuple(found)


def unreadable(page: Page) -> Iterator[Diagnostic]:
    """The errors of tables that a page without errors names by their paths, and that cannot be
    read."""
    for name in page.names:
        for key in ("quality", "latency"):
            node = page.items[name].first(key) if name not in page.broken else None
            paths = [t for t in node.tokens("STRING") if t.text.endswith('.json"')] if node else []
            try:
                said = getattr(page.get(name), key, None) if paths else None
                if said is not None:
                    _read_table(key, said)
            except SpaceError as error:
                where = place(page.source, paths[0].span)
                yield from (Diagnostic(d.code, d.message, where, d.help) for d in error.diagnostics)


def _read_table(key: str, path: str) -> None:
    from spacedsl.tables.files import load_latency, load_quality  # numpy, which takes its time

    (load_quality if key == "quality" else load_latency)(path)


def _misnamed(target: Target, page: Page, name: str) -> Iterator[Diagnostic]:
    """The errors of a target's runtime, data types and rules; each as if those before were
    mended."""
    try:
        rules_of(target)
    except SpaceError as error:
        node = page.items[name]
        for wrong in error.diagnostics:
            at = node.first(AT.get(wrong.code, "runtime")) or node.get("device")
            where = place(page.source, at.span)
            fixes: tuple[Fix, ...] = ()
            meant = _meant(wrong.code, target)
            if meant is not None:
                tokens = [t for t in at.tokens(meant[0]) if t.text == meant[2]]
                token = place(page.source, (tokens or at.tokens(meant[0]))[0].span)
                fixes = (Fix(f"write `{meant[1]}`", token, meant[1]),)
            yield Diagnostic(wrong.code, wrong.message, where, wrong.help, (), fixes)
            if meant is not None and wrong.code != "unknown-rule":
                key = AT.get(wrong.code, "runtime")
                mended = target.model_copy(update={key: meant[1].split('"')[meant[1][0] == '"']})
                yield from _misnamed(mended, page, name)


def _no_anchor(target: Target, item: str, page: Page) -> Iterator[Diagnostic]:
    """The error of an anchor that names nothing that could be loaded."""
    if target.anchor is None:
        return
    try:
        locate(target.anchor.model)
    except SpaceError:
        name = page.items[item].get("anchor").token("NAME")
        where, close = place(page.source, name.span), nearest(name.text)
        help = "an anchor is a model of the library, as `seqnet-vnni-a2`"
        help = f"did you mean `{close}`?" if close else help
        fixes = (Fix(f"write `{close}`", where, close),) if close else ()
        yield Diagnostic("unknown-model", f"unknown model `{name.text}`", where, help, fixes=fixes)


WORDS = re.compile(r"u?s?u?(int)?8(s8|u8|bit|bits|w8|a8)?|uint8int8|qu?int8|i8|a8w8", re.IGNORECASE)
"""How 8-bit types are named elsewhere."""


def _meant(code: str, target: Target) -> tuple[str, str, str] | None:
    """The kind of the token of a runtime, of data types or of a rule that are named in another way
    than here, what is meant by it, and the token."""
    if code == "unknown-rule" and target.rules:
        known = runtime_of(target).optional
        pairs = [(word, suggest(word, known)) for word in target.rules if word not in known]
        wrong, close = pairs[0]
        return ("NAME", close, wrong) if close else None
    if code == "unknown-types" and WORDS.fullmatch(bare(target.types)):
        return "NAME", TYPES, target.types
    if code != "unknown-runtime" or not target.runtime:
        return None
    word, _, version = re.sub("[ =<>~@]+|-(?=[0-9])", " ", target.runtime, count=1).partition(" ")
    close = next((r.name for r in runtimes().values() if _is_named(word, r.rules)), None)
    if close is None:
        return None
    number = f' "{version}"' if version[:1].isdecimal() else ""
    return "STRING", f'"{close}"{number}', f'"{target.runtime}"'


def _is_named(word: str, rules: Rules) -> bool:
    """Whether a word is a name of a runtime, or the first part of one."""
    known = [bare(name).replace(" ", "") for name in (rules.runtime, *rules.aliases)]
    return len(word) > 3 and any(name.startswith(bare(word)) for name in known)


def said_warnings(page: Page) -> tuple[Diagnostic, ...]:
    """Where a page's targets describe another device whose latencies are not measured here."""
    return tuple(
        _other_device(target, place(page.source, page.items[name].get("device").span), "warning")
        for name, target in _targets(page)
        if is_elsewhere(target)
    )


def is_elsewhere(target: Target) -> bool:
    """Whether a target's latencies are measured, but on another device than this machine."""
    return target.measured and HERE not in target.device.lower()


def require_host(target: Target, where: str | None) -> None:
    """Raise `SpaceError` where a target is another device, and it is not said `where` that is."""
    if where is None:
        need_here(target)


def need_here(target: Target) -> None:
    """Raise `SpaceError` where what is measured on this machine is not the target's: for before
    its latencies are measured or used here."""
    if is_elsewhere(target):
        raise SpaceError(_other_device(target, None, "error"))


def _other_device(
    target: Target, at: Place | None, severity: Literal["error", "warning"]
) -> Diagnostic:
    message = (
        f'target `{target.name}` is another device ("{target.device}"), and `latency profile` is '
        "what is measured on this machine"
    )
    help = (
        f"say `{HERE}` in `device` where it is this machine, measure there (`--on "
        "ssh://USER@HOST`), or name that device's table or carried profile in `latency`"
    )
    return Diagnostic("other-device", message, at, help, severity=severity)


def _targets(page: Page) -> list[tuple[str, Target]]:
    """The sound targets of a page."""
    found: list[tuple[str, Target]] = []
    for name in page.names:
        if page.kind(name) == "target" and name not in page.broken:
            try:
                item = page.get(name)
            except SpaceError:
                continue
            if isinstance(item, Target):
                found.append((name, item))
    return found
