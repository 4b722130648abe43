"""Settings of a model's blocks: `k3`, `e0.5`, `name=value`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spacedsl.diagnostics import suggest
from spacedsl.ir.block import MAX_KERNEL, Value
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.lang.values import number, shown, size_said
from spacedsl.syntax.tree import Node, Token
from spacedsl.vocabulary import SHORT

SAID = ("NAME", "SETTING", "INT", "FLOAT", "PAIR")
LETTERS = {name: letter for letter, name in SHORT.items()}


def setting_text(name: str, value: Value) -> str:
    """A setting as models say it: `k3`, `name=value`."""
    return f"{LETTERS.get(name, f'{name}=')}{shown((value,))}"


def short_said(node: Node) -> tuple[str, str]:
    """What a setting names, and its value as it is written."""
    tokens = node.tokens(*SAID)
    if len(tokens) == 2:
        return tokens[0].text, tokens[1].text
    return SHORT.get(tokens[0].text[0], ""), tokens[0].text[1:]


def setting_said(node: Node, known: Sequence[str], report: Report) -> tuple[str, Value]:
    """Name and value of a setting. Raises `Abandon`."""
    tokens = node.tokens(*SAID)
    word = tokens[0]
    if len(tokens) == 2:
        name = word.text
        value = tokens[1].text if tokens[1].type == "NAME" else _number(tokens[1], name, report)
    else:
        name, digits = short_said(node)
        pair = re.fullmatch("[0-9]+x[0-9]+", digits) is not None
        if not name or not (pair or digits.replace(".", "", 1).isdecimal()):
            raise _no_setting(word, known, report)
        value = _number(Token("PAIR" if pair else "FLOAT", digits, word.span), name, report)
    if name not in known:
        raise _unknown(name, node, known, report)
    return name, value


def _number(token: Token, name: str, report: Report) -> Value:
    """A number or a pair of them."""
    if token.type == "PAIR":
        return size_said(token, report, name, MAX_KERNEL)
    return number(token, report)


def _unknown(name: str, node: Node, known: Sequence[str], report: Report) -> Abandon:
    word = node.tokens("NAME", "SETTING")[0]
    help = f"it has: {', '.join(known)}" if known else "it has none"
    meant = suggest(SHORT.get(name, name), known)
    fixes: list[Mend] = []
    if meant is not None and len(node.tokens()) > 1:
        fixes = [(f"write `{meant}`", word.span, meant)]
        help = f"did you mean `{meant}`?"
    return report.fail("unknown-setting", f"this block has no {name}", word, help, fixes)


def _no_setting(word: Token, known: Sequence[str], report: Report) -> Abandon:
    """A word that is no setting: its name and value apart, in capitals, or without `=`."""
    help = "write k3 for kernel 3, e4 for expand 4, or name=value"
    message, fixes = f"`{word.text}` is not a setting", []
    apart = re.match(r"[ :]+([0-9]+(?:\.[0-9]+)?)", report.source.text[word.span.end :])
    joined = re.fullmatch(r"([A-Za-z_]+?)[_-]?([0-9]+(?:\.[0-9]+)?)", word.text)
    name = suggest(SHORT.get(word.text.lower(), word.text), known)
    several = re.fullmatch(r"[_-]?((?:[ke][0-9]+(?:\.[0-9]+)?[_-]?){2,})", word.text.lower())
    if word.text.startswith("_"):
        rest = re.split("[}#\n]", report.source.text[word.span.start :])[0].rstrip()
        span = word.span._replace(end=word.span.start + len(rest))
        fixes = [("write blanks", span, re.sub("(?<=[0-9])_|^_", " ", rest))]
        help = f"a block's width and its settings stand apart: write ` {word.text[1:]}`"
    elif apart and name is not None:
        meant = f"{name}={apart[1]}"
        span = word.span._replace(end=word.span.end + apart.end())
        fixes = [(f"write `{meant}`", span, meant)]
        help = f"write `{meant}`"
    elif several is not None:
        meant = " ".join(re.findall(r"[ke][0-9.]+", several[1]))
        fixes = [(f"write `{meant}`", word.span, f" {meant}")]
        help = f"settings stand apart: write `{meant}`"
    elif re.fullmatch("[sn][0-9]", word.text):
        fixes = [("leave it out", report.with_blank(word.span), "")]
        help = "a stage says its stride and how many blocks it has: leave it out"
    elif joined is not None:
        short = joined[1].lower()
        name = suggest(SHORT.get(short, short), known)
        if name is not None:
            meant = f"{short}{joined[2]}" if short in SHORT else f"{name}={joined[2]}"
            fixes = [(f"write `{meant}`", word.span, meant)]
            help = f"write `{meant}`"
    return report.fail("bad-setting", message, word, help, fixes)
