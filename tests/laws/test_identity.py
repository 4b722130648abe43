"""Laws of identity: the hash ignores layout, comments, names and order, and nothing else."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spacedsl.ir.block import Conv, DwConv, Op, Se, Shortcut, Value
from spacedsl.ir.covers import mismatch
from spacedsl.ir.expr import Num
from spacedsl.ir.identity import block_identity, space_identity
from spacedsl.ir.space import Arg, Space, Stage
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.operators.activations import ACTIVATIONS
from spacedsl.operators.size import Pair, by_side
from spacedsl.passes.network import subnet_identity
from spacedsl.syntax.parser import parse
from spacedsl.syntax.tree import Node
from spacedsl.text import Source
from tests.laws.renaming import renamed
from tests.laws.strategies import RANDOMS, hyperspaces, members, subnets
from tests.laws.test_text import scattered
from tests.support import item_of, library_space, read_page

SPACE_PAGES = ("hyper", "mobilew", "onnxw", "tiny", "pixel4", "vnni", "baselines/attentivenas")
SMALL_PAGES = ("tiny", "tiny-a", "baselines/proxylessnas")
"""Quick to check; laws try the others once each."""


@cache
def plain_hash(page: str) -> str:
    return hash_of(read_page(page).text, page.rpartition("/")[2])


def hash_of(text: str, name: str) -> str:
    found = item_of(text, name)
    assert isinstance(found, Space)
    return space_identity(found)


@pytest.mark.slow
@given(st.sampled_from(SMALL_PAGES), RANDOMS)
@example("hyper", random.Random(0))
@example("mobilew", random.Random(0))
@example("onnxw", random.Random(0))
@example("pixel4", random.Random(0))
@example("vnni", random.Random(0))
@example("baselines/attentivenas", random.Random(0))
def test_layout_and_comments(page: str, rng: random.Random) -> None:
    text, name = read_page(page).text, page.rpartition("/")[2]
    assert hash_of(scattered(text, rng, comments=True), name) == plain_hash(page)


def reordered(text: str, nodes: tuple[Node, ...], rng: random.Random) -> str:
    """`text` with these nodes, which follow each other, in another order."""
    pieces = [text[n.span.start : n.span.end] for n in nodes]
    rng.shuffle(pieces)
    parts, end = [], 0
    for node, piece in zip(nodes, pieces, strict=True):
        parts += [text[end : node.span.start], piece]
        end = node.span.end
    return "".join([*parts, text[end:]])


@given(st.just("tiny"), RANDOMS)
@example("hyper", random.Random(0))
@example("mobilew", random.Random(0))
@example("onnxw", random.Random(0))
def test_order_of_the_block_list(page: str, rng: random.Random) -> None:
    text = read_page(page).text
    listed = parse(Source(page, text)).get("space").get("blocks").all("choice")
    assert hash_of(reordered(text, listed, rng), page) == plain_hash(page)


@given(st.just("tiny-a"), RANDOMS)
@example("vnni", random.Random(0))
@example("pixel4", random.Random(0))
def test_order_of_the_stages_of_a_member(page: str, rng: random.Random) -> None:
    text = read_page(page).text
    stages = parse(Source(page, text)).get("space").all("stage")
    assert hash_of(reordered(text, stages, rng), page) == plain_hash(page)


def test_the_order_of_a_hyperspace_s_stages_matters() -> None:
    space = library_space("tiny")
    first, second = space.stages[2], space.stages[3]
    swapped = space.model_copy(
        update={"stages": (*space.stages[:2], second, first, *space.stages[4:])}
    )
    assert space_identity(swapped) != space_identity(space)


# ---- names --------------------------------------------------------------------------------------


@given(st.one_of(hyperspaces(), members()))
def test_names(space: Space) -> None:
    other = renamed(space)
    assert space_identity(other) == space_identity(space)
    assert mismatch(space, other) is None
    assert mismatch(other, space) is None
    for stage, twin in zip(space.stages, other.stages, strict=True):
        assert list(map(block_identity, stage.choices)) == list(map(block_identity, twin.choices))


@pytest.mark.parametrize("page", SPACE_PAGES)
def test_names_of_the_library(page: str) -> None:
    space = library_space(page)
    assert space_identity(renamed(space)) == space_identity(space)
    assert space_identity(space) == hash_of(write(renamed(space)), renamed(space).name)


def test_names_where_two_meet_in_one_expression() -> None:
    """The order of first use decides, not the alphabet."""

    def page(first: str, second: str) -> str:
        return (
            f"language 1\nblock b({first}, {second}) {{ conv 1x1 -> round8(cin * {first}"
            f" * {second}) strided  conv 1x1 }}\nspace s {{ input 32  stage1 {{ b {{ {first} 1, 2"
            f"  {second} 3, 4 }}  width 8 }} }}\n"
        )

    assert hash_of(page("a", "b"), "s") == hash_of(page("b", "a"), "s")


def test_channels_classes_and_quality_stand_outside() -> None:
    text = read_page("tiny").text
    other = text.replace("input 3 x", 'quality "onnxw" input 1 x').replace("-> 10", "-> 100")
    assert other.count("100") == 1
    assert hash_of(other, "tiny") == hash_of(text, "tiny")


# ---- differences --------------------------------------------------------------------------------

EIGHT = Num(value=8)


def changed_choice(stage: Stage, update: dict[str, object]) -> Stage:
    first = stage.choices[0].model_copy(update=update)
    return stage.model_copy(update={"choices": (first, *stage.choices[1:])})


def changed_values(stage: Stage, name: str) -> Stage:
    args = tuple(
        Arg(name=a.name, values=(*a.values[:-1], _other(a.values[-1]))) if a.name == name else a
        for a in stage.choices[0].args
    )
    return changed_choice(stage, {"args": args})


def _other(value: Value) -> Value:
    if isinstance(value, str):
        return next(a for a in ACTIVATIONS if a != value)
    if isinstance(value, Pair):
        return value._replace(height=value.height + 2)
    return value + 2


def changed_op(stage: Stage) -> list[Stage]:
    """One change in one op of the first block's body, in every way that makes a difference: what is
    trained as a sum is deployed with a bias and no norm, whatever it says of these."""
    block = stage.choices[0].block
    found: list[Stage] = []
    for i, op in enumerate(block.ops):
        for update in _op_changes(op):
            ops = (*block.ops[:i], op.model_copy(update=update), *block.ops[i + 1 :])
            found.append(changed_choice(stage, {"block": block.model_copy(update={"ops": ops})}))
    return found


def _op_changes(op: Op) -> list[dict[str, object]]:
    match op:
        case Conv():
            sizes: list[dict[str, object]] = [{"width": Num(value=40)}, {"kernel": Num(value=9)}]
            flags = ("elide",) if op.reparam else ("norm", "bias", "elide")
            return sizes + [{flag: not getattr(op, flag)} for flag in flags]
        case DwConv():
            kernel: list[dict[str, object]] = [{"kernel": Num(value=9)}]
            folded = () if op.reparam else ("norm", "bias")
            return kernel + [{flag: not getattr(op, flag)} for flag in folded]
        case Se():
            return [{"squeeze": EIGHT}, {"act": _other(op.act)}, {"gate": _other(op.gate)}]
        case Shortcut():
            act = None if op.act else "relu"
            return [{"act": act}, {"kind": "body", "body": (Se(squeeze=EIGHT),)}]
        case _:
            return []


@pytest.mark.slow
@given(hyperspaces(), st.data())
def test_any_change_shows(space: Space, data: st.DataObject) -> None:
    position = data.draw(st.sampled_from(space.elastic))
    stage = space.stages[position]
    changed = [
        stage.model_copy(update={"widths": (*stage.widths[:-1], stage.widths[-1] + 8)}),
        stage.model_copy(update={"depths": (*stage.depths, stage.depths[-1] + 1)}),
        stage.model_copy(update={"stride": 2 if stage.stride == 1 else 1}),
        stage.model_copy(update={"elastic": False}),
        stage.model_copy(update={"choices": stage.choices * 2}),
        *(changed_values(stage, arg.name) for arg in stage.choices[0].args),
        *changed_op(stage),
    ]
    if len(stage.widths) > 1:
        window = stage.window % len(stage.widths) + 1
        changed.append(stage.model_copy(update={"window": window}))
    for other in changed:
        stages = (*space.stages[:position], other, *space.stages[position + 1 :])
        assert space_identity(space.model_copy(update={"stages": stages})) != space_identity(space)
    for resolutions in ((*space.resolutions, 99), space.resolutions[1:]):
        other_input = space.model_copy(update={"resolutions": resolutions})
        assert space_identity(other_input) != space_identity(space)
    other_outputs = space.model_copy(update={"taps": (*space.taps, 99)})
    assert space_identity(other_outputs) != space_identity(space)


@given(subnets())
def test_a_model_s_hash_is_that_of_the_network(subnet: Subnet) -> None:
    space = renamed(subnet.of)
    stages = tuple(
        stage.model_copy(
            update={
                "blocks": tuple(
                    b.model_copy(
                        update={
                            "settings": tuple(
                                s.model_copy(update={"name": f"q-{s.name[::-1]}"})
                                for s in b.settings
                            )
                        }
                    )
                    for b in stage.blocks
                )
            }
        )
        for stage in subnet.stages
    )
    twin = Subnet(name="twin", of=space, resolution=subnet.resolution, stages=stages)
    assert subnet_identity(twin) == subnet_identity(subnet)


@given(subnets(), RANDOMS)
def test_a_changed_model_has_another_hash(subnet: Subnet, rng: random.Random) -> None:
    position = rng.choice(subnet.of.elastic)
    stage = subnet.stages[position]
    wider = stage.blocks[-1].model_copy(update={"width": stage.blocks[-1].width + 8})
    stages = list(subnet.stages)
    stages[position] = stage.model_copy(update={"blocks": (*stage.blocks[:-1], wider)})
    other = subnet.model_copy(update={"stages": tuple(stages)})
    assume(other != subnet)
    assert subnet_identity(other) != subnet_identity(subnet)
    bigger = subnet.model_copy(
        update={"resolution": by_side(lambda side: side + 16, subnet.resolution)}
    )
    assert subnet_identity(bigger) != subnet_identity(subnet)
