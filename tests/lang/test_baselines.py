"""The hand-made spaces say what their papers say: the proof that the language is wide enough."""

from __future__ import annotations

import pytest

from spacedsl.ir.block import Conv, Shortcut, walk
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import BlockChoice, Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.bind import subnet_sites
from spacedsl.passes.bound import layers
from spacedsl.passes.cost import SCALES_PER_CONV, subnet_cost, trained_weights
from tests.support import library_model, library_space


def weights(subnet: Subnet) -> int:
    """Parameters as papers count them: without the scales that quantisation learns."""
    bound = (layers(site.bind()) for stage in subnet_sites(subnet) for site in stage)
    scaled = {"conv": 1, "dwconv": 1, "linear": 1, "se": 2}
    scales = sum(scaled.get(layer.kind, 0) for found in bound for layer in found)
    return subnet_cost(subnet).params - SCALES_PER_CONV * scales


def trained(subnet: Subnet) -> int:
    """Parameters in training."""
    bound = (site.bind() for stage in subnet_sites(subnet) for site in stage)
    return sum(trained_weights(layer) for found in bound for layer in layers(found))


def test_largest_mobilenetv3() -> None:
    flops = subnet_cost(largest(library_space("baselines/mobilenetv3"), 224)).flops
    assert flops / 1e6 == pytest.approx(566, abs=0.5)


def test_attentivenas_a0() -> None:
    model = library_model("baselines/attentivenas-a0")
    assert subnet_cost(model).flops / 1e6 == pytest.approx(203.4, abs=0.05)


def test_attentivenas_a0_without_its_projections() -> None:
    """203.4M with its projecting shortcuts, 198.5M without them."""
    model = library_model("baselines/attentivenas-a0")

    def plain(choice: BlockChoice) -> BlockChoice:
        ops = tuple(
            op.model_copy(update={"kind": "identity", "body": ()})
            if isinstance(op, Shortcut)
            else op
            for op in choice.block.ops
        )
        return choice.model_copy(update={"block": choice.block.model_copy(update={"ops": ops})})

    stages = tuple(
        stage.model_copy(update={"choices": tuple(map(plain, stage.choices))})
        for stage in model.of.stages
    )
    without = model.model_copy(update={"of": model.of.model_copy(update={"stages": stages})})
    assert subnet_cost(without).flops / 1e6 == pytest.approx(198.5, abs=0.05)


def test_ds_cnn() -> None:
    """MLPerf Tiny's keyword spotter: Keras counts 24,908 parameters, a bias of every convolution
    and four numbers of every batch norm among them; folded they are 22,604."""
    model = library_model("baselines/ds-cnn-s")
    convolutions, words = 9, 64 * 12 + 12
    folded = 10 * 4 * 64 + 4 * (9 * 64 + 64 * 64) + 64 * convolutions + words
    assert folded == 22_604
    assert folded + 4 * 64 * convolutions == 24_908
    assert weights(model) == folded + 64 * convolutions  # of a norm two numbers, not one
    places = 25 * 5
    macs = places * (10 * 4 * 64 + 4 * (9 * 64 + 64 * 64)) + 64 * 12
    assert subnet_cost(model).flops == macs == 2_656_768


def test_regnetx_400mf() -> None:
    """timm's regnetx_004, to the last parameter; MACs to the last one by its definition."""
    model = library_model("models/regnetx-400mf")
    widths, depths, group = (32, 64, 160, 384), (1, 2, 7, 12), 16
    params, macs, cin, size = 27 * 32 + 64, 27 * 32 * 112**2, 32, 112
    for width, depth in zip(widths, depths, strict=True):
        for i in range(depth):
            wide, narrow = size**2, (size // 2) ** 2 if i == 0 else size**2
            first, middle, last = cin * width, 9 * group * width, width**2
            params += first + middle + last + 6 * width
            macs += first * wide + (middle + last) * narrow
            if i == 0:
                params += cin * width + 2 * width
                macs += cin * width * narrow
                size //= 2
            cin = width
    assert weights(model) == params + 384 * 1000 + 1000 == 5_157_512
    assert subnet_cost(model).flops == macs + 384 * 1000


def test_resnet50_d() -> None:
    """The weights of the network everybody knows, to the last one."""
    model = library_model("baselines/resnet50-d")
    assert weights(model) == 25_576_264
    assert subnet_cost(model).flops / 1e9 == pytest.approx(4.33, abs=0.01)


@pytest.mark.parametrize(
    ("name", "parameters", "mflops"),
    [
        ("mobilenetv2-w1", 3_504_872, 300.8),
        ("resnet-50", 25_557_032, 4089),
        ("efficientnetv2-s", 21_458_488, 2850),
        # torchvision has a bias in the convolution before the classifier, 1,280 more
        ("mobilenetv3-large-w1", 5_483_032 - 1_280, 216.6),
        ("shufflenetv2-x1", 2_278_604, 144.9),  # torchvision's; 146M in its paper
        ("c2f-n", 1_272_656, 1577.8),  # layers 0 to 9 of YOLOv8n in Ultralytics' table
    ],
)
def test_published_networks(name: str, parameters: int, mflops: float) -> None:
    model = library_model(f"baselines/{name}")
    assert weights(model) == parameters
    assert subnet_cost(model).flops / 1e6 == pytest.approx(mflops, rel=5e-4)


@pytest.mark.parametrize(
    ("name", "parameters", "mflops"),
    [
        ("mobilenetv4-conv-s", 3_774_024, 186.0),
        ("mobilenetv4-conv-m", 9_715_512, 1080.2),
        ("efficientnet-lite0", 4_652_008, 385.2),
        ("efficientnet-lite1", 5_416_680, 600.2),
        ("efficientnet-lite2", 6_092_072, 859.7),
        ("fbnetv3-b", 8_598_464, 530.6),
        ("repvgg-a0", 8_309_384, 1361.5),
        ("mobileone-s0", 2_078_504, 275.1),  # 275M in its paper
        ("mobileone-s1", 4_764_840, 825.1),  # 825M in its paper
        ("regnety-400mf", 4_344_144, 401.8),
        ("ghostnet-w1", 5_182_508, 141.2),  # 142M in its paper
        ("cspdarknet53", 27_642_184, 6533.7),
    ],
)
def test_networks_of_timm(name: str, parameters: int, mflops: float) -> None:
    """Figures of timm's implementations, RepVGG and MobileOne with their branches folded."""
    model = library_model(f"baselines/{name}")
    assert weights(model) == parameters
    assert subnet_cost(model).flops / 1e6 == pytest.approx(mflops, abs=0.06)


@pytest.mark.parametrize(
    ("name", "parameters", "mflops"), [("mcunet-in1", 0.64, 12.8), ("mcunet-in2", 0.73, 67.3)]
)
def test_networks_of_mcunet(name: str, parameters: float, mflops: float) -> None:
    """The list of models in the authors' repository, which gives these digits."""
    model = library_model(f"baselines/{name}")
    assert round(weights(model) / 1e6, 2) == parameters
    assert round(subnet_cost(model).flops / 1e6, 1) == mflops


def test_densenet_121() -> None:
    """The 7,978,856 parameters of its paper's code are trained. Deployed, the norms that stand
    before convolutions, 34,336 channels of them, are counted as the convolutions that they are."""
    model = library_model("baselines/densenet-121")
    assert trained(model) == 7_978_856
    assert weights(model) == 7_978_856 + 34_336


@pytest.mark.parametrize(
    ("name", "parameters"), [("repvgg-a0", 9_108_968), ("mobileone-s0", 5_293_272)]
)
def test_what_is_trained_of_sums(name: str, parameters: int) -> None:
    """timm's networks before it folds them."""
    assert trained(library_model(f"baselines/{name}")) == parameters


def test_the_second_stem_convolution_may_be_skipped() -> None:
    space = library_space("baselines/resnet50")
    (stem,) = space.stages[0].choices
    assert stem.values("second") == (0, 1)
    model = library_model("baselines/resnet50-d")
    block = model.stages[0].blocks[0]
    skipped = block.model_copy(
        update={
            "settings": tuple(
                s.model_copy(update={"value": 0}) if s.name == "second" else s
                for s in block.settings
            )
        }
    )
    stages = (model.stages[0].model_copy(update={"blocks": (skipped,)}), *model.stages[1:])
    thin = model.model_copy(update={"stages": stages})
    assert weights(model) - weights(thin) == 32 * 32 * 9 + 2 * 32


def activations(space: Space) -> list[str]:
    """The activation of every elastic stage's block."""
    return [str(space.stages[i].choices[0].values("act")[0]) for i in space.elastic]


def test_mobilenetv3_differs_per_stage() -> None:
    space = library_space("baselines/mobilenetv3")
    assert activations(space) == ["relu", "relu", "hswish", "hswish", "hswish"]
    has_se = [
        any(op.op == "se" for op in walk(space.stages[i].choices[0].block.ops))
        for i in space.elastic
    ]
    assert has_se == [False, True, False, True, True]


def test_attentivenas_shares_within_a_stage_and_chooses_its_head() -> None:
    space = library_space("baselines/attentivenas")
    assert all("width" in space.stages[i].shared for i in space.elastic)
    assert space.stage("head").widths == (1792, 1984)


def test_proxylessnas_begins_without_a_shortcut() -> None:
    block = library_space("baselines/proxylessnas").stage("stage0").choices[0].block
    assert not any(isinstance(op, Shortcut) for op in block.ops)
    assert isinstance(block.ops[-1], Conv)


def test_a_backbone_with_a_pyramid() -> None:
    """MobileNetV4-Conv-S up to its last stage, and a pyramid of 64 channels as in its paper: three
    convolutions 1x1 of 64, 96 and 128 channels, three 3x3, two numbers a channel for each norm."""
    whole, found = (
        library_model(f"baselines/{name}")
        for name in ("mobilenetv4-conv-s", "mobilenetv4-conv-s-fpn")
    )
    head = 128 * 960 + 960 * 1280 + 1280 * 1000 + 2 * (960 + 1280) + 1000
    pyramid = 64 * (64 + 96 + 128) + 3 * 64 * 64 * 9 + 6 * 2 * 64
    assert weights(found) == weights(whole) - head + pyramid
