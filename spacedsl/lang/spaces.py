"""Lower `hyperspace` and `space` definitions: inheritance (`of`), stages, membership."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from spacedsl.diagnostics import Diagnostic, place, suggest
from spacedsl.ir.covers import Mismatch, mismatches
from spacedsl.ir.expr import names_in
from spacedsl.ir.identity import op_names
from spacedsl.ir.space import MAX_DEPTH, BlockChoice, Space, Stage
from spacedsl.lang.blocks import lower_inline
from spacedsl.lang.bodies import check_bodies
from spacedsl.lang.choices import choices_of, listed
from spacedsl.lang.growth import growth_said, lower_growth, require_names
from spacedsl.lang.limits import check_limit, lower_limit
from spacedsl.lang.members import not_a_member
from spacedsl.lang.models import MAX_RESOLUTION, MAX_WIDTH
from spacedsl.lang.pyramid import laid_out, lower_pyramid
from spacedsl.lang.report import Abandon, Mend, Report
from spacedsl.lang.scope import Scope
from spacedsl.lang.tables import table_said
from spacedsl.lang.taps import lower_taps
from spacedsl.lang.values import size_list, size_said, whole, whole_list
from spacedsl.operators.operators import IN_BODIES
from spacedsl.operators.size import Size
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Span

MAX_STRIDE = 8
MAX_STAGES = 64
CHANNELS = (1, 3, 4)
"""Channels of images: no resolutions that anybody means."""
SMALL = 16
"""The least resolution that anybody means."""
KEYS = ("width", "window", "depth", "stride", "shared")


def lower_space(node: Node, scope: Scope, report: Report) -> Space:
    """A hyperspace or space, resolved and checked: bodies bind, `of` covers it."""
    kind: Literal["hyperspace", "space"] = (
        "hyperspace" if node.tokens()[0].text == "hyperspace" else "space"
    )
    parent = _parent(node, scope, report)
    for rule in ("input", "quality", "limit", "taps", "blocks"):
        for again in node.all(rule)[1:]:
            said = [("it is said here first", node.get(rule))]
            message, help = f"`{rule}` is said twice", "keep one"
            fixes: list[Mend] = []
            if rule == "limit":
                help = "write all costs behind one `limit`, with commas between them"
                word, end = again.tokens()[0].span, node.get(rule).span.end
                fixes = (
                    [("join them", Span(end, word.end), ",")]
                    if report.is_blank(end, word.start)
                    else []
                )
            report.error("duplicate-key", message, again, help, fixes, said)
    channels, resolutions = _input(node, parent, report)
    stages = tuple(_stages(node, kind, parent, scope, report))
    report.raise_if_any()
    quality = node.first("quality")
    space = Space(
        kind=kind,
        name=node.token("NAME").text,
        of=parent,
        channels=channels,
        resolutions=resolutions,
        quality=table_said(quality.token("STRING").text[1:-1], scope)
        if quality
        else parent.quality
        if parent
        else None,
        limit=lower_limit(node.first("limit"), parent, report),
        taps=lower_taps(node.first("taps"), parent, report),
        pyramid=lower_pyramid(node.first("taps"), parent, report),
        stages=stages,
    )
    if parent is not None:
        blocks: set[str] = set()
        for found in mismatches(parent, space):
            if found.key != "block" or found.reason not in blocks:  # once for all stages
                report.found.append(_not_a_member(found, parent, node, scope, report))
            blocks.add(found.reason)
    report.raise_if_any()
    if parent is None:
        if not scope.fits:
            check_bodies(space, node, report, scope)
            report.raise_if_any()
        space = laid_out(space, node, report)
    report.raise_if_any()
    check_limit(space, node, report)
    report.raise_if_any()
    return space


def _parent(node: Node, scope: Scope, report: Report) -> Space | None:
    of = node.first("of")
    if of is None:
        return None
    found = scope.find(of.token("NAME"), "space", "space", report)
    if not isinstance(found, Space):
        raise TypeError(of.token("NAME").text)
    return found


def _refuse_late_channels(said: Node, report: Report) -> None:
    """Report `224 x 3` and `224, 224, 3`, which say 224 channels, or a resolution of 3 pixels."""
    text = report.source.text[said.span.start : said.span.end]
    found = re.fullmatch(r"input\s+(([0-9]{1,4})(?:\s*[x,]\s*\2)?\s*[x,]\s*([134]))", text)
    if found and int(found[2]) >= SMALL:
        meant = f"{found[3]} x {found[2]}"
        span = said.span._replace(start=said.span.start + found.start(1))
        message = f"`{found[1]}` has an image of {found[3]} pixels"
        fixes = [(f"write `{meant}`", span, meant)]
        raise report.fail(
            "bad-value", message, said, f"channels come first: write `{meant}`", fixes
        )


def _input(node: Node, parent: Space | None, report: Report) -> tuple[int, tuple[Size, ...]]:
    said = node.first("input")
    if said is None:
        if parent is None:
            help = "write `input 3 x 224`, or a range of resolutions"
            raise report.fail("missing-key", "no `input`", node.token("NAME"), help)
        return parent.channels, parent.resolutions
    tokens = said.tokens("INT")
    first, comma = said.get("values").children[0], said.get("values").children[1:2]
    _refuse_late_channels(said, report)
    if not tokens and comma and isinstance(first, Token) and first.text in map(str, CHANNELS):
        message = f"`{first.text},` is a resolution of {first.text} pixels here"
        help = f"channels stand before an `x`: write `{first.text} x`"
        fixes = [("write `x`", Span(first.span.end, comma[0].span.end), " x")]
        sizes = [t.text for t in said.get("values").tokens("INT")]
        channels_said, *sides = sizes[1:] if len(sizes) == 4 else sizes  # the first is a batch's
        if len(set(sides)) == 1 and len(sides) == 2:
            text = f"{channels_said} x {sides[0]}"
            help = f"one number says both sides: write `{text}`"
            fixes = [(f"write `{text}`", said.get("values").span, text)]
        raise report.fail("bad-value", message, first, help, fixes)
    if not tokens and isinstance(first, Token) and first.type == "PAIR":
        channels_said, _, side = first.text.partition("x")
        if channels_said in map(str, CHANNELS):
            text = f"{channels_said} x {side}"
            message = f"`{first.text}` is a map of {channels_said} rows here"
            fixes = [(f"write `{text}`", first.span, text)]
            help = f"channels stand apart from the resolution: write `{text}`"
            raise report.fail("notation", message, first, help, fixes)
    resolutions = size_list(said.get("values"), report, "resolution", MAX_RESOLUTION)
    default = parent.channels if parent else 3
    channels = whole(tokens[0], report, "channels", 1, 1024) if tokens else default
    if parent is not None and channels != default:
        message = f"{channels} channels, but {parent.name} has {default}"
        raise report.fail("bad-value", message, tokens[0], "leave the channels out here")
    return channels, resolutions


def _stages(
    node: Node,
    kind: Literal["hyperspace", "space"],
    parent: Space | None,
    scope: Scope,
    report: Report,
) -> Iterable[Stage]:
    said: dict[str, Node] = {}
    count = len(node.all("stage"))
    if count > MAX_STAGES:
        message = f"{count} stages, more than {MAX_STAGES}"
        raise report.fail("too-large", message, node.token("NAME"))
    for child in node.all("stage"):
        name = child.token("NAME")
        if name.text in said:
            help = "say each stage once, under a name of its own"
            twice = [("it is said here first", said[name.text])]
            message = f"stage `{name.text}` is said twice"
            report.error("duplicate-stage", message, name, help, labels=twice)
        said.setdefault(name.text, child)
        if parent is not None and name.text not in [s.name for s in parent.said]:
            try:
                raise report.unknown("stage", name, [s.name for s in parent.said])
            except Abandon:
                pass
    if parent is None:
        if not said:
            report.error("no-stages", "a page of no stages", node.token("NAME"))
        choices = choices_of(listed(node), None, scope, report)
        known = False
        for child in said.values():
            try:
                stage = _fresh_stage(child, kind, choices, (scope, known), report)
            except Abandon:
                continue
            known = known or bool(stage.widths)
            yield stage
        return
    misnamed = not said.keys() <= {s.name for s in parent.stages}
    for stage in parent.stages:
        if misnamed and stage.name not in said:
            continue  # the page may say it under a name that is reported already
        try:
            yield _narrowed(said.get(stage.name), stage, kind, node, scope, report)
        except Abandon:
            continue


def _keys(node: Node, report: Report) -> dict[str, Node]:
    keys: dict[str, Node] = {}
    for child in node.all(*KEYS):
        if child.rule in keys:
            message, first = f"`{child.rule}` is said twice", keys[child.rule]
            before = node.children[node.children.index(first) - 1]
            if child.rule == "stride" and isinstance(before, Node) and before.rule in IN_BODIES:
                help = "an op that takes the stage's stride says `strided`"
                fixes = [("write `strided`", first.span, "strided")]
                said = [("this is the stage's stride", child)]
                message = f"`{first.tokens()[0].text}` is no word of an op"
                raise report.fail("duplicate-key", message, first, help, fixes, said)
            fixes = [("leave this one out", report.with_blank(child.span), "")]
            said = [("it is said here first", first)]
            raise report.fail("duplicate-key", message, child, "keep one of them", fixes, said)
        keys[child.rule] = child
    return keys


def _fresh_stage(
    node: Node,
    kind: Literal["hyperspace", "space"],
    choices: tuple[BlockChoice, ...],
    place: tuple[Scope, bool],
    report: Report,
) -> Stage:
    """`place`: what names mean, and whether a stage before this one has widths."""
    (scope, known), name = place, node.token("NAME")
    elastic = node.tokens()[0].text == "elastic" and len(node.tokens("NAME")) == 1
    elastic = elastic and node.tokens()[0] is not name
    keys = _keys(node, report)
    if node.all(*IN_BODIES):
        own: tuple[BlockChoice, ...] = (BlockChoice(block=lower_inline(node, report)),)
    elif node.all("choice"):
        own = choices_of(node.all("choice"), None, scope, report)
    else:
        own = choices if elastic else ()
    if not own:
        if report.found:
            raise Abandon
        message = f"stage `{name.text}` has neither a block nor a body"
        raise report.fail("missing-block", message, name)
    widths = _widths(keys, report)
    growth = None
    if "width" in keys:
        growth = lower_growth(keys["width"], elastic, known, own[0], report)
    if not widths and not growth and any("cout" in _names(choice) for choice in own):
        if suggest(name.text, ("blocks",)) and not elastic and not keys:
            message, help = f"unknown key `{name.text}`", "did you mean `blocks`?"
            fixes = [("write `blocks`", name.span, "blocks")]
            raise report.fail("unknown-key", message, name, help, fixes)
        help = "say the widths to choose from: `width 16, 24`, or `width 16..64 step 8`"
        raise report.fail("missing-key", f"stage `{name.text}` has no `width`", name, help)
    window = _window(keys, widths, len(widths), report)
    if not elastic and window < len(widths):
        help = f"write `elastic {name.text}`, or leave the window out"
        raise report.fail("not-elastic", "only an elastic stage has a window", keys["window"], help)
    stage = Stage(
        name=name.text,
        elastic=elastic,
        choices=own,
        widths=widths,
        growth=growth,
        window=window,
        depths=_depths(keys, report) or (1,),
        stride=_stride(keys, report) or 1,
        shared=_shared(keys, own, report),
    )
    return _settled(stage, kind, name, report)


def _names(choice: BlockChoice) -> set[str]:
    lets = {n for let in choice.block.lets for n in names_in(let.value)}
    return lets | set(op_names(choice.block.ops))


def _narrowed(
    node: Node | None,
    stage: Stage,
    kind: Literal["hyperspace", "space"],
    owner: Node,
    scope: Scope,
    report: Report,
) -> Stage:
    """The parent's stage with what the page says of it; `owner` is the page's item."""
    at = node.token("NAME") if node else owner.token("NAME")
    keys = _keys(node, report) if node else {}
    for_all = listed(owner) if stage.elastic else ()
    said = (node.all("choice") if node else ()) or for_all
    choices = stage.choices
    if node is not None and node.all(*IN_BODIES):
        choices = (BlockChoice(block=lower_inline(node, report)),)
    elif said:
        choices = choices_of(said, stage, scope, report)
        if not choices:
            raise Abandon
    widths, growth = _widths(keys, report), stage.growth
    if "width" in keys:
        growth = lower_growth(keys["width"], stage.elastic, True, choices[0], report)
    elif growth is None:
        widths = stage.widths
    else:
        require_names(growth, choices[0], at, report)
    update = {
        "growth": growth,
        "choices": choices,
        "widths": widths,
        "window": _window(keys, widths, min(stage.window, len(widths)), report),
        "depths": _depths(keys, report) or stage.depths,
        "stride": _stride(keys, report) or stage.stride,
        "shared": _shared(keys, choices, report) or stage.shared,
    }
    return _settled(stage.model_copy(update=update), kind, at, report)


def _settled(
    stage: Stage, kind: Literal["hyperspace", "space"], at: Token, report: Report
) -> Stage:
    """An elastic stage of a hyperspace as it is; others have one block type and one window."""
    if kind == "hyperspace" and stage.elastic:
        return stage
    if len(stage.choices) > 1 and kind == "hyperspace":
        message = f"`{stage.name}` is not elastic, so it has one block type"
        raise report.fail("several-blocks", message, at, f"or write `elastic {stage.name}`")
    if len(stage.choices) > 1:
        names = ", ".join(c.block.name for c in stage.choices)
        message = f"a space names one block type for `{stage.name}`"
        raise report.fail("several-blocks", message, at, f"one of: {names}")
    if stage.window < len(stage.widths):
        windows = " | ".join(", ".join(map(str, w)) for w in stage.windows)
        message = f"a space names one width window for `{stage.name}`"
        raise report.fail("several-windows", message, at, f"one of: {windows}")
    return stage


def _widths(keys: dict[str, Node], report: Report) -> tuple[int, ...]:
    if "width" not in keys or growth_said(keys["width"]):
        return ()
    return whole_list(keys["width"].get("values"), report, "width", 1, MAX_WIDTH)


def _window(keys: dict[str, Node], widths: tuple[int, ...], default: int, report: Report) -> int:
    if "window" not in keys:
        return default
    token = keys["window"].token("INT")
    window = whole(token, report, "window", 1, MAX_WIDTH)
    if window > len(widths):
        message = f"a window of {window} is larger than the list of {len(widths)} widths"
        fixes = [(f"write {len(widths)}", token.span, str(len(widths)))] if widths else []
        raise report.fail("window-too-large", message, token, f"write at most {len(widths)}", fixes)
    return window


def _depths(keys: dict[str, Node], report: Report) -> tuple[int, ...]:
    if "depth" not in keys:
        return ()
    return whole_list(keys["depth"].get("values"), report, "depth", 1, MAX_DEPTH)


def _stride(keys: dict[str, Node], report: Report) -> Size | None:
    if "stride" not in keys:
        return None
    return size_said(keys["stride"].token("INT", "PAIR"), report, "stride", MAX_STRIDE)


def _shared(
    keys: dict[str, Node], choices: tuple[BlockChoice, ...], report: Report
) -> tuple[str, ...]:
    if "shared" not in keys:
        return ()
    known = {"width", *(a.name for c in choices for a in c.args)}
    traits: list[str] = []
    for trait in keys["shared"].all("trait"):
        token = trait.tokens()[0]
        if token.text not in known and not report.found:  # a block that was refused may have it
            raise report.unknown("parameter", token, known)
        traits.append(token.text)
    return tuple(sorted(set(traits)))


def _not_a_member(
    found: Mismatch, parent: Space, node: Node, scope: Scope, report: Report
) -> Diagnostic:
    where: Node | Token = node.token("NAME")
    stage = next((n for n in node.all("stage") if n.token("NAME").text == found.stage), None)
    if stage is not None:
        rule = "choice" if found.key not in KEYS else found.key
        where = stage.first(rule) or stage.token("NAME")
    if found.key in ("input", "taps"):
        where = node.first(found.key) or where
    of = node.get("of").token("NAME")
    return not_a_member(found, parent.name, of, place(report.source, where.span), scope)
