"""timm's block strings: read strictly, written from any network that they can say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spacedsl.bridges.timm import KINDS, Said, read_stacks
from spacedsl.bridges.timm_network import Frame, network
from spacedsl.bridges.timm_write import read_network, stacks_text, string
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.passes.cost import subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source
from tests.support import item_of, library_item, library_model

MOBILENET_V3_LARGE = """
[['ds_r1_k3_s1_e1_c16_nre'],
 ['ir_r1_k3_s2_e4_c24_nre', 'ir_r1_k3_s1_e3_c24_nre'],
 ['ir_r3_k5_s2_e3_c40_se0.25_nre'],
 ['ir_r1_k3_s2_e6_c80', 'ir_r1_k3_s1_e2.5_c80', 'ir_r2_k3_s1_e2.3_c80'],
 ['ir_r2_k3_s1_e6_c112_se0.25'],
 ['ir_r3_k5_s2_e6_c160_se0.25'],  # Table 1 of the paper: expansions are 960 of 160
 ['cn_r1_k1_s1_c960']]
"""


def read(text: str, frame: Frame | None = None, name: str = "net") -> Subnet:
    return network(read_stacks(Source("arch", text)), frame or Frame(), name)


def test_mobilenet_v3_large_costs_what_its_paper_says() -> None:
    """Howard et al., ICCV 2019, Table 3: 219M multiply-adds, 5.4M parameters."""
    cost = subnet_cost(read(MOBILENET_V3_LARGE))
    assert cost.flops == pytest.approx(219e6, rel=0.015)
    assert cost.params == pytest.approx(5.4e6, rel=0.02)


def test_strings_to_a_page_to_strings(tmp_path: Path) -> None:
    run = CliRunner().invoke
    (tmp_path / "arch.txt").write_text(MOBILENET_V3_LARGE)
    page = str(tmp_path / "net.space")
    asked = ["import", str(tmp_path / "arch.txt"), "--name", "net", "--out", page]
    assert run(app, asked).exit_code == 0
    assert run(app, ["check", page]).exit_code == 0
    given = [[s.strip("' ") for s in row.split(",") if "_r" in s] for row in rows()]
    found = run(app, ["convert", f"{page}#net", "--to", "timm", "--format", "json"])
    answer = json.loads(found.stdout)
    assert answer["arch_def"] == given
    assert (answer["stem"], answer["act"], answer["resolution"]) == (16, "hswish", 224)
    assert json.loads(answer["text"]) == given


def rows() -> list[str]:
    return [
        line.partition("#")[0].strip(" [],")
        for line in MOBILENET_V3_LARGE.split("\n")
        if "_" in line
    ]


@st.composite
def said(draw: st.DrawFn, *, first: bool) -> Said:
    kind = draw(st.sampled_from(KINDS))
    return Said(
        kind=kind,  # type: ignore[arg-type]
        repeat=draw(st.integers(1, 3)),
        kernel=draw(st.sampled_from([1, 3, 5])),
        stride=draw(st.sampled_from([1, 2])) if first else 1,
        width=draw(st.sampled_from([8, 16, 24, 40])),
        expand=draw(st.sampled_from([1, 1.5, 2.3, 6])) if kind in ("ir", "er") else 1,
        ratio=draw(st.sampled_from([0, 0.25, 0.5])) if kind != "cn" else 0,
        act=draw(st.sampled_from([None, "relu", "hswish"])),
        skip=kind != "dsa" and draw(st.booleans()),
    )


@st.composite
def stacks(draw: st.DrawFn) -> tuple[tuple[Said, ...], ...]:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        rest = draw(st.lists(said(first=False), max_size=2))
        found.append((draw(said(first=True)), *rest))
    return tuple(found)


@pytest.mark.slow
@given(stacks())
def test_any_network_of_strings_comes_back(drawn: tuple[tuple[Said, ...], ...]) -> None:
    """The strings of a network of strings say the same network, and are the same from then on."""
    text = json.dumps([[string(s, "hswish") for s in stack] for stack in drawn])
    subnet = read(text, Frame(resolution=64))
    assert item_of(write(subnet.of, subnet), "net") == subnet
    written = stacks_text(read_network(subnet))
    again = read(written, Frame(resolution=64))
    assert subnet_identity(again) == subnet_identity(subnet)
    assert stacks_text(read_network(again)) == written


@pytest.mark.parametrize(
    ("text", "code", "message", "column"),
    [
        ("ir_r2_k3_s2_e6_c24_sse0.25", "unknown-import-key", "unknown key `sse`", 20),
        ("irr_r2_k3_s2_e6_c24", "unknown-import-key", "unknown block type `irr`", 1),
        ("ir_r2_k3_s2_c24", "bad-import", "a `ir` says its `e`", 1),
        ("ir_r2_k3_s2_e6_c20", "bad-import", "20 channels are no multiple of 8", 16),
        ("ir_r2_k3.5_s2_e6_c24", "bad-import", "`k` is a whole number from 1 to 31", 7),
        ("ir_r2_k3_s3_e6_c24", "bad-import", "`s` is a whole number from 1 to 2", 10),
        ("ir_r2_k3_s2_e6_e4_c24", "bad-import", "`e` is said twice", 16),
        ("ir_r2_k3_s2_e6_c24_skip_noskip", "bad-import", "`skip` is said twice", 25),
        ("ir_r2_k3_s2_e6_c24_cc4", "bad-import", "timm's `cc4` cannot be said here", 20),
        ("uir_r1_k3_s2_e4_c24", "bad-import", "timm's `uir` has no counterpart here", 1),
        ("ds_r1_k3_s1_e2_c16", "bad-import", "`ds` has no expansion", 13),
        ("cn_r1_k1_s1_c16_se0.25", "bad-import", "`cn` is one convolution: it has no `se`", 17),
        ("[['ir_r1_k3_s2_e6_c24'", "bad-import", "a bracket is not closed", 23),
        ("[[['ir']]]", "bad-import", "brackets that do not match: an arch definition is", 3),
        ("[]", "bad-import", "there is no block string", 1),
        ("[['ds_r1_k3_s1_c8', 'ds_r1_k3_s2_c8']]", "bad-import", "only the first block", 31),
    ],
)
def test_what_timm_would_ignore_is_an_error(
    text: str, code: str, message: str, column: int
) -> None:
    with pytest.raises(SpaceError) as caught:
        read(text)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert found.message.startswith(message)
    assert found.place is not None
    assert (found.place.line, found.place.column) == (1, column)


def test_every_wrong_string_is_told() -> None:
    with pytest.raises(SpaceError) as caught:
        read("ir_r2_k3_s2_c24\nds_r1_k3_s1_e2_c16")
    assert [d.place.line for d in caught.value.diagnostics if d.place] == [1, 2]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("models/seqnet-vnni-a0", "its shortcut has operators of its own (conv)"),
        ("models/seqnet-vnni-a0", "an activation after the addition"),
        ("models/seqnet-vnni-a0", "stage2, block 1 (fused): its shortcut"),
        ("baselines/attentivenas-a0", "its shortcut has operators of its own (avgpool and conv)"),
        ("baselines/resnet50-d", "a stem is one convolution 3x3 of stride 2"),
        ("baselines/c2f-n", "sppf: it does not end in a classifier"),
    ],
)
def test_what_strings_cannot_say_is_named(page: str, reason: str) -> None:
    with pytest.raises(SpaceError) as caught:
        read_network(library_model(page))
    found = caught.value.diagnostics
    assert {d.code for d in found} == {"cannot-convert"}
    assert any(reason in d.message for d in found)


def test_the_baselines_of_plain_blocks_have_strings() -> None:
    """MobileNetV3's space by another name for its blocks: strings go by what blocks are."""
    from spacedsl.ir.sampling import largest
    from spacedsl.ir.space import Space

    space = library_item("baselines/mobilenetv3")
    assert isinstance(space, Space)
    found = read_network(largest(space))
    assert [string(s, found.act) for s in found.stacks[0]] == ["ds_r1_k3_s1_e1_c16_nre"]
    assert [string(s, found.act) for s in found.stacks[2]] == ["ir_r4_k7_s2_e6_c40_se0.25_nre"]
    assert (found.stem, found.act) == (16, "hswish")


BUILD = """
import importlib.util, json, sys, types
from functools import partial
where = importlib.util.find_spec("timm").submodule_search_locations[0]
def module(name, path):
    made = sys.modules[name] = types.ModuleType(name)
    made.__path__ = [path] if path else []
    return made
# timm's packages without what their __init__ imports, and torchvision, which is not there
module("timm", where), module("timm.models", where + "/models")
for name in ("", ".ops", ".ops.misc", ".models", ".models.feature_extraction"):
    module("torchvision" + name, "").FrozenBatchNorm2d = type("FrozenBatchNorm2d", (), {})
from torch import nn
from timm.layers import SqueezeExcite as _
from timm.models import _efficientnet_builder as b, _efficientnet_blocks as blocks
asked = json.load(sys.stdin)
decoded = b.decode_arch_def(asked["arch_def"])
names = [[a["block_type"] for a in stack] for stack in decoded]
se = partial(blocks.SqueezeExcite, gate_layer="hard_sigmoid", force_act_layer=nn.ReLU,
             rd_round_fn=b.round_channels)
make = b.EfficientNetBuilder(output_stride=32, round_chs_fn=b.round_channels, se_from_exp=True,
                             act_layer=nn.Hardswish, norm_layer=nn.BatchNorm2d, se_layer=se)
net = nn.Sequential(*make(asked["stem"], decoded))
print(json.dumps({"types": names, "params": sum(p.numel() for p in net.parameters())}))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("timm") is None,
    reason="timm is not there (pip install --no-deps timm; its torchvision is not needed)",
)
def test_timm_itself_builds_the_same_blocks() -> None:
    """Our strings through timm's decoder and builder: as many parameters as our blocks have."""
    from spacedsl.passes.bind import subnet_sites
    from spacedsl.passes.bound import layers
    from spacedsl.passes.cost import SCALES_PER_CONV, layer_cost

    subnet = read(MOBILENET_V3_LARGE)
    found = read_network(subnet)
    asked = {"arch_def": json.loads(stacks_text(found)), "stem": found.stem}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    built = json.loads(done.stdout)
    assert [names[0] for names in built["types"]] == ["ds", "ir", "ir", "ir", "ir", "ir", "cn"]
    params = 0
    for stage in subnet_sites(subnet)[1:-1]:
        for layer in (layer for site in stage for layer in layers(site.bind())):
            scales = {"conv": 1, "dwconv": 1, "se": 2}.get(layer.kind, 0) * SCALES_PER_CONV
            params += layer_cost(layer).params - scales
    assert built["params"] == params
