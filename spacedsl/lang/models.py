"""Lower `model` definitions."""

from __future__ import annotations

import re
from contextlib import suppress

from spacedsl.diagnostics import place
from spacedsl.ir.block import Value
from spacedsl.ir.covers import subnet_mismatch
from spacedsl.ir.settings import canonical, mentioned
from spacedsl.ir.space import BlockChoice, Space, Stage
from spacedsl.ir.subnet import Setting, Subnet, SubnetBlock, SubnetStage, smallest_stage
from spacedsl.lang.members import not_a_member
from spacedsl.lang.model_settings import setting_said, setting_text, short_said
from spacedsl.lang.report import Abandon, Report
from spacedsl.lang.scope import Scope
from spacedsl.lang.values import shown, size_said, whole
from spacedsl.syntax.tree import Node, Token

MAX_WIDTH = 65_536
MAX_RESOLUTION = 4_096


def lower_model(node: Node, scope: Scope, report: Report) -> Subnet:
    """A `model` definition, checked to be a member of its space, in canonical form."""
    of = node.get("of").token("NAME")
    space = scope.find(of, "space", "space", report)
    if not isinstance(space, Space):
        raise TypeError(of.text)
    nodes = _stage_nodes(node, space, report)
    stages: list[SubnetStage] = []
    cin = space.channels
    begin = len(report.found)
    for stage in space.stages:
        said = nodes.get(stage.name)
        try:
            read = _stage(said, stage, cin, report) if said else _only_stage(stage, node, report)
        except Abandon:
            continue
        stages.append(read)
        cin = read.behind(stage, cin)[-1]
    if len(report.found) > begin:
        report.join(begin)
        raise Abandon
    resolution = size_said(node.token("INT", "PAIR"), report, "resolution", MAX_RESOLUTION)
    subnet = Subnet(
        name=node.token("NAME").text, of=space, resolution=resolution, stages=tuple(stages)
    )
    _check_member(subnet, nodes, node, scope, report)
    return subnet if report.found else canonical(subnet)


def _check_member(
    subnet: Subnet, nodes: dict[str, Node], node: Node, scope: Scope, report: Report
) -> None:
    found = subnet_mismatch(subnet.of, subnet)
    if found is None:
        return
    where: Node | Token = nodes.get(found.stage, node)
    if found.key == "input":
        where = node.token("INT", "PAIR")
    elif found.stage not in nodes:
        where = node.token("NAME")
    elif found.stage in nodes:
        where = _misfit(nodes[found.stage], found.key, found.reason) or where
    of = node.get("of").token("NAME")
    at = place(report.source, where.span)
    report.found.append(not_a_member(found, subnet.of.name, of, at, scope))


def _misfit(stage: Node, key: str, reason: str) -> Node | Token | None:
    """The block or the setting of a model's stage whose value is not one of its space's."""
    said = re.match(r"\S+ (\S+) is not one of", reason)
    if said is None:
        return None
    for block in stage.all("model_block"):
        if key == "width" and block.token("INT").text == said[1]:
            return block.token("INT")
        for setting in block.all("setting"):
            name, value = short_said(setting)
            if name == key and value == said[1]:
                return setting
    return None


def _stage_nodes(node: Node, space: Space, report: Report) -> dict[str, Node]:
    names = [stage.name for stage in space.said]
    nodes: dict[str, Node] = {}
    for child in node.all("model_stage"):
        name = child.token("NAME")
        if name.text not in names:
            raise report.unknown("stage", name, names)
        if name.text in nodes:
            message = f"stage `{name.text}` is said twice"
            raise report.fail("duplicate-stage", message, name, "keep one of them")
        nodes[name.text] = child
    return nodes


def _only_stage(stage: Stage, node: Node, report: Report) -> SubnetStage:
    """A stage that the model leaves out, where there is nothing to choose."""
    if stage.is_open and report.found:
        raise Abandon
    if stage.is_open:
        message = f"the model does not say its `{stage.name}`"
        raise report.fail("missing-stage", message, node.token("NAME"))
    return smallest_stage(stage)


def _stage(node: Node, stage: Stage, cin: int, report: Report) -> SubnetStage:
    position = _choice(node, stage, report)
    choice = stage.choices[position]
    blocks: list[SubnetBlock] = []
    begin = len(report.found)
    for said in node.all("model_block"):
        with suppress(Abandon):
            blocks.append(_block(said, choice, report))
    if len(report.found) > begin:
        raise Abandon
    if not blocks:
        message = f"stage `{stage.name}` has no block"
        raise report.fail("empty-stage", message, node, "write a width per block")
    if not stage.widths:
        return SubnetStage(choice=position, blocks=_unchosen(node, stage, cin, blocks, report))
    return SubnetStage(choice=position, blocks=tuple(blocks))


def _unchosen(
    node: Node, stage: Stage, cin: int, blocks: list[SubnetBlock], report: Report
) -> tuple[SubnetBlock, ...]:
    """Blocks without their widths, which follow from what comes in and must be those said."""
    found = tuple(block.model_copy(update={"width": 0}) for block in blocks)
    widths = SubnetStage(blocks=found).behind(stage, cin)
    for said, block, width in zip(node.all("model_block"), blocks, widths, strict=True):
        if block.width != width:
            message = f"width {block.width}, where the blocks of `{stage.name}` lead to {width}"
            fixes = [(f"write {width}", said.token("INT").span, str(width))]
            help = f"the stage leaves no width to choose: write {width}"
            raise report.fail("not-a-member", message, said.token("INT"), help, fixes)
    return found


def _choice(node: Node, stage: Stage, report: Report) -> int:
    type_node = node.first("type")
    names = [c.block.name for c in stage.choices]
    if type_node is None:
        if len(names) > 1:
            message = f"`{stage.name}` has several block types"
            help = f"name one of: {', '.join(names)}"
            raise report.fail("missing-block", message, node.token("NAME"), help)
        return 0
    name = type_node.token("NAME")
    if name.text not in names:
        if re.fullmatch("[a-z][0-9]+", name.text):
            message = f"`{name.text}` stands before a width"
            help = f"a block begins with its width, then its settings: write `16 {name.text}`"
            raise report.fail("unknown-block", message, name, help)
        raise report.unknown("block", name, names)
    return names.index(name.text)


def _block(node: Node, choice: BlockChoice, report: Report) -> SubnetBlock:
    given: dict[str, Value] = {}
    known = [a.name for a in choice.chosen]
    begin = len(report.found)
    for setting in node.all("setting"):
        with suppress(Abandon):
            name, value = setting_said(setting, known, report)
            if name in given:
                raise report.fail("duplicate-key", f"{name} is set twice", setting)
            given[name] = value
    if len(report.found) > begin:
        raise Abandon
    least = {arg.name: arg.values[0] for arg in choice.chosen}
    there = mentioned(choice.block, least | given)
    for arg in choice.chosen:
        if arg.name not in given and len(arg.values) > 1 and arg.name in there:
            if report.found:
                raise Abandon  # a wrong setting may have been meant to say it
            message = f"this block does not say its {arg.name}"
            said = f"{node.token('INT').text} {setting_text(arg.name, arg.values[0])}"
            help = f"write it behind the width, as `{said}`"
            raise report.fail("missing-setting", message, node, help)
        value = given.setdefault(arg.name, arg.values[0])
        if value not in arg.values and arg.name not in there:
            message = f"{arg.name} {value} is not one of {shown(arg.values)}"
            raise report.fail("not-a-member", message, node)
    return SubnetBlock(
        width=whole(node.token("INT"), report, "width", 1, MAX_WIDTH),
        settings=tuple(Setting(name=name, value=given[name]) for name in known),
    )
