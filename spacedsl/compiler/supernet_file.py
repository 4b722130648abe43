"""Files of plans and subnets: JSON that people read and compare.

A plan's file lists the layers of every block and the largest sizes of their weights. Only its page
and its target's rules are read: the plan is made of them again, and a file that lists anything
else than this plan does is refused. So what is listed is never a second definition."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import JsonValue, ValidationError

from spacedsl.checksum import KEY, unsealed
from spacedsl.compiler.supernet import (
    Kind,
    PlanRules,
    SupernetPlan,
    activations,
    bkd_plans,
    supernet_plan,
)
from spacedsl.compiler.supernet_sizes import Body
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import check_stamp, read_json
from spacedsl.ir.block import ACTS, ONE, SIZES, Op, Value, bodies, count
from spacedsl.ir.expr import Expr, Frozen, evaluate_window, expr_text, known, names_in
from spacedsl.ir.identity import block_identity, space_identity
from spacedsl.ir.inline import inlined
from spacedsl.ir.space import Space, Stage
from spacedsl.json_files import first_mistake
from spacedsl.lang.page import Loader, main_item
from spacedsl.operators.operators import OPERATORS
from spacedsl.operators.size import Size
from spacedsl.passes.bind import Site
from spacedsl.passes.program import slots
from spacedsl.text import Source

FORMAT: Final = "spacedsl-plan"
VERSION: Final = 2
USUAL: dict[str, object] = {"when": 1, "reparam": 0, "dilation": ONE, "valid": False, "ones": False}
"""Fields of ops that are listed where they are not this."""

AGAIN = "make it again with `spacedsl compile`"


class PlanFile(Frozen):
    """A plan's file. `page`, `hash` and `rules` are what it says; all else is a list for people of
    what follows from them. `stages`: per stage its choices, the body of its first block and that of
    the others (`rest`). An op's `slot` names its weights; a size is a number or, `by` widths and
    settings, a `table` of rows [values, size]; `max_*` are the largest sizes of the weights, and
    "channels" stands for the image's."""

    format: Literal["spacedsl-plan"]
    version: Literal[2]
    kind: Kind
    name: str
    hash: str
    page: str
    resolutions: tuple[Size, ...]
    input_stride: Size
    channels: int
    any_channels: bool
    classes: int | None
    rules: PlanRules | None
    stages: tuple[dict[str, JsonValue], ...]


def plan_json(plan: SupernetPlan) -> dict[str, Any]:
    """The JSON object of a plan. Raises `BindError` where a body does not fit."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": plan.kind,
        "name": plan.name,
        "hash": plan.hash,
        "page": plan.page,
        "resolutions": list(plan.resolutions),
        "input_stride": plan.input_stride,
        "channels": plan.channels,
        "any_channels": plan.any_channels,
        "classes": plan.classes,
        "rules": None if plan.rules is None else plan.rules.model_dump(mode="json"),
        "stages": [_stage(*both) for both in zip(plan.stages, plan.bodies, strict=True)],
    }


def _stage(stage: Stage, bodies: tuple[Body, Body | None]) -> dict[str, Any]:
    first, rest = bodies
    (choice,) = stage.choices
    return {
        "name": stage.name,
        "block": choice.block.name,
        "block_hash": block_identity(choice),
        "elastic": stage.elastic,
        "stride": stage.stride,
        "depths": list(stage.depths),
        "widths": list(stage.widths),
        **({} if stage.growth is None else {"growth": expr_text(stage.growth)}),
        "window": stage.window,
        "shared": list(stage.shared),
        "params": [{"name": a.name, "values": list(a.values)} for a in choice.chosen],
        "first": _body(stage, first, stage.stride),
        "rest": None if rest is None else _body(stage, rest, 1),
    }


def _body(stage: Stage, body: Body, stride: Size) -> dict[str, Any]:
    (choice,), sizes = stage.choices, body.sizes
    ops, names = inlined(choice.block), slots(choice.block)
    acts = choice.fixed
    rows = _Rows(body.sites)

    def listed(ops: tuple[Op, ...], at: int) -> Iterator[dict[str, Any]]:
        for op in ops:
            if at in sizes or bodies(op):
                keys = OPERATORS[op.op].listed.split()
                left = {"groups", "max_fan"} if getattr(op, "groups", ONE) == ONE else set[str]()
                left |= {"elide"} if op.op == "dwconv" and not op.elide else set()
                left |= {key for key, usual in USUAL.items() if getattr(op, key, usual) == usual}
                keys = [key for key in keys if key not in left]
                yield {"op": op.op} | {key: value(op, key, at) for key in keys}
            at += count(op)

    def value(op: Op, key: str, at: int) -> Any:
        match key:
            case "slot":
                return names[at]
            case _ if key in SIZES:
                return rows.table(getattr(op, key))
            case "stride":
                said = getattr(op, key)
                return stride if said == "stage" else said
            case _ if key in ACTS:
                said = getattr(op, key)
                return acts.get(said, said)
            case "body":
                return list(listed(getattr(op, key), at + 1))
            case "branches":
                starts = accumulate((sum(map(count, ops)) for ops in bodies(op)), initial=at + 1)
                return [list(listed(*branch)) for branch in zip(bodies(op), starts, strict=False)]
            case "max_cin":
                return "channels" if sizes[at].image else sizes[at].cin
            case "max_fan":
                return sizes[at].fan_in
            case "max_cout":
                return sizes[at].cout
            case "max_squeeze":
                return sizes[at].squeeze
            case "max_kernel":
                stacked = getattr(op, "stacked", False)
                return 2 * sizes[at].parts + 1 if stacked else sizes[at].kernel
            case _:
                return getattr(op, key)

    cins = sorted({int(site.cin) for site in body.sites})
    return {"cin": cins, "stride": stride, "ops": list(listed(ops, 0))}


class _Rows:
    """One row for every way to choose a block: the values of its widths and settings."""

    def __init__(self, sites: Sequence[Site]) -> None:
        names = ["cin", "cout", *(name for name, _ in sites[0].settings)]
        values = ((int(s.cin), s.cout, *(v for _, v in s.settings)) for s in sites)
        self.columns = dict(zip(names, zip(*values, strict=True), strict=True))
        self._known: dict[tuple[str, ...], list[tuple[Value, ...]]] = {}

    def table(self, size: Expr) -> Size | dict[str, Any]:
        """A size: a number, or one by all the values that decide it."""
        names = tuple(dict.fromkeys(names_in(size)))
        if not names:
            return evaluate_window(size, {})
        if names not in self._known:
            columns = (self.columns[name] for name in names)
            self._known[names] = sorted(set(zip(*columns, strict=True)))
        table = []
        for key in self._known[names]:
            pairs = zip(names, key, strict=True)
            env = {n: known(v) for n, v in pairs if not isinstance(v, str)}
            table.append([list(key), evaluate_window(size, env)])
        return {"by": list(names), "table": table}


LINE = 100
JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def json_text(value: Mapping[str, Any]) -> str:
    """Canonical JSON: what fits stands on one line, anything else has one entry a line."""
    return _laid_out(value, 0, LINE) + "\n"


def _laid_out(value: object, depth: int, room: int) -> str:
    """`value` at nesting `depth`, on one line where that has at most `room` characters."""
    flat = JSON.encode(value)
    if not isinstance(value, dict | list) or not value or (depth and len(flat) < room):
        return flat
    pad, ends = " " * (depth + 1), "{}" if isinstance(value, dict) else "[]"
    named = value.items() if isinstance(value, dict) else (("", v) for v in value)
    lines: list[str] = []
    for name, entry in named:
        start = pad + (f"{json.dumps(name)}: " if isinstance(value, dict) else "")
        lines.append(start + _laid_out(entry, depth + 1, LINE - len(start)))
    return ends[0] + "\n" + ",\n".join(lines) + "\n" + " " * depth + ends[1]


def load_supernet_plan(path: Path) -> SupernetPlan:
    """The plan in a file. Raises `SpaceError`."""
    mistake = partial(fault, "bad-plan", help=AGAIN)
    return supernet_plan_of_json(unsealed(read_json(path, mistake), path, mistake), str(path))


def supernet_plan_of_json(data: Mapping[str, Any], where: str = "the plan") -> SupernetPlan:
    """The plan of which `data` is the JSON object; `where` names it in errors. Raises `SpaceError`
    where it is another format or version, and where its page and what it lists disagree."""

    def refuse(message: str) -> SpaceError:
        return fault("bad-plan", f"{where}: {message}", AGAIN)

    check_stamp(data, FORMAT, VERSION, refuse)
    if KEY in data:
        data = unsealed(data, where, partial(fault, "bad-plan", help=AGAIN))
    try:
        file = PlanFile.model_validate(data)
    except ValidationError as error:
        raise refuse(first_mistake(error)) from None
    space = space_in(file.page, where, lambda message: fault("bad-plan", message, AGAIN))
    if space_identity(space) != file.hash:
        raise refuse(f"its page has the hash {space_identity(space)[:16]}, not {file.hash[:16]}")
    plans = [supernet_plan(space)] if file.kind == "supernet" else list(bkd_plans(space))
    difference = f"it has no {file.name}"
    for made in (plan for plan in plans if plan.name == file.name):
        plan = replace(made, rules=_rules(file.rules, activations(made.stages), refuse))
        found = first_difference(data, json.loads(json.dumps(plan_json(plan))))  # pairs are lists
        if found is None:
            return plan
        difference = found
    raise refuse(f"it disagrees with its page: {difference}")


def space_in(text: str, where: str, mistake: Callable[[str], Exception]) -> Space:
    """The space on the page that a file holds; `where` names the file. Raises `SpaceError` for a
    mistake on the page, and what `mistake` makes of a message where it holds no space."""
    page = Loader().parse(Source(f"{where}, page", text), Path())
    space = page.get(main_item(page, ("hyperspace", "space")))
    if not isinstance(space, Space):
        raise mistake(f"{where}: its page holds no space")
    return space


def _rules(
    said: PlanRules | None, acts: Sequence[str], refuse: Callable[[str], SpaceError]
) -> PlanRules | None:
    """A file's rules for these activations."""
    if said is None:
        return None
    known = dict(said.acts)
    for act in acts:
        if act not in known:
            raise refuse(f"its rules lack {act}, which its page has")
    found = tuple((act, known[act]) for act in acts)
    return PlanRules(target=said.target, runtime=said.runtime, acts=found)


def first_difference(found: object, wanted: object, where: str = "") -> str | None:
    """Where two JSON values differ first, and how; None where they are the same."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in found if k not in wanted)]:
            inner = f"{where}.{key}" if where else key
            if key not in found or key not in wanted:
                return f"`{inner}` is {'missing' if key in wanted else 'unknown'}"
            if (difference := first_difference(found[key], wanted[key], inner)) is not None:
                return difference
        return None
    if isinstance(found, list) and isinstance(wanted, list):
        for i, (one, other) in enumerate(zip_longest(found, wanted)):
            if (difference := first_difference(one, other, f"{where}[{i}]")) is not None:
                return difference
        return None
    if type(found) is type(wanted) and found == wanted:
        return None
    return f"{where} is {_short(found)}, the page says {_short(wanted)}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= LINE else f"{text[: LINE - 3]}..."
