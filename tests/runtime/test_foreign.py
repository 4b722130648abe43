"""Networks of others as pages: the same outputs, the same parameters, and reasons where not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from spacedsl.api import load
from spacedsl.flows.foreign import import_timm
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.write import write
from spacedsl.targets.deployed import open_deployed
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.elastic.weights import layer_weights
from spacedsl_runtime.errors import ForeignError
from spacedsl_runtime.foreign.read import Read, read_network
from spacedsl_runtime.foreign.timm_models import Wanted, make, operations, read_tensors
from tests.cli.test_commands import run, run_json
from tests.support import item_of
from tests.with_timm import needs_timm


def scattered(network: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as after a training: each channel has its own statistics."""
    generator = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            assert norm.running_var is not None
            norm.running_mean.normal_(0, 0.1, generator=generator)
            norm.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.1, generator=generator)
    return network.eval()


def norm_conv(cin: int, cout: int, kernel: int = 1, stride: int = 1, **more: int) -> nn.Sequential:
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False, **more)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.BatchNorm2d(cout, eps=1e-3))


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, width // 4, 1, bias=False)
        self.norm = nn.BatchNorm2d(width // 4, eps=1e-7)
        self.expand = nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.silu(self.norm(self.reduce(x.mean((2, 3), keepdim=True))))
        gate: Tensor = torch.sigmoid(self.expand(squeezed))
        return x * gate


class Inverted(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, kernel: int = 3, expand: int = 4) -> None:
        super().__init__()
        mid = cin * expand
        self.up = norm_conv(cin, mid)
        self.deep = norm_conv(mid, mid, kernel, stride, groups=mid)
        self.gate = Gate(mid)
        self.down = norm_conv(mid, cout)
        self.keeps = cin == cout and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(self.gate(F.relu6(self.deep(F.relu6(self.up(x))))))
        found: Tensor = x + y if self.keeps else y
        return found


class Projected(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = norm_conv(cin, cout, 3, stride), norm_conv(cout, cout, 3)
        same = cin == cout and stride == 1
        self.skip = nn.Identity() if same else norm_conv(cin, cout, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(F.relu(self.one(x)))
        y += self.skip(x)
        return F.relu(y)


def mixed(channels: int = 3) -> nn.Module:
    """Every form of block that pages know of."""
    torch.manual_seed(3)
    blocks = nn.Sequential(
        nn.Sequential(Inverted(16, 24, 2), Inverted(24, 24, 1, 5, 2), Inverted(24, 24, 1, 5, 2)),
        nn.Sequential(Projected(24, 32, 1), Projected(32, 32, 1), Projected(32, 32, 1)),
        nn.Sequential(Projected(32, 40, 2), Projected(40, 40, 1)),
    )
    stem = (norm_conv(channels, 16, 3, 2), nn.LeakyReLU(0.01), nn.MaxPool2d(3, 2, 1))
    head = (nn.Conv2d(40, 48, 1), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2))
    return scattered(nn.Sequential(*stem, blocks, *head, nn.Linear(48, 10, bias=False)))


@pytest.fixture(scope="module")
def found() -> Read:
    return read_network(mixed(), "mixed", (3, 63))


def test_logits_are_the_same(found: Read) -> None:
    """Also in single precision, and at sizes that strides do not divide."""
    network, image = mixed(), torch.randn(2, 3, 63, 63)
    with torch.no_grad():
        theirs, ours = network(image), found.supernet(image, found.subnet)
    assert found.differs <= 1e-6 * found.largest
    assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-5 * found.largest)


def test_the_page_says_blocks_and_the_one_network(found: Read, tmp_path: Path) -> None:
    text = write(found.subnet.of, found.subnet)
    again = item_of(text, "mixed", tmp_path)
    assert again == found.subnet
    assert text.count("block ") == 2
    assert "  shortcut projected relu\n" in text
    assert "  mid = round8(cin * expand)\n" in text
    assert "  se mid / 4 swish sigmoid\n" in text
    assert "stage0 { inverted { kernel 3  expand 4 }  width 24  stride 2 }" in text
    assert "stage0-2 { inverted { kernel 5  expand 2 }  width 24  depth 2 }" in text
    assert "stage1 { projected  width 32  depth 3 }" in text
    assert "stage2 { projected  width 40  depth 2  stride 2 }" in text
    assert "stem { conv 3x3 leaky s2  maxpool 3x3 strided  width 16  stride 2 }" in text
    assert "head { conv 1x1 -> 48 gelu nonorm bias  pool  dropout 0.2  linear -> 10 }" in text


class Grouped(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, groups: int) -> None:
        super().__init__()
        self.one = norm_conv(cin, cout)
        self.two = norm_conv(cout, cout, 3, stride, groups=groups)
        same = cin == cout and stride == 1
        self.skip = nn.Identity() if same else norm_conv(cin, cout, 1, stride, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(F.relu(self.one(x))) + self.skip(x)
        return found


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ((2, 4, 4), "conv 3x3 groups cout / 4 strided"),  # as many channels in each
        ((4, 4, 4), "conv 3x3 groups 4 strided"),
        ((1, 4, 4), "conv 3x3 groups cardinality strided"),
        ((8, 16, 16), "dwconv 3x3 strided"),
    ],
)
def test_groups_are_said(groups: tuple[int, ...], said: str) -> None:
    """By the width, as a number, or else by a parameter; the shortcut's are its own."""
    sizes = ((16, 8, 1), (8, 16, 2), (16, 16, 1))
    blocks = (Grouped(*size, group) for size, group in zip(sizes, groups, strict=True))
    torch.manual_seed(5)
    stem, head = norm_conv(3, 16, 3), (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    network = scattered(nn.Sequential(stem, nn.Sequential(*blocks), *head))
    found = read_network(network, "grouped", (3, 16))
    assert found.differs <= 1e-6 * found.largest
    text = write(found.subnet.of, found.subnet)
    assert f"  {said}\n" in text
    assert "  shortcut { conv 1x1 groups 2 strided elide }\n" in text
    assert text.count("block ") == 1
    assert item_of(text, "grouped") == found.subnet


def test_a_checkpoint_is_exported_and_calibrated(tmp_path: Path) -> None:
    """In FP32 with the network's logits; in 8 bits compared on images, near them."""
    network = mixed(1)
    read, weights = read_network(network, "mixed", (1, 32)), tmp_path / "net.safetensors"
    page, files = tmp_path / "net.space", {"fp32": tmp_path / "f.onnx", "int8": tmp_path / "q.onnx"}
    page.write_text(write(read.subnet.of, read.subnet))
    save_checkpoint(weights, read.supernet)
    asked = ("export", str(page), "--checkpoint", str(weights), "--out")
    assert run(*asked, str(files["fp32"]), "--fp32").exit_code == 0
    found = run_json(*asked, str(files["int8"]), "--calibrate", "digits")["agreement"]
    assert found["images"] == 200
    assert 0 <= found["int8_top1"] <= 1
    image = torch.randn(4, 1, 32, 32).clamp(-1, 1)
    with torch.no_grad():
        logits = network(image).numpy()
    fp32, int8 = (open_deployed(file).run(image.numpy()) for file in files.values())
    assert np.allclose(fp32, logits, rtol=1e-3, atol=1e-4 * read.largest)
    assert np.corrcoef(int8.ravel(), logits.ravel())[0, 1] > 0.95
    for words, message in (
        ((), "say --calibrate DATA for 8 bits"),
        (("--fp32", "--calibrate", "digits"), "--fp32 needs no --calibrate"),
    ):
        done = run(*asked, str(tmp_path / "no.onnx"), *words)
        assert done.exit_code == 2
        assert message in done.output


class Around(nn.Module):
    """A step between two convolutions."""

    def __init__(self, step: Callable[[Tensor], Tensor], inner: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.step, self.inner = norm_conv(3, 8, 3), step, inner
        self.head, self.fc = norm_conv(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.step(x) if self.inner is None else self.step(self.inner(x))
        logits: Tensor = self.fc(self.head(x).mean((2, 3)))
        return logits


def doubled(x: Tensor) -> Tensor:
    return torch.cat([x[:, :4], x[:, 4:]], 1)


class Plain(nn.Module):
    """A network that has no modules for its sum, pool and dropout, and calls none for logits."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = norm_conv(3, 8, 3, 2), norm_conv(8, 8, 3), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        x = x + self.two(x)
        x = F.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1), 0.2, self.training)
        return F.linear(x, self.fc.weight, bias=self.fc.bias)


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        (nn.Conv2d(8, 8, 3, 1, 2, 2), "conv 3x3 -> 8 dilation 2 nonorm bias"),
        (nn.Conv2d(8, 8, 4, 4), "conv 4x4 -> 8 strided nonorm bias"),
        (nn.Conv2d(8, 8, 3), "conv 3x3 -> 8 nonorm bias valid"),
        (nn.Conv2d(8, 8, (1, 3), 1, (0, 1)), "conv 1x3 -> 8 nonorm bias"),
        (nn.Conv2d(8, 8, (5, 2), (2, 1), 0, groups=8), "dwconv 5x2 strided nonorm bias valid"),
        (nn.BatchNorm2d(8), "dwconv 1x1 ones"),
        (nn.MaxPool2d(3, 2), "maxpool 3x3 strided valid"),
    ],
)
def test_windows_are_said(inner: nn.Module, said: str) -> None:
    found = read_network(scattered(Around(lambda x: x, inner)), "windows", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert said in write(found.subnet.of, found.subnet)


class Crossing(nn.Module):
    """Half of the channels pass by; the other half grows by what three layers make, one behind the
    other, and of that a sum is taken."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.one, self.two = norm_conv(half, 4, 3), norm_conv(4, 4, 3)
        self.back = norm_conv(half + 8, half)
        self.more = norm_conv(half, half)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        first = F.relu(self.one(right))
        second = F.relu(self.two(first))
        found = F.relu(right + self.back(torch.cat([right, first, second], 1)))
        return torch.cat([left, self.more(found)], 1)


class Growing(nn.Module):
    """A layer of DenseNet, whose norm stands before its convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), nn.Conv2d(width, 4, 3, 1, 1, bias=False)

    def forward(self, before: list[Tensor]) -> Tensor:
        found: Tensor = self.conv(F.relu(self.norm(torch.cat(before, 1))))
        return found


class Branched(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.fc = norm_conv(3, 8, 3, 2), nn.Linear(20, 3)
        self.crossing = nn.Sequential(Crossing(8), Crossing(8))
        self.growing = nn.ModuleList(Growing(8 + 4 * i) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        found = [self.crossing(F.relu(self.stem(x)))]
        for layer in self.growing:
            found.append(layer(found))
        logits: Tensor = self.fc(torch.cat(found, 1).mean((2, 3)))
        return logits


def test_branches_are_said() -> None:
    """Paths that begin alike are written once, and what was joined before grows."""
    torch.manual_seed(2)
    found = read_network(scattered(Branched()), "branched", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    text = write(found.subnet.of, found.subnet)
    assert item_of(text, "branched") == found.subnet
    assert "stage0 { crossing  width 8  depth 2 }" in text
    assert "stage1 { growing  width cin + 4  depth 3 }" in text
    assert "concat { } { dwconv 1x1 relu ones  conv 3x3 -> 4 nonorm }" in text
    assert text.count("conv 3x3 -> 4") == 3


class Mixing(nn.Module):
    """A unit of ShuffleNetV2, with its shuffle said in one of several ways."""

    def __init__(self, width: int, way: str) -> None:
        super().__init__()
        self.way, self.shuffle = way, nn.ChannelShuffle(2)
        self.side = norm_conv(width // 2, width // 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        one, two = x.chunk(2, dim=1)
        x = torch.cat([one, F.relu(self.side(two))], dim=1)
        n, c, h, w = x.size(0), x.size(1), x.size(2), x.size(3)
        match self.way:
            case "module":
                found: Tensor = self.shuffle(x)
                return found
            case "transposed":
                x = x.view(n, 2, c // 2, h, w)
                return torch.transpose(x, 1, 2).contiguous().view(n, -1, h, w)
            case _:
                return x.reshape(n, 2, c // 2, h, w).permute(0, 2, 1, 3, 4).flatten(1, 2)


@pytest.mark.parametrize("way", ["module", "transposed", "permuted"])
def test_shuffles_are_said(way: str) -> None:
    parts = nn.Sequential(Mixing(8, way), Mixing(8, way))
    net = nn.Sequential(norm_conv(3, 8, 3, 2), nn.ReLU(), nn.Sequential(parts))
    network = nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    found = read_network(scattered(network), "mixed", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert write(found.subnet.of).count("shuffle 2") == 1


def test_other_turns_of_axes_are_named() -> None:
    turned = Around(lambda x: x.view(1, 2, 4, 32, 32).permute(0, 1, 2, 4, 3).reshape(1, 8, 32, 32))
    with pytest.raises(ForeignError, match="`view` has no counterpart"):
        read_network(turned, "net", (3, 32))


def test_what_the_network_does_without_modules_is_said() -> None:
    found = read_network(scattered(Plain()), "plain", (3, 32))
    assert found.differs <= 1e-6 * found.largest
    assert "pool  dropout 0.2  linear -> 2" in write(found.subnet.of, found.subnet)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Around(doubled), "Around: a concat joins paths from one tensor"),
        (Around(lambda x: torch.cat([F.relu(x[:, :2]), x[:, 2:]], 1)), "a split is in equal parts"),
        (Around(lambda x: x * 2), "Around: arithmetic with constants"),
        (Around(lambda x: x * x.mean((2, 3), keepdim=True)), "of products the language has"),
        (Around(torch.tanh), "`tanh` has no counterpart"),
        (Around(lambda x: x, nn.LayerNorm([8, 32, 32])), r"inner \(LayerNorm\): layer norm has no"),
        (Around(lambda x: x, nn.GroupNorm(2, 8)), "group norm has no integer kernels"),
        (
            Around(lambda x: x, nn.Conv2d(8, 8, 3, 1, 2)),
            r"inner \(Conv2d\): .* is padded by 1 before",
        ),
        (Around(lambda x: x, nn.Conv2d(8, 8, 33, 1, 16)), "a kernel of 33 is larger than 31"),
        (Around(lambda x: x, nn.AvgPool2d(3, 1, 1)), "does not count what is padded"),
        (Around(lambda x: x, nn.MaxPool2d(2, 2, 1)), "a maxpool of 2x2 pads 0 and 0, or nothing"),
        (Around(lambda x: F.relu(F.relu(x))), "an activation stands after a convolution or a sum"),
        (Around(lambda x: x if x.sum() > 0 else -x), "cannot be followed"),
    ],
)
def test_what_cannot_be_said_is_named(network: nn.Module, message: str) -> None:
    with pytest.raises(ForeignError, match=message):
        read_network(network, "net", (3, 32))


class TestTimm:
    pytestmark = needs_timm

    @pytest.mark.parametrize(
        "name",
        [
            *("mobilenetv3_small_050", "lcnet_050", "resnet10t", "repvgg_a0", "mobileone_s0"),
            *("ghostnet_050", "cs3darknet_s"),
        ],
    )
    def test_networks_compute_the_same(self, name: str) -> None:
        network = scattered(make(Wanted(name)))
        params = sum(p.numel() for p in network.parameters())
        found = read_network(network, name, (3, 64), *operations())
        assert found.differs <= 1e-9 * found.largest
        program = found.supernet.program(found.subnet)
        arrays = [each for _, each in layer_weights(found.supernet, program)]
        own = ("weight", "bias", "gamma", "beta")
        assert params == sum(a[key].numel() for a in arrays for key in own if key in a)
        assert item_of(write(found.subnet.of, found.subnet), name) == found.subnet

    def test_weights_of_a_file_go_into_page_and_checkpoint(self, tmp_path: Path) -> None:
        """Of a network with other classes and channels than timm's."""
        import timm

        network = timm.create_model("mobilenetv3_small_050", num_classes=7, in_chans=1)
        scattered(network, 5)
        file, page = tmp_path / "mine.pth", tmp_path / "mine.space"
        wrapped = {f"module.{n}": t for n, t in network.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": wrapped}, file)
        done = import_timm("mobilenetv3_small_050", page, weights=file, resolution=48, item="mine")
        model = load(f"{page}#mine")
        assert isinstance(model, Subnet)
        assert (model, model.of.channels, model.resolution) == (done.model, 1, 48)
        supernet = load_supernet(model.of).eval()
        load_checkpoint(done.checkpoint, supernet)
        image = torch.randn(2, 1, 48, 48)
        with torch.no_grad():
            assert torch.allclose(supernet(image, model), network(image), rtol=1e-4, atol=1e-5)

    def test_random_weights_are_those_of_the_seed(self) -> None:
        one, same, other = (make(Wanted("lcnet_050", seed=s)).conv_stem.weight for s in (1, 1, 2))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_wrong_weights_are_named(self, tmp_path: Path) -> None:
        network = make(Wanted("lcnet_050"))
        file = tmp_path / "lcnet.safetensors"
        tensors = {n: t.contiguous() for n, t in network.state_dict().items()}
        save_file({**tensors, "bn1.weight": torch.ones(9)}, file)

        def refused(message: str, name: str = "lcnet_050") -> None:
            with pytest.raises(ForeignError, match=message):
                make(Wanted(name, weights=file))

        refused(r"bn1.weight is \(9,\), the network has \(8,\)")
        refused("timm has no model 'lcnet_05'", "lcnet_05")
        save_file({n: t for n, t in tensors.items() if n != "conv_stem.weight"}, file)
        refused("conv_stem.weight is missing")
        save_file({**tensors, "more": torch.ones(1)}, file)
        refused(r"more is \(1,\), the network has no such tensor")
        file.write_bytes(file.read_bytes()[:-9])
        refused("holds no tensors, or is cut short")


@pytest.mark.parametrize("name", ["space", "a b", "1st", "a-", ""])
def test_a_model_has_a_name_that_pages_can_say(name: str, tmp_path: Path) -> None:
    done = run("import", "timm:lcnet_050", "--out", str(tmp_path / "a.space"), "--name", name)
    assert done.exit_code == 2
    assert f"--name {name!r} cannot be a name" in done.output


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return print, ("pickles are run",)


def test_pickles_are_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"state_dict": {}, "args": Harmful()}, file)
    with pytest.raises(ForeignError, match="holds other objects than tensors"):
        read_tensors(file)
    assert "pickles are run" not in capsys.readouterr().out
    torch.save({"a": 1}, file)
    with pytest.raises(ForeignError, match="holds no tensors by name"):
        read_tensors(file)
    torch.save({"a": torch.tensor([float("nan")])}, file)
    with pytest.raises(ForeignError, match="a has values that are no finite numbers"):
        read_tensors(file)
