"""What is said of a token that does not fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spacedsl.diagnostics import Diagnostic, Fix, Label, place, suggest
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.machine import END, reach
from spacedsl.syntax.rewrite import FOREIGN, Stopped
from spacedsl.syntax.tree import Token
from spacedsl.syntax.words import expected, fixed, keywords, unglued, units
from spacedsl.text import Source, Span
from spacedsl.vocabulary import advice, is_unit_left_out, lacks, leaves_out, synonyms

VALUES = ("INT", "FLOAT", "STRING", "PAIR", "QUANTITY")
DECLARING = ("BLOCK", "HYPERSPACE", "__ANON_1", "MODEL", "TARGET", "OF", "ELASTIC")
"""Words that a name follows."""
MISSING = ("COMMA", "LPAR", "RPAR", "EQUAL", "__ANON_0", "X", "AT", "OF", "LBRACE")
"""Signs and words whose absence is said as such."""
KEYED = {
    "WIDTH": "width 16, 32",
    "DEPTH": "depth 1..4",
    "WINDOW": "window 2",
    "STRIDE": "stride 2",
    "STEP": "32..64 step 16",
    "INPUT": "input 3 x 224",
    "THREADS": "threads 4",
    "TYPES": "types u8s8",
    "__ANON_2": "32..64",
}
"""Words and signs that take numbers, each in an example."""
UNFINISHED = (
    *KEYED,
    *(word.upper() for word, op in IN_BODIES.items() if op.example not in ("", word)),
)
"""Words that lack something where another word of the language follows them right away."""
PARAMETERS = ("kernel", "expand", "act", "ratio")


@dataclass(frozen=True, slots=True)
class Edit:
    """Put tokens of these kinds in at token `at` and go on with token `to`."""

    at: int
    inserted: tuple[str, ...]
    to: int


def explain(stopped: Stopped, edit: Edit | None) -> Diagnostic:
    """The error at a token that does not fit; `edit` would mend it."""
    word = misspelt(stopped)
    if word is not None:
        return _misspelt(stopped, *word)
    if edit == Edit(stopped.index - 1, ("LBRACE",), stopped.index - 1):
        return _missing(stopped, stopped.tokens[edit.at], "LBRACE")
    foreign = next((by for by in (-1, -2) if _is_foreign(stopped, by)), None)
    if foreign is not None and stopped.token.type in VALUES and stopped.is_first(foreign):
        foreign = None  # an op of elsewhere with its number
    if foreign is not None:
        return _unknown_key(stopped, stopped.at(foreign), stopped.may_at(foreign), "")
    may, token = stopped.may, stopped.token
    if token.type in keywords() and "NAME" in may and not _is_unfinished(stopped):
        return _reserved(stopped)
    if "QUANTITY" in may and token.type in ("INT", "FLOAT"):
        return _no_unit(stopped)
    if _is_unknown_key(stopped):
        return _unknown_key(stopped, stopped.at(-1), stopped.may_at(-1), token.text)
    if token.type == "NAME" and "DEVICE" in may:
        return _unknown_key(stopped, token, may, stopped.at(1).text)
    if may == {"EQUAL"} and token.type in ("ROUND8", "LPAR"):
        return _missing(stopped, token, "EQUAL")
    if may == {"EQUAL"} and stopped.at(-1).type == "NAME":
        return no_op(stopped.source, stopped.at(-1))
    if may == {"STRIDE"} and token.type == "INT":
        return _missing(stopped, token, "STRIDE")
    op = stopped.at(-1)
    if token.type in VALUES and op.type == "NAME" and stopped.is_first(-1) and "CONV" in may:
        return no_op(stopped.source, op)
    if token.type == "NAME" and "CONV" in may and "NAME" not in may:
        return no_op(stopped.source, token)
    if edit is not None and edit.at == edit.to == stopped.index and edit.inserted[0] in MISSING:
        return _missing(stopped, token, edit.inserted[0])
    if _is_unfinished(stopped):
        return _unfinished(stopped)
    return _unexpected(stopped)


def _misspelt(stopped: Stopped, at: int, kind: str) -> Diagnostic:
    meant, wrong = keywords()[kind], stopped.tokens[at]
    where = place(stopped.source, wrong.span)
    help = f"did you mean `{meant}`?"
    fixes = (Fix(f"write `{meant}`", where, meant),)
    what = "word" if wrong.type in keywords() else "key"
    return Diagnostic("unknown-key", f"unknown {what} `{wrong.text}`", where, help, fixes=fixes)


def _reserved(stopped: Stopped) -> Diagnostic:
    """A word of the language where a name may stand."""
    token = stopped.token
    where = place(stopped.source, token.span)
    before = stopped.at(-1)
    if before.type in DECLARING and token.type in ("OF", "AT"):
        message, help = f"a name is missing after `{before.text}`", f"write `{before.text} NAME`"
        return Diagnostic("syntax", message, place(stopped.source, before.span), help)
    if token.type == "ELSE" and before.type not in DECLARING:
        help = "it follows the ops that may be there: `optional NAME { ... } else { ... }`"
        return Diagnostic("syntax", "`else` stands without its `optional`", where, help)
    named = before.type in DECLARING or stopped.at(1).text in ("{", "=")
    in_list = before.text in ("(", ",") and stopped.may <= {"NAME", "RPAR"}
    if named or in_list:
        message = f"`{token.text}` is a word of the language and cannot be a name"
        return Diagnostic("reserved-word", message, where, help="choose another name")
    message = f"`{token.text}` does not stand here, it is a word of the language"
    help = f"expected {expected(stopped.may)}"
    if before.type == "LIMIT":
        message = f"a limit is not on `{token.text}`"
        help = "it is on `flops`, `params` or `memory`; a target says its latencies: `limits 15ms`"
    elif token.type == "PYRAMID" and "TAPS" in stopped.may:
        message, help = "`pyramid` stands behind strides", EXAMPLES["PYRAMID"]
    elif "RBRACE" in stopped.may and (
        stopped.at(1).type in VALUES or not stopped.may & set(keywords())
    ):
        message = f"`{token.text}` is a word of the language and no parameter of a block"
        help = "in these braces stand the block's parameters with their values"
    return Diagnostic("reserved-word", message, where, help)


def _no_unit(stopped: Stopped) -> Diagnostic:
    """A number where a quantity is read: without a unit, or with one that is not known."""
    number, source, after = stopped.token, stopped.source, stopped.at(1)
    attached = after.type == "NAME" and stopped.touches(1)
    word = after.text if attached else ""
    where = place(source, number.span.to(after.span) if attached else number.span)
    if stopped.at(-1).type == "NAME" and stopped.at(-2).type != "ANCHOR":
        message, help = f"{number.text} is no amount", f"say its scale, as `{number.text}G`"
        return Diagnostic("unknown-unit", message, where, help)
    close = suggest(word, units()) if word else "ms"
    message = f"unknown unit `{word}`" if word else f"{number.text} has no unit"
    if close is None:
        return Diagnostic("unknown-unit", message, where, help=f"units: {', '.join(units())}")
    meant = f"{number.text}{close}"
    fixes = (Fix(f"write `{meant}`", where, meant),)
    return Diagnostic("unknown-unit", message, where, f"did you mean `{meant}`?", fixes=fixes)


def _missing(stopped: Stopped, token: Token, kind: str) -> Diagnostic:
    """A sign or word that is missing before a token."""
    source, sign = stopped.source, fixed()[kind]
    start, text = token.span.start, f"{sign} "
    message, where = f"a `{sign}` is missing before `{token.text}`", place(source, token.span)
    if token is stopped.token and stopped.is_first(0) and stopped.index > 0:
        before = stopped.at(-1)
        start, text = before.span.end, sign if sign in ",)" else f" {sign}"
        message, where = f"a `{sign}` is missing after `{before.text}`", place(source, before.span)
    fix = Fix(f"put in `{sign}`", place(source, Span(start, start)), text)
    return Diagnostic("syntax", message, where, f"put in `{sign}`", fixes=(fix,))


def _unknown_key(stopped: Stopped, key: Token, may: set[str], value: str) -> Diagnostic:
    where = place(stopped.source, key.span)
    help = f"expected {expected(may)}"
    fixes: tuple[Fix, ...] = ()
    if leaves_out(key.text) and "CONV" in may:
        help = advice(key.text) or help
        after = stopped.token if key is not stopped.token else key
        span = key.span.to(after.span) if after.type in VALUES else key.span
        fixes = (Fix("leave it out", place(stopped.source, span), ""),)
    elif advice(key.text) and "CONV" in may:
        help = advice(key.text) or help
        help = f"{help}: leave it out" if lacks(key.text) else help
    elif key.text in PARAMETERS or set(synonyms(key.text)) & set(PARAMETERS):
        help = f"a parameter stands in the braces of its block: `mbv2 {{ {key.text} {value} }}`"
    return Diagnostic("unknown-key", f"unknown key `{key.text}`", where, help, fixes=fixes)


EXAMPLES = {
    "LATENCY": 'write `latency profile` for what is measured, or a table: `latency "onnxw"`; the '
    "latencies that networks are searched for are `limits 15ms, 25ms`",
    "QUALITY": 'name a table of accuracies: `quality "onnxw"`',
    "DEVICE": 'describe the device: `device "Pixel 4 CPU"`',
    "RUNTIME": 'name a runtime: `runtime "litert"`',
    "LANGUAGE": "write `language 1`",
    "THREADS": "write how many, as `threads 4`",
    "LIMIT": "say what it is on: `limit flops 600M`, `params 5M` or `memory 2M`",
    "TAPS": "say the strides of the maps: `taps stride 8, 16, 32`",
    "PYRAMID": "say its width behind the strides: `taps stride 8, 16, 32 pyramid 64`",
    "__ANON_0": "write the number: `linear -> 1000`",
    "USE": 'say which page: `use "std/blocks.space"`',
    "LIMITS": "say the latencies: `limits 15ms, 25ms`",
    **{word.upper(): op.lacks for word, op in IN_BODIES.items() if op.lacks},
}
"""What a key takes, where an error says it."""

OPS = {word: op.example for word, op in IN_BODIES.items() if op.example}
"""The ops of a body, each as an example."""
CONDITIONS = ("if", "when", "unless", "elif")
"""Words that make a condition elsewhere; the language has none."""
NO_CONDITIONS = (
    "there are no conditions: ops that may be there or not stand in "
    "`optional NAME { ... } else { ... }`, and `elide` leaves out what would keep width and size"
)


def is_op(word: str) -> bool:
    """Whether a word names an op elsewhere."""
    return any(same in OPS for same in synonyms(word))


def no_op(source: Source, name: Token) -> Diagnostic:
    """The error of a word that stands where an op does and is none."""
    where = place(source, name.span)
    meant = unglued(name.text)
    if meant is not None:
        message, title = f"`{name.text}` is several words here", f"write `{meant}`"
        return Diagnostic("notation", message, where, title, fixes=(Fix(title, where, meant),))
    close = suggest(name.text, OPS)
    help = f"ops are {', '.join(OPS)}"
    fixes: tuple[Fix, ...] = ()
    rest = source.text[name.span.end :].partition("\n")[0].split()
    before = source.text[: name.span.start]
    if close == "dwconv" and rest[:1] == ["conv"]:
        end = name.span.end + source.text[name.span.end :].index("conv") + len("conv")
        fixes = (Fix("write `dwconv`", place(source, Span(name.span.start, end)), "dwconv"),)
        message = f"there is no op `{name.text} conv`"
        return Diagnostic("unknown-op", message, where, "write `dwconv`", fixes=fixes)
    more = bool(rest) and rest[0][0] not in "#}" and rest[0] not in OPS
    if close is not None and more:
        help = f"did you mean `{close}`?"
        fixes = (Fix(f"write `{close}`", where, close),)
    elif close is not None:
        help = f"did you mean `{OPS[close]}`?"
        if close in ("pool", "shortcut"):
            fixes = (Fix(f"write `{OPS[close]}`", where, OPS[close]),)
    elif leaves_out(name.text):
        help = advice(name.text) or help
        start = len(before.rstrip())
        fixes = (Fix("leave it out", place(source, Span(start, name.span.end)), ""),)
    elif is_unit_left_out(name.text) and re.search(r"[0-9)][ \t]*$", before) and not more:
        message = f"`{name.text}` is a unit, and numbers have none here"
        start = len(before.rstrip())
        fixes = (Fix("leave it out", place(source, Span(start, name.span.end)), ""),)
        return Diagnostic("notation", message, where, "leave it out", fixes=fixes)
    elif advice(name.text):
        help = f"{advice(name.text)}; {help}"
    elif name.text in CONDITIONS:
        help = NO_CONDITIONS
    elif name.text in ACTIVATIONS:
        help = f"an activation stands behind the op that it belongs to: `conv 1x1 {name.text}`"
    return Diagnostic("unknown-op", f"there is no op `{name.text}`", where, help, fixes=fixes)


def _is_unfinished(stopped: Stopped) -> bool:
    """Whether what stands before the token lacks something, and the token begins a new line or
    ends a body."""
    if stopped.at(-1).type in UNFINISHED and stopped.token.type in keywords():
        return True
    starts = stopped.may & {"RBRACE", "LANGUAGE"} or stopped.at(-1).type in DECLARING
    ends = stopped.token.text in ("}", ")") or stopped.is_first(0) or stopped.token.type == END
    return stopped.index > 0 and not starts and ends


def _unfinished(stopped: Stopped) -> Diagnostic:
    before, source = stopped.at(-1), stopped.source
    message = f"something is missing after `{before.text}`"
    help = f"expected {expected(stopped.may)}"
    if before.type in KEYED:
        help = f"write what it takes, as `{KEYED[before.type]}`"
        message = "a range without its second end" if before.text == ".." else message
    if stopped.at(-2).type == "ANCHOR":
        help = f"say how long it takes: `anchor {before.text} 15ms`"
    return Diagnostic(
        "syntax", message, place(source, before.span), EXAMPLES.get(before.type, help)
    )


def _unexpected(stopped: Stopped) -> Diagnostic:
    token, source = stopped.token, stopped.source
    labels: tuple[Label, ...] = ()
    if token.type == END:
        message = "the page ends too early"
        opened = _last_open(stopped.tokens[: stopped.index])
        if opened is not None:
            labels = (Label(place(source, opened.span), "this is not closed"),)
    elif token.type == "UNKNOWN" and token.text.startswith('"'):
        message = "the text in quotes does not end on its line"
    elif token.type == "UNKNOWN":
        message = f"unexpected character {token.text!r}"
    else:
        message = f"unexpected `{token.text}`"
    help = f"expected {expected(stopped.may)}"
    key = stopped.at(-1)
    takes = stopped.may <= {*VALUES, "NAME"}
    if key.type in DECLARING and token.text in ("{", "("):
        message, help = f"a name is missing after `{key.text}`", f"write `{key.text} NAME {{`"
    elif (
        takes
        and (key.type in keywords() or key.text == "->")
        and token.type not in ("UNKNOWN", END)
    ):
        message = f"`{key.text}` takes {expected(stopped.may)}, not `{token.text}`"
        help = EXAMPLES.get(key.type, help)
    elif token.type in VALUES and stopped.may == {"NAME", "RBRACE"}:
        message = f"`{token.text}` belongs to nothing"
        help = f"write what it is the value of before it, as `kernel {token.text}`"
    return Diagnostic("syntax", message, place(source, token.span), help=help, labels=labels)


def _last_open(tokens: Sequence[Token]) -> Token | None:
    opened: list[Token] = []
    for token in tokens:
        if token.text == "{":
            opened.append(token)
        elif token.text == "}" and opened:
            opened.pop()
    return opened[-1] if opened else None


def misspelt(stopped: Stopped) -> tuple[int, str] | None:
    """A word at the error, or a name just before it, that is close to a word which fits in its
    place: its index and the kind of that word."""
    for by in (0, -1):
        token = stopped.at(by)
        if token.type == "NAME" or (by == 0 and token.type in keywords()):
            words = {keywords()[k]: k for k in sorted(stopped.may_at(by)) if k in keywords()}
            word = suggest(token.text, words)
            if word is not None and _goes_on(stopped, by, words[word]):
                return stopped.index + by, words[word]
    return None


def _goes_on(stopped: Stopped, by: int, kind: str) -> bool:
    """Whether what follows fits behind a word of this kind, or is another mistake."""
    following = stopped.at(by + 1).type
    states = stopped.runs[stopped.index + by]
    return following in FOREIGN or reach(states, [kind, following]) == 2


def _is_foreign(stopped: Stopped, by: int) -> bool:
    """Whether the word there is an operator of elsewhere that stands where an op begins."""
    word = stopped.at(by)
    if word.type != "NAME" or "CONV" not in stopped.may_at(by) or stopped.is_first(by + 1):
        return False
    here = synonyms(word.text) or word.text in PARAMETERS
    return not here and advice(word.text) is not None


def _is_unknown_key(stopped: Stopped) -> bool:
    """A name followed by a value, where keys are read."""
    if stopped.index == 0 or stopped.token.type not in VALUES:
        return False
    keys = stopped.may_at(-1) & {"WIDTH", "INPUT", "DEVICE"}
    return stopped.at(-1).type == "NAME" and bool(keys)
