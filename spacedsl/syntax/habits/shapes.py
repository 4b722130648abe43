"""Sizes of images with their order, their batch or their colours, as frameworks say them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from spacedsl.syntax.rewrite import Change, Rewrite, Stopped

_WORD = r"""(?:n?chw|n?hwc|n?chw16c|(?:input_?)?shape|size|dims?|tensor|images?|float(?:16|32)?|fp32
|u?int8|rgb|bgr|colou?r|gr[ae]y(?:scale)?|mono|batch_shape)\b"""
_BATCH = r"(?:none|null|batch|b|n|\?|-1|1)\s*[,x*]\s*"
_SIZES = r"[0-9]+(?:\s*[,x*]\s*[0-9]+){0,2}"
SHAPE = re.compile(
    rf"(?P<before>(?:{_WORD}\s*[=:]?\s*)*)[(\[<]?\s*(?:{_BATCH})?(?P<sizes>{_SIZES})\s*,?\s*[)\]>]?"
    rf"(?P<after>(?:\s+{_WORD})*)(?![\w.,])",
    re.IGNORECASE | re.VERBOSE,
)
COLOURS = {"rgb": 3, "bgr": 3, "color": 3, "colour": 3, "gray": 1, "grey": 1, "mono": 1}
MOST_COLOURS = 4
"""Channels of images; a size is larger."""
BACK = 6
"""How far before the token that does not fit a shape begins at most."""


def shapes(stopped: Stopped) -> Iterator[Rewrite]:
    """`input NCHW 1x3x224x224`, `input shape=(224, 224, 3)`, `input 224x224 rgb`."""
    for by in range(1 - BACK, 1):
        first = stopped.index + by
        if first not in stopped.runs or stopped.at(by - 1).type != "INPUT":
            continue
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 120].partition("\n")[0]
        found = SHAPE.match(line)
        if found is None or not (found["before"] or found["after"]):
            continue
        meant = _meant(found["sizes"], f"{found['before']} {found['after']}".lower())
        after = stopped.past(first, start + found.end())
        if meant is None or after <= stopped.index:
            continue
        at, change = stopped.span(first, after), Change(first, after, meant)
        message = f"`{stopped.shown(first, after)}` is no input"
        help = f"write channels x resolution: `input {meant}`"
        yield Rewrite("square", message, at, (change,), help, f"write `{meant}`")


def _meant(sizes: str, words: str) -> str | None:
    """Channels and resolution as they are written here; None where nobody says the channels."""
    found = re.findall("[0-9]+", sizes)
    said = next((count for word, count in COLOURS.items() if word in words), None)
    few = [n for n in found if int(n) <= MOST_COLOURS]
    if said is not None and not few:
        channels = str(said)
    elif len(few) == 1 and found.index(few[0]) in (0, len(found) - 1):
        channels = few[0]
        found.remove(channels)
    else:
        return None
    return f"{channels} x {'x'.join(dict.fromkeys(found))}" if found else None


_RANGE = r"([0-9]+(?:\s*\.\.\s*[0-9]+)?(?:\s+step\s+[0-9]+)?)"
_NAMED = re.compile(
    rf"[\"']?(?:(channels?|ch|c|in_channels|chans|rgb|depth)"
    rf"|(?:size|resolution|res|image|image_size|img|img_size|px|pixels|height|width|h|w|hw))[\"']?"
    rf"\s*[=:]?\s*{_RANGE}\s*,?\s*",
    re.IGNORECASE,
)


def inputs(stopped: Stopped) -> Iterator[Rewrite]:
    """`input channels 3 size 224`, `input size=224, channels=3`: sizes by their names."""
    for by in (-2, -1, 0):
        first = stopped.index + by
        if first not in stopped.runs or stopped.at(by - 1).type != "INPUT":
            continue
        start = stopped.tokens[first].span.start
        line = stopped.source.text[start : start + 120].partition("\n")[0]
        opening = re.match(r"[:=\s]*[{(\[]?\s*", line)
        channels, sizes, end = "", "", opening.end() if opening else 0
        while found := _NAMED.match(line, end):
            channels, sizes = (found[2], sizes) if found[1] else (channels, found[2])
            end = found.end()
        end = len(line[:end].rstrip(" \t,"))
        closing = re.match(r"\s*[})\]]", line[end:])
        bracketed = opening is not None and bool(opening[0].strip(":= "))
        end += closing.end() if closing and bracketed else 0
        if not channels.isdecimal() or not sizes:
            continue
        after = stopped.past(first, start + end)
        meant = f"{channels} x {sizes}"
        at, change = stopped.span(first, after), Change(first, after, meant)
        message = f"`{stopped.shown(first, after)}` is no input"
        help = f"write channels x resolution: `input {meant}`"
        yield Rewrite("square", message, at, (change,), help, f"write `{meant}`")


HABITS = (inputs, shapes)
