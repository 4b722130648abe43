"""Declarations as they are written elsewhere: imports, parents, stages, blocks, models."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Put, Rewrite, Stopped

ITEMS = ("BLOCK", "HYPERSPACE", "__ANON_1", "MODEL", "TARGET")
IMPORTS = ("import", "include", "require", "using", "load", "from", "uses", "with")
PARENTS = ("extends", "inherits", "from", "in", "is", "under", "implements", "isa", "<")
FROM = (*PARENTS, "derives", "derived", "subset", "subspace", "based", "refines")
COUNTED = ("stages", "layers", "num_stages", "n_stages", "nstages", "sections")
"""Words that say how many stages there are."""


def imports(stopped: Stopped) -> Iterator[Rewrite]:
    """`import "x.space"`, `from std.blocks import *`."""
    index, word = stopped.index, stopped.token
    if word.text.lower() not in IMPORTS or "USE" not in stopped.may:
        return
    after = stopped.line_end(index)
    said = stopped.shown(index, after)
    quoted = re.search(r"[\"'<]([\w./-]+)[\"'>]", said)
    part = re.match(r"from\s+([\w.]+)\s+import\s+(\w+)", said)
    found = quoted or re.match(r"\w+\b[:\s(]*([\w./-]+)", said)
    if found is None:
        return
    path = f"{part[1]}.{part[2]}" if part and not quoted else found[1]
    if not path.endswith(".space"):
        path = f"{path.replace('.', '/')}.space"
    message = f"`{word.text}` is no word of the language"
    change, help = Change(index, after, f'use "{path}"'), f'write `use "{path}"`'
    yield Rewrite("import", message, word.span, (change,), help, "write `use`")


def parents(stopped: Stopped) -> Iterator[Rewrite]:
    """`space a extends b`, `space a (b)`, `model a in b`."""
    index, word = stopped.index, stopped.token
    if "OF" not in stopped.may:
        return
    if word.text.lower() in FROM and stopped.at(1).type == "OF":
        message, change = f"`{word.text}` does not stand before `of`", Change(index, index + 1, "")
        yield Rewrite("parent", message, word.span, (change,), "leave it out", "leave it out")
    if word.text.lower() in FROM and stopped.at(1).type == "NAME":
        parent = stopped.at(1).text
        message = f"`{word.text}` names no parent here"
        change = Change(index, index + 1, "of")
        yield Rewrite("parent", message, word.span, (change,), f"write `of {parent}`", "write `of`")
    if word.text == "(" and stopped.at(2).text == ")":
        parent = stopped.at(1).text
        message = "brackets name no parent here"
        change = Change(index, index + 3, f"of {parent}")
        at = stopped.span(index, index + 3)
        yield Rewrite("parent", message, at, (change,), f"write `of {parent}`", "write `of`")


def names(stopped: Stopped) -> Iterator[Rewrite]:
    """`hyperspace 4pixel`, `hyperspace "mine"`: names that are none."""
    index, token = stopped.index, stopped.token
    declares = stopped.at(-1).type in (*ITEMS, "OF", "ELASTIC")
    used = stopped.at(-1).text in "{}" and "NAME" in stopped.may and "INT" not in stopped.may
    part = used and stopped.at(1).type == "NAME" and stopped.touches(1)
    if not (declares or part) or token.type not in ("INT", "FLOAT", "PAIR", "QUANTITY", "SETTING"):
        return
    after = index + 1
    while (
        after < len(stopped.tokens) - 1
        and stopped.tokens[after].span.start == stopped.tokens[after - 1].span.end
        and re.fullmatch(r"[\w.-]+", stopped.tokens[after].text)
    ):
        after += 1
    said = stopped.shown(index, after)
    word = stopped.at(-1).text
    name = re.sub(r"[^A-Za-z0-9_-]", "-", f"{'stage' if word == 'elastic' else 'n'}{said}")
    message = f"the name `{said}` begins with a digit"
    help = f"a name begins with a letter, as `{name}`"
    change = Change(index, after, name)
    at = stopped.span(index, after)
    yield Rewrite("digit", message, at, (change,), help, f"write `{name}`", code="bad-name")


def stages(stopped: Stopped) -> Iterator[Rewrite]:
    """`stage stage1 {`, `stage 1 {`, `stage1 elastic {`, `stage1 { elastic true ... }`."""
    index, token, before = stopped.index, stopped.token, stopped.at(-1)
    rest = stopped.source.text[token.span.start : token.span.start + 20]
    if (
        before.text.lower() in ("stage", "layer", "section", "def", "class")
        and token.type == "NAME"
    ):
        change = Change(index - 1, index, "")
        help = f"a stage begins with its name: `{token.text} {{`"
        message = f"`{before.text}` does not stand before a stage's name"
        yield Rewrite("stage", message, before.span, (change,), help, "leave it out")
    named = before.type == "NAME" and "LBRACE" in stopped.may and "OF" not in stopped.may
    if named and before.text.lower() in COUNTED and re.match(r"[:=(]*\s*[0-9]+\)?\s*\{", rest):
        opening = next(n for n in range(index, index + 5) if stopped.tokens[n].text == "{")
        said = stopped.shown(index - 1, opening)
        change, at = Change(index, opening, ""), stopped.span(index - 1, opening)
        message = f"`{said}` is no stage: a page says each of its stages"
        help = "write each with its name, as `stage1 { ... }  stage2 { ... }`"
        yield Rewrite("stages", message, at, (change,), help, puts=(), sure=True)
    elif before.type == "NAME" and token.type == "INT" and stopped.at(1).text == "{":
        meant = f"{before.text}{token.text}"
        message = f"`{before.text} {token.text}` is no name"
        at = stopped.span(index - 1, index + 1)
        change = Change(index - 1, index + 1, meant)
        yield Rewrite("stage", message, at, (change,), f"write `{meant}`", f"write `{meant}`")
    if token.type == "BLOCK" and stopped.at(1).type == "NAME" and "NAME" in stopped.may:
        change = Change(index, index + 1, "")
        message = "`block` does not stand before a block's name in a list"
        yield Rewrite("block", message, token.span, (change,), "leave it out", "leave it out")
    if token.type != "ELASTIC":
        return
    if before.type == "NAME":
        text = f"elastic {before.text}"
        at, change = token.span, Change(index - 1, index + 1, text)
        help = f"write `{text}`"
        yield Rewrite(
            "elastic", "`elastic` stands before the stage's name", at, (change,), help, help
        )
    opened = _opened(stopped)
    if opened is None:
        return
    after = index + 1
    while stopped.tokens[after].text.lower() in (":", "=", "true", "yes", "1", ",", ";"):
        after += 1
    name = stopped.tokens[opened - 1]
    end = after - (stopped.tokens[after - 1].text in (",", ";"))
    said = stopped.shown(index, end)
    help = f"write `elastic {name.text} {{`"
    puts = [Put(stopped.span(opened - 1, opened), f"elastic {name.text}")]
    if "false" in stopped.tokens[after].text.lower():
        after += 1
        puts, help = [], "a stage without `elastic` is not elastic: leave it out"
    cut = stopped.tokens[after].span.start
    puts.append(Put(stopped.span(index, after)._replace(end=cut), ""))
    yield Rewrite(
        "elastic",
        f"`{said}` does not stand in a stage, `elastic` stands before its name",
        stopped.span(index, end),
        (Change(index, after, ""),),
        help,
        "move it",
        tuple(puts),
    )


def _opened(stopped: Stopped) -> int | None:
    depth = 0
    for number in range(stopped.index - 1, max(0, stopped.index - 200), -1):
        text = stopped.tokens[number].text
        depth += (text == "}") - (text == "{")
        if depth < 0:
            return number if stopped.tokens[number - 1].type == "NAME" else None
    return None


def lists(stopped: Stopped) -> Iterator[Rewrite]:
    """`blocks mbv2, fused`, `block b kernel, expand {`, `mbv2 kernel 3 expand 4`."""
    index, before = stopped.index, stopped.at(-1)
    after = index
    while after < len(stopped.tokens) - 1 and stopped.tokens[after].type in ("NAME", "COMMA"):
        after += 1
    defaults = stopped.tokens[after].text == "=" and stopped.at(-2).type == "BLOCK"
    while defaults and stopped.tokens[after].type in ("NAME", "COMMA", "EQUAL", "INT", "FLOAT"):
        after += 1
    if after == index:
        return
    listed = [t.text for t in stopped.tokens[index:after] if t.type == "NAME"]
    at = stopped.span(index, after)
    if before.type == "BLOCKS":
        text = f"{{ {' '.join(listed)} }}"
        message = "`blocks` takes its list in `{` and `}`"
        change = Change(index, after, text)
        yield Rewrite("list", message, at, (change,), f"write `blocks {text}`", "put it in braces")
    if stopped.at(-2).type == "BLOCK" and stopped.tokens[after].text == "{":
        text = f"({stopped.shown(index, after)})" if defaults else f"({', '.join(listed)})"
        message = "a block's parameters stand in `(` and `)`"
        change = Change(index, after, text)
        help = f"write `{before.text}{text}`"
        yield Rewrite("list", message, at, (change,), help, "put them in brackets")


def models(stopped: Stopped) -> Iterator[Rewrite]:
    """`model m of s @ 224`, `16x2`, `16*3`, `resolution 224`."""
    index, token = stopped.index, stopped.token
    if "AT" in stopped.may:
        word = token.text.lower()
        if word in ("@", "resolution", "res", "size", "for", "on", "input", "x", "px"):
            change = Change(index, index + 1, "at")
            message = f"`{token.text}` says no resolution here"
            yield Rewrite("at", message, token.span, (change,), "write `at`", "write `at`")
        if token.type == "INT":
            change = Change(index, index, "at")
            message = f"an `at` is missing before `{token.text}`"
            help = f"write `at {token.text}`"
            yield Rewrite("at", message, token.span, (change,), help, "put in `at`", code="syntax")
        yield from _bracketed(stopped)
    times = re.fullmatch(r"([0-9]+)x([1-9])", token.text)
    if (
        times
        and token.type == "PAIR"
        and "INT" in stopped.may
        and "SETTING" not in stopped.may_at(-2)
    ):
        text = " ".join([times[1]] * int(times[2]))
        message = f"`{token.text}` is no block"
        change = Change(index, index + 1, text)
        help = f"every block is written: `{text}`"
        yield Rewrite("times", message, token.span, (change,), help, f"write `{text}`")


def _bracketed(stopped: Stopped) -> Iterator[Rewrite]:
    """`model m of s (64)`, `model m of s(resolution=64)`, `model m of s, 64`."""
    index = stopped.index
    end = stopped.close(index, "(", ")") if stopped.token.text == "(" else index + 1
    sizes = [t for t in stopped.tokens[index : end or index] if t.type in ("INT", "PAIR")]
    if stopped.token.text == "," and stopped.at(1).type in ("INT", "PAIR"):
        sizes = [stopped.at(1)]
    if end is None or not sizes or len({t.text for t in sizes}) > 1:
        return
    meant, after = f"at {sizes[0].text}", end + 1
    said, at = stopped.shown(index, after), stopped.span(index, after)
    change, help = Change(index, after, meant), f"write `{meant}`"
    yield Rewrite("at", f"`{said}` says no resolution here", at, (change,), help, help)


def versions(stopped: Stopped) -> Iterator[Rewrite]:
    """`language 1.0`, `language v1`, `version 1`, `stride 2.0`."""
    index, token = stopped.index, stopped.token
    if "INT" in stopped.may:
        whole = re.fullmatch(r"v?([0-9]+)(\.0+)?", token.text, re.IGNORECASE)
        if stopped.at(-1).type == "LANGUAGE" and token.type == "NAME" and not whole:
            message, change = f"`{token.text}` is no version", Change(index, index + 1, "1")
            help, title = "write `language 1`", "write `1`"
            yield Rewrite("whole", message, token.span, (change,), help, title)
        if whole and token.type in ("FLOAT", "NAME", "SETTING"):
            change = Change(index, index + 1, whole[1])
            message = f"`{token.text}` is no whole number"
            help = f"write `{whole[1]}`"
            yield Rewrite("whole", message, token.span, (change,), help, help)
    if token.text.lower() in ("version", "lang", "syntax") and "LANGUAGE" in stopped.may:
        change = Change(index, index + 1, "language")
        message = f"`{token.text}` is no word of the language"
        yield Rewrite(
            "version", message, token.span, (change,), "write `language 1`", "write `language`"
        )


MARKS = ("export", "public", "final", "abstract", "define", "declare", "new", "static", "pub")
"""Words that stand before declarations elsewhere."""


def marks(stopped: Stopped) -> Iterator[Rewrite]:
    """`export hyperspace mine {`, `search space mine {`."""
    index, word, behind = stopped.index, stopped.token, stopped.at(1)
    if "HYPERSPACE" not in stopped.may or behind.type not in ITEMS:
        return
    if word.text.lower() in MARKS:
        message, change = (
            f"`{word.text}` does not stand before `{behind.text}`",
            Change(index, index + 1, ""),
        )
        yield Rewrite("mark", message, word.span, (change,), "leave it out", "leave it out")
    if word.text.lower() in ("search", "super") and behind.text == "space":
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "hyperspace")
        message, help = f"`{stopped.shown(index, index + 2)}` is no word here", "write `hyperspace`"
        yield Rewrite("mark", message, at, (change,), help, help)


def parts(stopped: Stopped) -> Iterator[Rewrite]:
    """`use mbv2, fused from "std/blocks.space"`: a part of a page."""
    index = stopped.index
    line = stopped.source.text[stopped.token.span.start :].partition("\n")[0]
    found = re.match(r"[\w-]+(?:\s*,\s*[\w-]+)*\s+from\s+(?=\")", line)
    if stopped.at(-1).type == "USE" and found:
        after = stopped.past(index, stopped.token.span.start + len(found[0].rstrip()))
        at, change = stopped.span(index, after), Change(index, after, "")
        message = f"`{stopped.shown(index, after)}` does not stand here"
        help = "a `use` brings all blocks of a page: leave it out"
        yield Rewrite("part", message, at, (change,), help, "leave it out")


def aliases(stopped: Stopped) -> Iterator[Rewrite]:
    """`use "std/blocks.space" as std`."""
    index = stopped.index
    if stopped.at(-2).type == "USE" and stopped.token.text == "as" and not stopped.is_first(0):
        at, change = stopped.span(index, index + 2), Change(index, index + 2, "")
        message = f"`{stopped.shown(index, index + 2)}` does not stand here"
        help = "the blocks of a page are used under their own names: leave it out"
        yield Rewrite("alias", message, at, (change,), help, "leave it out")


HABITS = (
    *(
        parts,
        marks,
        aliases,
        imports,
        parents,
        names,
        stages,
        lists,
        models,
    ),
    versions,
)
