"""AttentiveNAS' configurations and Once-for-All's names and settings, and models as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from typer.testing import CliRunner

from spacedsl.bridges import config, ofa
from spacedsl.bridges.config import Entry
from spacedsl.bridges.model_json import model_of, model_text
from spacedsl.bridges.read import given as given_text
from spacedsl.bridges.read import read, recognised
from spacedsl.bridges.timm_network import Frame
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import space_identity
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source
from tests.laws.strategies import subnets
from tests.support import PAGES, library_item, library_model, library_space, page_id

ATTENTIVENAS = """
exp_name: a supernet
epochs: 360
supernet_config:
    use_v3_head: True
    resolutions: [192, 224, 256, 288]
    first_conv: {c: [16, 24], act_func: 'swish', s: 2}
    mb1: {c: [16, 24], d: [1, 2], k: [3, 5], t: [1], s: 1, act_func: 'swish', se: False}
    mb2: {c: [24, 32], d: [3, 4, 5], k: [3, 5], t: [4, 5, 6], s: 2, act_func: 'swish', se: False}
    mb3: {c: [32, 40], d: [3, 4, 5, 6], k: [3, 5], t: [4, 5, 6], s: 2, act_func: 'swish', se: True}
    mb4: {c: [64, 72], d: [3, 4, 5, 6], k: [3, 5], t: [4, 5, 6], s: 2, act_func: 'swish', se: False}
    mb5:
        c: [112, 120, 128]
        d: [3, 4, 5, 6, 7, 8]
        k: [3, 5]
        t: [4, 5, 6]
        s: 1
        act_func: 'swish'
        se: True
    mb6: {c: [192, 200, 208, 216], d: [3, 4, 5, 6, 7, 8], k: [3, 5], t: [6], s: 2,
          act_func: swish, se: True}
    mb7: {c: [216, 224], d: [1, 2], k: [3, 5], t: [6], s: 1, act_func: 'swish', se: True}
    last_conv: {c: [1792, 1984], act_func: 'swish'}
pareto_models:
    supernet_checkpoint_path: "./pretrained.pth.tar"
    a0:
        model: "attentive_nas_a0"
        resolution: 192
        width: [16, 16, 24, 32, 64, 112, 192, 216, 1792]
        kernel_size: [3, 3, 3, 3, 3, 3, 3]
        expand_ratio: [1, 4, 4, 4, 4, 6, 6]
        depth: [1, 3, 3, 3, 3, 3, 1]
"""


def item(text: str, of: Space | None = None, at: int | None = None) -> Space | Subnet:
    found = given_text(text)
    kind = recognised(found)
    return read(found, kind, of, Frame(), "found", at=at)


def space(text: str) -> Space:
    found = item(text)
    assert isinstance(found, Space)
    return found


def model(text: str, of: Space | None = None, at: int | None = None) -> Subnet:
    found = item(text, of, at)
    assert isinstance(found, Subnet)
    return found


@pytest.fixture
def supernet(tmp_path: Path) -> Path:
    path = tmp_path / "supernet.yml"
    path.write_text(ATTENTIVENAS)
    return path


def test_the_published_supernet_is_the_library_s_space(supernet: Path) -> None:
    assert space_identity(space(str(supernet))) == space_identity(
        library_space("baselines/attentivenas")
    )


def test_a_published_setting_is_the_library_s_model(supernet: Path, tmp_path: Path) -> None:
    found = model(f"{supernet}#a0")
    assert subnet_identity(found) == subnet_identity(library_model("baselines/attentivenas-a0"))
    assert subnet_cost(found).flops == pytest.approx(203e6, rel=0.005)
    out = str(tmp_path / "a0.space")
    run = CliRunner().invoke
    assert run(app, ["import", f"{supernet}#a0", "--out", out]).exit_code == 0
    shown = json.loads(run(app, ["show", out, "--format", "json"]).stdout)
    assert shown["hash"] == subnet_identity(found)


def test_other_activations_heads_and_strides_are_kept(supernet: Path) -> None:
    other = ATTENTIVENAS.replace("act_func: swish", "act_func: h_swish")
    other = other.replace("use_v3_head: True", "use_v3_head: False").replace("s: 1", "s: 2", 1)
    supernet.write_text(other)
    found = space(str(supernet))
    assert [s.choices[0].block.name for s in found.stages[5:8]] == [
        "mbv3-pool",
        "mbv3-pool-hswish",
        "mbv3-pool",
    ]
    assert found.stages[1].stride == 2
    assert [op.op for op in found.stages[-1].choices[0].block.ops] == ["conv", "pool", "linear"]
    assert space_identity(found) != space_identity(library_space("baselines/attentivenas"))


@pytest.mark.parametrize(
    ("old", "new", "code", "message", "line"),
    [
        (
            "d: [1, 2], k: [3, 5], t: [1]",
            "dd: [1, 2], k: [3, 5], t: [1]",
            "unknown-import-key",
            "unknown key `dd`",
            8,
        ),
        (
            "        t: [4, 5, 6]\n",
            "",
            "bad-import",
            "supernet_config.mb5: it does not say `t`",
            12,
        ),
        (
            "act_func: swish",
            "act_func: x",
            "bad-import",
            "supernet_config.mb6.act_func: unknown",
            21,
        ),
        (
            "se: True}\n    mb4",
            "se: 1}\n    mb4",
            "bad-import",
            "supernet_config.mb3.se: True or",
            10,
        ),
        (
            "        s: 1\n",
            "        s: 3\n",
            "bad-import",
            "supernet_config.mb5.s: a stride is",
            17,
        ),
        (
            "        s: 1\n",
            "        s: 1\n        s: 1\n",
            "bad-import",
            "supernet_config.mb5.s: said",
            18,
        ),
        ("mb7: {", "mb8: {", "bad-import", "supernet_config: stages are mb1, mb2", 4),
        ("[112, 120, 128]", "[112, wide]", "bad-import", "supernet_config.mb5.c[1]: a number", 13),
        ("resolutions: [192", "resolutions: [[192", "bad-import", "this is not YAML", 6),
    ],
)
def test_a_wrong_configuration_is_told_where(
    supernet: Path, old: str, new: str, code: str, message: str, line: int
) -> None:
    supernet.write_text(ATTENTIVENAS.replace(old, new, 1))
    with pytest.raises(SpaceError) as caught:
        space(str(supernet))
    found = caught.value.diagnostics[0]
    assert (found.code, found.message[: len(message)]) == (code, message)
    assert found.place is not None
    assert found.place.line >= line if "not YAML" in message else found.place.line == line


def test_yaml_from_strangers_is_bounded() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in (bomb, "[" * 30_000, "x" * 100_000, "!!python/object:os.system x", "a: !!int x"):
        with pytest.raises(SpaceError):
            config.read_yaml(Source("x.yml", text)).table()
    with pytest.raises(SpaceError):
        config.read_json(Source("x.json", "[" * 30_000))


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("ofa_mbv3_d234_e346_k357_w1.0", "mobilenetv3"),
        ("ofa_proxyless_d234_e346_k357_w1.0", "proxylessnas"),
        ("ofa_resnet50", "resnet50"),
        ("ofa_resnet50_d0-1-2_e0.2-0.25-0.35_w0.65-0.8-1.0", "resnet50"),
    ],
)
def test_a_supernet_s_name_is_the_library_s_space(name: str, page: str) -> None:
    assert space_identity(space(name)) == space_identity(library_space(f"baselines/{page}"))


def test_width_multipliers_are_those_of_the_released_supernets() -> None:
    """Cai et al. released ProxylessNAS 1.3 times as wide, and MobileNetV3 1.2 times: its largest
    member has about 843M multiply-accumulates."""
    wide = space("ofa_proxyless_d234_e346_k357_w1.3")
    assert [s.widths for s in wide.stages[:-1]] == [
        (w,) for w in (40, 24, 32, 56, 104, 128, 248, 416)
    ]
    assert (
        subnet_cost(largest(wide)).flops
        > 1.5 * subnet_cost(largest(space("ofa_proxyless_d234_e346_k357_w1.0"))).flops
    )
    mobile = space("ofa_mbv3_d234_e346_k357_w1.2")
    assert subnet_cost(largest(mobile)).flops == pytest.approx(843e6, rel=0.01)


SETTING = {"ks": [3] * 20, "e": [3, 4, 6, 6] * 5, "d": [2, 3, 4, 2, 3], "r": [224], "wid": None}


def test_a_setting_of_mobilenetv3() -> None:
    found = model(json.dumps(SETTING))
    assert found.of.name == "mobilenetv3"
    assert [len(s.blocks) for s in found.stages[2:-1]] == SETTING["d"]
    assert [b.setting("expand") for b in found.stages[4].blocks] == [3, 4, 6, 6]
    assert [b.setting("expand") for b in found.stages[5].blocks] == [3, 4], (
        "unused slots say nothing"
    )


def test_one_number_stands_for_all_and_the_space_may_be_named() -> None:
    narrow = '{"ks": 7, "e": 6, "d": 4}'
    known = library_space("baselines/mobilenetv3")
    found = model(narrow, known, at=224)
    assert subnet_identity(found) == subnet_identity(largest(known, 224))
    with pytest.raises(SpaceError, match="missing-option"):
        model(narrow, known)
    with pytest.raises(SpaceError, match="1 numbers fit no supernet"):
        model(narrow, at=224)


def test_a_setting_of_proxylessnas() -> None:
    found = model(
        '{"ks": [5], "e": [6], "d": [4], "r": 224}'.replace("[5]", str([5] * 21))
        .replace("[6]", str([6] * 21))
        .replace("[4]", str([4] * 6))
    )
    assert found.of.name == "proxylessnas"
    assert [len(s.blocks) for s in found.stages[2:-1]] == [4] * 5 + [1]


def test_a_setting_of_resnet50() -> None:
    """ResNet50-D is the member of base depth 2 2 4 2 plus 1 2 2 1, everything at width 1.0."""
    found = model('{"d": [2, 1, 2, 2, 1], "e": 0.25, "w": 2, "image_size": 224}')
    assert subnet_identity(found) == subnet_identity(library_model("baselines/resnet50-d"))
    without = model('{"d": [0, 1, 2, 2, 1], "e": 0.25, "w": [0, 2, 2, 2, 2, 2], "r": 224}')
    assert [s.value for s in without.stages[0].blocks[0].settings] == [24, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [3] * 19}, "ks: 19 numbers fit no supernet of OFA"),
        ({"d": [2, 3, 4, 2]}, "d: 4 numbers; mobilenetv3 takes 5"),
        ({"d": [2, 3, 4, 2, 5]}, "d[4]: 5 blocks in a stage of at most 4"),
        ({"d": [2, 3, 4, 2, 1]}, "not a member of mobilenetv3: stage5: depth 1 is not one of"),
        ({"ks": [9] * 20}, "not a member of mobilenetv3: stage1: kernel 9 is not one of"),
        ({"r": 225}, "not a member of mobilenetv3: resolution 225 is not one of"),
        ({"e": "6"}, "e: a number is expected here"),
        ({"dd": [2]}, "unknown key `dd`"),
    ],
)
def test_a_wrong_setting_is_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        model(json.dumps({**SETTING, **change}))
    assert caught.value.diagnostics[0].message.startswith(message)


@pytest.mark.parametrize(
    "text", ["flops@595M_top1@80.0_finetune@75", "ofa_mbv3_d234", "ofa_mbv3_d2.3.4_e346_k357_w1.0"]
)
def test_names_that_say_no_space_are_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="bad-code"):
        ofa.space_of_id(text, "found")


@pytest.mark.parametrize(
    "path",
    [p for p in PAGES if p.parent.name == "models" or p.stem in ("attentivenas-a0", "resnet50-d")],
    ids=page_id,
)
def test_a_model_as_json_and_back(path: Path, tmp_path: Path) -> None:
    """Bytes and hash are the same, after a page in between."""
    subnet = library_item(page_id(path))
    assert isinstance(subnet, Subnet)
    text = model_text(subnet)
    assert subnet_identity(model_of(text, "x.json")) == subnet_identity(subnet)
    (tmp_path / "x.json").write_text(text)
    page = str(tmp_path / "x.space")
    run = CliRunner().invoke
    assert run(app, ["import", str(tmp_path / "x.json"), "--out", page]).exit_code == 0
    back = run(app, ["convert", f"{page}#{subnet.name}", "--to", "json"])
    assert back.stdout == text


@pytest.mark.slow
@given(subnets())
def test_any_model_as_json_and_back(subnet: Subnet) -> None:
    text = model_text(subnet)
    found = model_of(text, "x.json")
    assert model_text(found) == text
    assert subnet_identity(found) == subnet_identity(subnet)


def test_changed_json_is_refused() -> None:
    text = model_text(library_model("models/tiny-a0"))
    for old, new, code in (
        ('"resolution": 32', '"resolution": 24', "wrong-hash"),
        ('"resolution": 32', '"resolution": 33', "bad-import"),
        ('"name": "stage1"', '"name": "a } model x"', "bad-import"),
        ('"name": "stage1"', '"name": "width"', "bad-import"),
        ('"version": 1', '"version": 2', "bad-import"),
        ('"choice": 0', '"choice": 7', "bad-import"),
        ('"choice": 0', '"choice": "0; x"', "bad-import"),
        ("}\n", "", "bad-import"),
    ):
        assert old in text
        with pytest.raises(SpaceError) as caught:
            model_of(text.replace(old, new, 1) if new else text[:-2], "x.json")
        assert caught.value.diagnostics[0].code == code, (old, new)


def test_options_that_have_nothing_to_say_are_refused() -> None:
    run = CliRunner().invoke
    for asked in (["onnxw-151122-023231", "--stem", "8"], ["ir_r1_k3_s1_e1_c8", "--act", "elu"]):
        assert run(app, ["import", *asked]).exit_code == 2
    assert run(app, ["import", "nothing.yml"]).exit_code == 2


def test_an_entry_says_where_it_is() -> None:
    entry = config.read_json(Source("x.json", '{"a": {"b": [1, "x"]}}'))
    assert isinstance(entry, Entry)
    with pytest.raises(SpaceError, match=r"a\.b\[1\]: a number is expected here"):
        entry.need("a").need("b").wholes()
