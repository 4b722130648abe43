"""Settings of a model's block, `k3 e4`, where a space lists values to choose from."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.scope import Scope
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.syntax.tree import Node, Token
from spacedsl.vocabulary import SHORT, STAGE_LETTERS, synonyms

SETTING = re.compile(rf"([{''.join(SHORT)}])([0-9.]+)")


def is_setting(token: Token) -> bool:
    """Whether a word is a setting as models write it: `k3`, `e0.5`."""
    return SETTING.fullmatch(token.text) is not None


def check_settings(nodes: Sequence[Node], scope: Scope, report: Report) -> None:
    """Raises `Abandon` where settings stand behind a block type: `mbv2 k3 e4`. They are read as
    the names of further block types."""
    words = [node.token("NAME") for node in nodes]
    found = [i for i, word in enumerate(words) if is_setting(word)]
    if not found or found[0] == 0 or nodes[found[0] - 1].all("arg"):
        return
    first = after = found[0]
    while after < len(words) and is_setting(words[after]) and not nodes[after].all("arg"):
        after += 1
    if after > first and not any(scope.knows_block(word.text) for word in words[first:after]):
        raise as_settings(words[first:after], words[first - 1].text, report)


def check_keys(nodes: Sequence[Node], scope: Scope, report: Report) -> None:
    """Raises `Abandon` where a key of the stage stands in short, `s2`, or a parameter outside of
    its block's braces. Both are read as the names of block types."""
    for i, node in enumerate(nodes):
        word = node.token("NAME")
        if scope.knows_block(word.text):
            continue
        short = re.fullmatch(r"([a-z])([0-9]+)", word.text)
        key = STAGE_LETTERS.get(short[1]) if short else None
        if short and key and not node.all("arg"):
            meant = f"{key} {short[2]}"
            fixes = [(f"write `{meant}`", word.span, meant)]
            message = f"`{word.text}` is no block type"
            raise report.fail("notation", message, word, f"write `{meant}`", fixes)
        behind = [n.token("NAME") for n in nodes[i + 1 : i + 2]]
        if word.text in ("act", *synonyms("act")) and behind and behind[0].text in ACTIVATIONS:
            said = f"act {behind[0].text}"
            message = f"`{said}` stands outside of the braces of its block"
            raise report.fail("notation", message, word, f"write it as `mbv2 {{ {said} }}`")


def as_settings(words: Sequence[Token], block: str, report: Report) -> Abandon:
    """Note settings that stand behind `block`, or in its braces where it is "": with what a space
    says instead."""
    values: dict[str, list[str]] = {}
    for word in words:
        values.setdefault(SHORT[word.text[0]], []).append(word.text[1:])
    said = "  ".join(f"{name} {', '.join(listed)}" for name, listed in values.items())
    meant, help = (f"{{ {said} }}", f"write `{block} {{ {said} }}`") if block else (said, "")
    span = words[0].span.to(words[-1].span)
    message = f"`{report.source.text[span.start : span.end]}` is what a block of a model says"
    fixes = [(f"write `{meant}`", span, meant)]
    return report.fail("notation", message, words[0], help or f"write `{meant}`", fixes)
