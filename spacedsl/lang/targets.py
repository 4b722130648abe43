"""Lower `target` definitions."""

from __future__ import annotations

import math
import re

from spacedsl.diagnostics import Diagnostic
from spacedsl.ir.target import NN_METER, PROFILE, Anchor, Target
from spacedsl.lang.items import LANGUAGE
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.scope import Scope
from spacedsl.lang.tables import missing_table, shipped, table_said
from spacedsl.syntax.printer import format_text
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span
from spacedsl.vocabulary import bare

UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
NEEDED = {
    "device": '`device "my phone, LiteRT"`: what it is, and its runtime',
    "latency": '`latency profile` for what is measured, or a table: `latency "onnxw"`',
    "limits": "`limits 15ms, 25ms`: the latencies that networks are searched for",
}
"""What every target says -> how."""
KEYS = (*NEEDED, "runtime", "threads", "types", "rules", "anchor", "reference")
SAID = {"device": '`device "my phone, LiteRT"`', "runtime": '`runtime "litert"`'}
"""What takes texts that say something."""
MEASURED = ("profile", "profiled", "profiling", "measure", "measured", "measurement", "auto")
"""Words for what was measured on the device."""
MOST_THREADS = 1024


def milliseconds(text: str) -> float | None:
    """`15ms`, `1.5s`, `800us` in milliseconds; None where the text is no time."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s)", text)
    return float(found[1]) * UNITS_MS[found[2]] if found else None


def lower_target(node: Node, scope: Scope, report: Report) -> Target:
    """A `target` definition. Whether its runtime exists and knows its rules is for who uses it;
    whether its table and reference are there for `target_errors`: a table may be made for a target
    that is read before."""
    for rule in KEYS:
        nodes = node.all(rule)
        if len(nodes) > 1:
            raise report.fail("duplicate-key", f"`{rule}` is said twice", nodes[1], "keep one")
        if not nodes and rule in NEEDED:
            message, help = f"a target says its `{rule}`", f"write {NEEDED[rule]}"
            raise report.fail("missing-key", message, node.token("NAME"), help)
    for rule, example in SAID.items():
        for token in node.get(rule).tokens("STRING") if node.first(rule) else ():
            if not _string(token).strip():
                message, help = f"`{rule}` says nothing", f"write what it is, as {example}"
                raise report.fail("bad-value", message, token, help)
    limits = _limits(node.get("limits").tokens("QUANTITY"), report)
    runtime = node.first("runtime")
    names = [_string(t) for t in runtime.tokens("STRING")] if runtime else []
    types = node.first("types")
    latency, measured = _latency(node.get("latency"), scope, report)
    reference = node.first("reference")
    return Target(
        name=node.token("NAME").text,
        device=_string(node.get("device").token("STRING")),
        runtime=names[0] if names else "",
        version=names[1] if len(names) > 1 else "",
        threads=_threads(node.first("threads"), report),
        types=types.token("NAME").text if types else "u8s8",
        rules=_rules(node.first("rules"), report),
        latency=latency,
        measured=measured,
        limits_ms=tuple(sorted(limits)),
        anchor=_anchor(node.first("anchor"), report),
        reference=reference.token("NAME").text if reference else None,
    )


def target_errors(node: Node, scope: Scope) -> list[Diagnostic]:
    """What a sound `target` names that is not there: its table, its reference."""
    report = Report(scope.source)
    latencies = node.get("latency").tokens("STRING")
    tables = [token for token in latencies if not _string(token).startswith(NN_METER)]
    report.found += filter(None, (missing_table(token, scope) for token in tables))
    said = node.first("reference")
    if said is not None and not scope.holders(said.token("NAME").text, "space"):
        try:
            raise report.unknown("space", said.token("NAME"), scope.names_beside())
        except Abandon:
            pass
    return report.found


def _string(token: Token) -> str:
    return token.text[1:-1]


def _latency(node: Node, scope: Scope, report: Report) -> tuple[str, bool]:
    strings = node.tokens("STRING")
    if strings:
        said = _string(strings[0])
        return said if said.startswith(NN_METER) else table_said(said, scope), False
    word = node.token("NAME")
    if word.text != PROFILE:
        message = f"`{word.text}` is no source of latencies"
        help = f'write `{PROFILE}` for what is measured, or a table: `"onnxw"`'
        meant = f'"{word.text}"' if word.text in shipped() else PROFILE
        known = meant != PROFILE or bare(word.text) in MEASURED
        fixes = [(f"write `{meant}`", word.span, meant)] if known else []
        raise report.fail("bad-value", message, word, help, fixes)
    return PROFILE, True


def _threads(node: Node | None, report: Report) -> int:
    if node is None:
        return 1
    token = node.token("INT")
    if not (len(token.text) <= 4 and 0 < int(token.text) <= MOST_THREADS):
        message = f"{token.text[:12]} is no number of threads"
        fixes = [("write 1", token.span, "1")] if token.text == "0" else []
        raise report.fail("bad-value", message, token, f"write 1 to {MOST_THREADS}", fixes)
    return int(token.text)


def _rules(node: Node | None, report: Report) -> tuple[str, ...] | None:
    if node is None:
        return None
    names = [token.text for token in node.tokens("NAME")]
    if len(set(names)) < len(names):
        raise report.fail("duplicate-value", "a rule is listed twice", node)
    return tuple(sorted(names))


def _anchor(node: Node | None, report: Report) -> Anchor | None:
    if node is None:
        return None
    return Anchor(model=node.token("NAME").text, ms=_limit(node.token("QUANTITY"), report))


def _limits(tokens: tuple[Token, ...], report: Report) -> list[float]:
    found: list[float] = []
    for number, token in enumerate(tokens):
        limit = _limit(token, report)
        if limit in found:
            cut = Span(tokens[number - 1].span.end, token.span.end)
            message, fixes = f"the limit {token.text} is listed twice", [("leave it out", cut, "")]
            raise report.fail("duplicate-value", message, token, "leave it out", fixes)
        found.append(limit)
    return found


def _limit(token: Token, report: Report) -> float:
    limit = milliseconds(token.text)
    if limit is None or not 0 < limit < math.inf:
        raise report.fail("bad-value", f"{token.text[:12]} is not a time", token, "write 15ms")
    return limit


def write_target(target: Target) -> str:
    """The canonical page of a target."""
    limits = ", ".join(f"{limit:g}ms" for limit in target.limits_ms)
    anchor = target.anchor
    lines = [
        f'device "{target.device}"',
        f'runtime "{target.runtime}"' + (f' "{target.version}"' if target.version else ""),
        f"threads {target.threads}",
        f"types {target.types}",
        *([f"rules {', '.join(target.rules)}"] if target.rules else []),
        f"latency {PROFILE}" if target.measured else f'latency "{target.latency}"',
        f"limits {limits}",
        *([f"anchor {anchor.model} {anchor.ms:g}ms"] if anchor else []),
        *([f"reference {target.reference}"] if target.reference else []),
    ]
    body = "\n".join(lines if target.runtime else [lines[0], *lines[2:]])
    text = f"language {LANGUAGE}\n\ntarget {target.name} {{\n{body}\n}}\n"
    return format_text(Source(target.name, text))
