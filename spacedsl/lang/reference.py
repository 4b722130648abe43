"""docs/reference.md: the language's words, from the grammar's and the checks' own tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from spacedsl.diagnostics import one_of
from spacedsl.ir.block import MAX_KERNEL
from spacedsl.ir.space import MAX_DEPTH
from spacedsl.lang.blocks import MAX_NAMES, MAX_OPS, SHORTCUTS
from spacedsl.lang.choices import MAX_BLOCKS, MAX_SETTINGS
from spacedsl.lang.explanations import explained, explanation
from spacedsl.lang.library import library
from spacedsl.lang.models import MAX_RESOLUTION, MAX_WIDTH
from spacedsl.lang.page import MAX_CHAIN, MAX_USES
from spacedsl.lang.parameters import MAX_PARAMS
from spacedsl.lang.spaces import MAX_STAGES, MAX_STRIDE
from spacedsl.lang.tables import shipped
from spacedsl.lang.targets import UNITS_MS
from spacedsl.lang.values import MAX_DIGITS, MAX_VALUES
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import FLAGS, IN_BODIES
from spacedsl.runtimes.table import BUILT_IN
from spacedsl.syntax.parser import MAX_CHARACTERS
from spacedsl.syntax.parser import MAX_DEPTH as MAX_NESTING
from spacedsl.syntax.words import units
from spacedsl.vocabulary import SHORT


class Word(NamedTuple):
    """A word of the language: where it stands, what follows it, what it is without, its meaning."""

    word: str
    where: str
    values: str
    default: str
    meaning: str


STATEMENTS = (
    Word("language", "page, first", "1", "an error", "The version of the language."),
    Word("use", "page", '"path.space"', "", "Blocks and spaces of another page: beside this one, "
         "else in the library."),
    Word("block", "page", "NAME(parameters) { body }", "", "A block type; parameters may have "
         "defaults."),
    Word("hyperspace", "page", "NAME { ... }", "", "Several block types and windows per elastic "
         "stage: what a search goes over."),
    Word("space", "page", "NAME of PARENT { ... }", "", "One block type and one window per stage. "
         "`of` is checked: every network of it is one of the parent's."),
    Word("model", "page", "NAME of SPACE at PIXELS { ... }", "", "One network: per stage its "
         "blocks, each a width and settings."),
    Word("target", "page", "NAME { ... }", "", "A device."),
    Word("of", "space, model", "NAME", "", "What is narrowed: in this page, a used one, "
         "`NAME.space` beside it or in the library."),
    Word("at", "model", f"1..{MAX_RESOLUTION:,}", "an error", "The resolution in pixels."),
)  # fmt: skip

KEYS = (
    Word("input", "hyperspace, space", "CHANNELS x VALUES", "the parent's; 3 channels",
         "Channels and resolutions in pixels. Channels stand outside the hash."),
    Word("quality", "hyperspace, space", '"name" or "path.json"', "the parent's, or none",
         "The table of losses for scores; a path goes from the page, then the library."),
    Word("limit", "hyperspace, space", "`flops`, `params`, `memory` QUANTITY",
         "the parent's, or none", "The most that any network of a space may cost; a search goes "
         "over the spaces that keep it."),
    Word("taps", "hyperspace, space", "`stride` VALUES", "the parent's, or none",
         "The maps that are the outputs, in place of a head: of each stride the last."),
    Word("pyramid", "behind `taps stride` VALUES", f"1..{MAX_WIDTH:,}", "none",
         "The width of a feature pyramid over the taps, whose levels are the outputs then. "
         "Resolutions are multiples of the greatest stride."),
    Word("blocks", "hyperspace", "{ block types }", "none",
         "Block types of every elastic stage that lists none of its own."),
    Word("elastic", "stage", "NAME { ... }", "not elastic",
         "A stage that is searched, distilled and tabled."),
    Word("width", "stage", f"VALUES of 1..{MAX_WIDTH:,}, or by `cin`",
         "none: the body keeps its width",
         "Output channels that a block may have. `cin`, `cin + 32`, `round8(cin * 1.5)`: those "
         "of every block follow from the channels that come into it, and none are chosen. "
         "`cin + growth`: from a setting of the block, too."),
    Word("window", "stage of a hyperspace", "a count", "the whole list",
         "How many neighbouring widths a space takes."),
    Word("depth", "stage", f"VALUES of 1..{MAX_DEPTH}", "1", "How many blocks."),
    Word("stride", "stage", f"1..{MAX_STRIDE}, a pair", "1",
         "Taken by the first block, at its op marked `strided`."),
    Word("shared", "stage", "`width`, parameters", "none",
         "What all blocks of a network's stage have in common."),
)  # fmt: skip

VALUES = (
    Word("..", "values", "1..4", "", "A range; it must hit its end."),
    Word("step", "values", "32..64 step 16", "step 1", "The step of a range."),
    Word("x", "input, windows", "3 x 224, 49x10", "",
         "Channels by resolution; height by width, which without blanks are a pair. A pair may "
         "stand wherever a resolution, a kernel, a stride or a dilation does; one number is both."),
    Word("round8", "expressions", "round8(cin * expand)", "",
         "To a multiple of 8, at least 8, never below 90 %."),
)  # fmt: skip

TARGET_KEYS = (
    Word("device", "target", '"text"', "an error",
         "The device; it names what runs networks there where `runtime` does not."),
    Word("runtime", "target", '"name" ["version"]', "what `device` says",
         f"{one_of(list(BUILT_IN))}, or what a package registers; a version that its versions "
         "begin with."),
    Word("threads", "target", "a count", "1", "Threads of the runtime."),
    Word("types", "target", "`u8s8`", "`u8s8`", "uint8 activations, int8 weights."),
    Word("rules", "target", "names", "all of the runtime's",
         "Which of the runtime's optional rewrites apply."),
    Word("latency", "target", '`profile`, "name" or "path"', "an error",
         "This machine's profile, or a table (.json), or a carried profile (.npz)."),
    Word("anchor", "target", "MODEL QUANTITY", "none",
         "A model and its latency where the limits are from: limits are scaled by it."),
    Word("limits", "target", "QUANTITIES", "an error", "Latency limits of scores."),
    Word("reference", "target", "NAME", "none", "The published space of this device."),
)  # fmt: skip

SHORTCUT_MEANINGS = {
    "none": "no addition",
    "identity": "the input itself, where width and size are kept; else no addition",
    "projected": "`conv 1x1 strided elide`: a projection where width or size change",
}

EXAMPLE = """\
language 1

block plain(kernel, expand = 2, act = relu) {
  mid = round8(cin * expand)
  conv 1x1 -> mid act elide
  dwconv kernel act strided
  conv 1x1
  shortcut identity
}

hyperspace wide {
  input 3 x 32..64 step 32
  blocks {
    plain { kernel 3, 5  expand 2, 4  act relu, hswish }
  }
  stem { conv 3x3 relu strided  width 8  stride 2 }
  elastic stage1 { width 8..24 step 8  window 2  depth 1..2  stride 2  shared kernel }
  head { pool  dropout 0.2  linear -> 10 }
}

space narrow of wide {
  stage1 { width 8, 16 }
}

model one of narrow at 32 {
  stage1 { 8 k3 e2 act=relu  16 k3 e4 act=hswish }
}

target phone {
  device "a phone, TFLite"
  latency "mobilew"
  limits 15ms, 0.02s
}
"""


def all_words() -> set[str]:
    """Every word that the reference explains."""
    tables = (*STATEMENTS, *KEYS, *VALUES, *TARGET_KEYS)
    forms = " ".join(op.form for op in IN_BODIES.values())
    return (
        {word.word for word in tables} | set(re.findall("[a-z]+(?:-[a-z]+)*", forms)) | set(FLAGS)
    )


def reference_text() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip("\n") + "\n"


def _lines() -> Iterator[str]:
    yield "# Language reference"
    yield "\nMade from the grammar and the tables of the checks; `SPACEDSL_UPDATE=1 pytest"
    yield "tests/lang/test_reference.py` writes it. The grammar is grammars/space.lark.\n"
    yield from ("## A page with everything", "", "```space", EXAMPLE.rstrip("\n"), "```", "")
    yield f"`#` starts a comment. A page has at most {MAX_CHARACTERS:,} characters, uses at most"
    yield f"{MAX_USES} pages, {MAX_CHAIN} deep, and nests {MAX_NESTING} deep. The order of items"
    yield "does not matter.\n"
    yield from _words("Statements", STATEMENTS)
    yield from _words("Keys of spaces and stages", KEYS)
    yield f"At most {MAX_STAGES} stages, {MAX_BLOCKS} block types per stage, {MAX_SETTINGS:,}"
    yield "settings of a block type.\n"
    yield from _words("Values and expressions", VALUES)
    yield f"Lists are sets of at most {MAX_VALUES} values; numbers have up to {MAX_DIGITS} digits."
    yield "Widths are expressions of `+ - * /`, numbers, `cin`, `cout`, parameters and bindings"
    yield f"(`mid = round8(cin * expand)`), of at most {MAX_NAMES} names.\n"
    yield from ("## Settings of a model's block", "")
    short = ", ".join(f"`{letter}3` is {name} 3" for letter, name in SHORT.items())
    yield f"A width, then {short}, others `name=value`. One value needs no saying.\n"
    yield from _ops()
    yield from ("## Activations", "")
    yield from _table(("word", ""), ((f"`{a}`", f"`{act.text}`") for a, act in ACTIVATIONS.items()))
    yield "A parameter that is an activation takes one, `act relu`, or several of which each block"
    yield "chooses one, `act relu, hswish`, as it does of kernels. With `shared act` all blocks of"
    yield "a stage choose the same. The weights of a supernet serve all of them.\n"
    yield from ("## Shortcuts", "")
    yield from _table(("kind", ""), ((f"`{k}`", SHORTCUT_MEANINGS[k]) for k in SHORTCUTS))
    yield "`shortcut { ops }` is a path of its own. An activation after it follows the sum.\n"
    yield from _words("Targets", TARGET_KEYS)
    tables = ", ".join(f"`{name}`" for name in shipped())
    yield f"Tables that come with spacedsl: {tables}.\n"
    yield from ("## Units", "")
    times = ", ".join(f"`{unit}`" for unit in UNITS_MS)
    others = ", ".join(f"`{unit}`" for unit in units() if unit not in UNITS_MS)
    yield f"Times: {times}. Counts (reserved): {others}. Number and unit are one word: `15ms`.\n"
    yield from _library()
    yield from ("## Errors", "", "`spacedsl explain CODE` shows the page of an error.", "")
    for code in explained():
        title = explanation(code).text.partition("\n")[0].partition(": ")[2]
        yield f"- [{code}](errors/{code}.md): {title}"


def _words(title: str, words: Iterable[Word]) -> Iterator[str]:
    yield from (f"## {title}", "")
    rows = ((f"`{w.word}`", w.where, w.values, w.default or "-", w.meaning) for w in words)
    yield from _table(("word", "where", "values", "without it", ""), rows)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _ops() -> Iterator[str]:
    yield from ("## Ops of a body", "")
    rows: list[tuple[str, ...]] = []
    for op in IN_BODIES.values():
        flags = ", ".join(f"`{flag}`" for flag in op.flags) or "-"
        rows.append((f"`{op.form}`", str(op.acts), flags, op.meaning))
    yield from _table(("op", "activations", "modifiers", ""), rows)
    yield f"A body has at most {MAX_OPS} ops, a block at most {MAX_PARAMS} parameters. A kernel is"
    yield f"`3x3` or `10x4` (rows by columns, at most {MAX_KERNEL}) or a parameter. A stack of 3x3"
    yield "has an odd square kernel. `s2x1` is a stride of its own, of rows by columns.\n"
    yield '"Same" padding makes a map of its size divided by the stride, rounded up. An odd kernel'
    yield "is padded by `k // 2` pixels on every side; an even one by `(k - 1) // 2` above and to"
    yield "the left, and below and to the right by as many as the last window needs. So `conv 4x4`"
    yield "at stride 2 pads one pixel on every side of an even map, and `conv 2x2` at stride 2"
    yield "none. Patches that do not overlap (`conv 4x4` at stride 4) say `valid`, without which"
    yield "they begin one pixel outside.\n"
    yield from _table(
        ("modifier", ""),
        (
            (f"`{' '.join(filter(None, (w, flag.takes)))}`", flag.meaning)
            for w, flag in FLAGS.items()
        ),
    )


def _library() -> Iterator[str]:
    yield from ("## Blocks of the library", "")
    for path in sorted((library() / "std").glob("*.space")):
        yield f'`use "std/{path.name}"`:\n'
        yield from ("```space", path.read_text(encoding="utf-8").rstrip("\n"), "```", "")
