"""Convolutions that are trained as sums and deployed as one: the fold is exact, training in 8 bits
begins with it, and every file and command sees the one."""

from __future__ import annotations

import random
import re
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.flows.calibrate import with_checkpoint
from spacedsl.ir.for_data import for_data
from spacedsl.ir.reparam import counts_of, with_counts
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.passes.cost import subnet_cost
from spacedsl_runtime.checkpoint import load_checkpoint, save_checkpoint
from spacedsl_runtime.distill.quantised import QatBkdStage
from spacedsl_runtime.distill.stage import load_bkd_stage
from spacedsl_runtime.elastic.reparam import FoldedConv, ReparamConv
from spacedsl_runtime.elastic.static import folded
from spacedsl_runtime.elastic.sums import calibrate_sums, fold_sums
from spacedsl_runtime.elastic.supernet import Supernet, load_supernet
from spacedsl_runtime.elastic.weights import trained_weights
from spacedsl_runtime.errors import CheckpointError
from spacedsl_runtime.quant.modules import last_of
from spacedsl_runtime.quant.qat import QatSupernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.initial import read_initial
from spacedsl_runtime.train.quantise import fp32_settings
from spacedsl_runtime.train.recipe import qat_recipe_for
from spacedsl_runtime.train.run import CHECKPOINT
from tests.compiler.onnx_support import by_onnx_runtime
from tests.runtime.parity import VNNI, by_litert, deployed, differences
from tests.runtime.support import images, multiply_accumulates, shake
from tests.runtime.training import Stopped, digits, job, run, same, weights
from tests.support import item_of, library_model

PAGE = """language 1
block separable(kernel) {
  dwconv kernel relu strided reparam 3
  conv 1x1 relu reparam 2
}
block grouped(kernel) {
  conv kernel groups 4 strided reparam 1
  shortcut identity relu
}
space summed {
  input 1 x 8, 12
  stem { conv 3x3 relu strided reparam 1  width 8, 16  stride 2 }
  elastic stage1 { separable { kernel 3, 5 }  width 8, 16  depth 1..2  stride 2 }
  elastic stage2 { grouped { kernel 1, 3 }  width 8, 16  depth 2 }
  head { conv 1x1 -> 16 relu  pool  linear -> 10 }
}
"""
ONE = PAGE.replace("8, 12", "12").replace("8, 16", "16").replace("3, 5", "5").replace("1, 3", "3")
"""With one network."""
ONE = ONE.replace("depth 1..2", "depth 2")


def plain_text(text: str) -> str:
    """The page that says what is deployed, and not how it is trained."""
    return re.sub(r"reparam \d", "nonorm bias", text)


PLAIN, ONE_PLAIN = plain_text(PAGE), plain_text(ONE)
HALF = Normalise((0.5,), (0.5,))


def space_of(text: str = PAGE) -> Space:
    found = item_of(text, "summed")
    assert isinstance(found, Space)
    return found


def shaken(text: str = PAGE, seed: int = 0) -> Supernet:
    """In eval mode, in single precision, with norms as after a training."""
    net = load_supernet(supernet_plan(space_of(text), VNNI), seed=seed)
    shake(net)
    return net.eval()


def apart(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


def sums(kernel: int, cin: int, cout: int, stride: int) -> int:
    """Norms of a sum with one convolution of the kernel."""
    return 1 + (kernel > 1) + (cin == cout and stride == 1)


BODY = """language 1
space s {{
  input {cin} x 10
  stage1 {{ {body}  width {cout}  stride {stride} }}
  head {{ pool  linear -> 10 }}
}}
"""


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("kind", ["conv", "dwconv", "groups 4", "groups cin / 2"])
def test_every_sum_folds_exactly(kind: str, count: int) -> None:
    """In double precision. Each has the summands that the papers say."""
    for kernel, stride, (cin, cout) in product((1, 3, 5), (1, 2), ((8, 8), (8, 16))):
        op = f"dwconv {kernel}x{kernel}" if kind == "dwconv" else f"conv {kernel}x{kernel}"
        more, end = (kind if "groups" in kind else ""), ("conv 1x1" if kind == "dwconv" else "")
        body = f"{op} {more} hswish strided reparam {count}  {end}"
        space = item_of(BODY.format(cin=cin, cout=cout, stride=stride, body=body), "s")
        net = load_supernet(supernet_plan(space), seed=kernel).eval()  # type: ignore[arg-type]
        shake(net)
        subnet = net.largest()
        trained = net.extract(subnet).double()
        norms = [m for m in trained.modules() if isinstance(m, nn.BatchNorm2d)]
        kept = cin if kind == "dwconv" else cout
        wanted = count - 1 + sums(kernel, cin, kept, stride) + (kind == "dwconv")
        assert len(norms) == wanted
        x = images(3, subnet, cin).double()
        with torch.no_grad():
            expected, inside = trained(x), net.double()(x, subnet)
            one = folded(deepcopy(trained))
            assert apart(inside, expected) < 1e-12
            assert apart(one(x), expected) < 1e-12
        assert sum(isinstance(m, nn.BatchNorm2d) for m in one.modules()) == (kind == "dwconv")
        assert multiply_accumulates(one, x) == subnet_cost(subnet).flops


def test_slices_of_a_supernet_fold_exactly() -> None:
    net, rng = shaken(), random.Random(0)
    twice = deepcopy(net).double()
    drawn = [net.largest(), net.smallest(), *(net.sample(rng) for _ in range(12))]
    for subnet in drawn:
        x = images(2, subnet, 1).double()
        with torch.no_grad():
            expected = twice(x, subnet)
            assert apart(folded(net.extract(subnet).double())(x), expected) < 1e-12


def test_training_in_8_bits_begins_with_the_same_function() -> None:
    """Of the largest network to the last digits, whatever statistics its norms are given; in a
    batch's own statistics too, which is what training computes."""
    net = shaken(PAGE.replace("16 relu  pool", "16 relu reparam 1  pool"))
    largest = net.largest()
    x = images(32, largest, 1)
    calibrate_sums(net, lambda _: [x])
    twice = deepcopy(net).double()
    fold_sums(twice)
    assert not any(isinstance(m, ReparamConv) for m in twice.modules())
    with torch.no_grad():
        expected = deepcopy(net).double()(x.double(), largest)
        assert apart(twice(x.double(), largest), expected) < 1e-12
    qat = QatSupernet(net)
    chosen = qat.covering(random.Random(0))
    qat.start(chosen, [images(32, s, 1) if s != largest else x for s in chosen])
    with torch.no_grad():
        made = qat.run_graph(qat.graph(largest), x, ranges={})
        assert apart(last_of(qat.graph(largest), made).flatten(1), expected.float()) < 1e-4
        assert apart(qat.supernet(x, largest), expected.float()) < 1e-5


def test_filters_are_as_large_as_each_other_for_the_one_scale_of_their_weight() -> None:
    net = shaken()
    fold_sums(net)
    for module in net.modules():
        if isinstance(module, FoldedConv):
            rms = module.whole(0).detach().square().mean((1, 2, 3)).sqrt()
            assert float(rms.max() / rms.min()) < 3


def test_extracted_and_recalibrated_networks_are_slices_of_the_fold() -> None:
    qat = QatSupernet(shaken())
    rng = random.Random(1)
    drawn = [qat.supernet.largest(), *(qat.supernet.sample(rng) for _ in range(4))]
    qat.start(drawn, [images(8, s, 1) for s in drawn])
    qat.eval()
    for subnet in drawn:
        x = images(4, subnet, 1)
        with torch.no_grad():
            assert torch.equal(qat.extract(subnet)(x), qat(x, subnet))


def test_a_distilled_stage_is_folded_too() -> None:
    hyper = PAGE.replace("space summed", "hyperspace summed")
    found = item_of(hyper, "summed")
    assert isinstance(found, Space)
    plan = next(p for p in bkd_plans(found, VNNI) if "separable" in p.name)
    stage = load_bkd_stage(plan, 6, 12)
    shake(stage)
    stage.eval()
    largest, x = stage.largest(), torch.randn(16, 6, 6, 6)
    calibrate_sums(stage, lambda _: [x])
    with torch.no_grad():
        expected = stage(x, largest)
    qat = QatBkdStage(stage)
    qat.start([largest], [x])
    with torch.no_grad():
        assert apart(qat.supernet(x, largest), expected) < 1e-5
        assert apart(qat.eval()(x, largest), expected) < 0.2


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("summed")
    run(job(folder, plan=supernet_plan(space_of(ONE)), steps=6))
    return folder


def qat_job(fp32: Path, folder: Path, text: str = ONE) -> Any:
    recipe = qat_recipe_for(digits(), fp32_settings(fp32), steps=3, batch=16)
    plan = supernet_plan(space_of(text), VNNI)
    return job(folder, plan=plan, recipe=recipe, fp32=fp32, save_every=2, evaluate_every=3)


@pytest.mark.slow
def test_from_training_to_files(fp32: Path, tmp_path: Path) -> None:
    """FP32, 8 bits, both runtimes: the same integers. A resumed training is the same one."""
    run(qat_job(fp32, tmp_path / "a"))
    with pytest.raises(Stopped):
        run(qat_job(fp32, tmp_path / "b"), stop=2)
    run(qat_job(fp32, tmp_path / "b"), resume=True)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    qat = QatSupernet(load_supernet(supernet_plan(space_of(ONE), VNNI), 1, 10))
    load_checkpoint(tmp_path / "a" / CHECKPOINT, qat)
    subnet = qat.supernet.largest()
    pair = deployed(qat.eval().extract(subnet), subnet, tmp_path)
    for runtime in (by_onnx_runtime, by_litert):
        for name, off in differences(pair, images(4, subnet, 1), runtime):
            assert off.max() <= 1, name
            assert off.sum() <= 1e-3 * off.size, name


def test_a_checkpoint_is_loaded_by_the_page_that_trained_it(fp32: Path) -> None:
    text = "has a convolution that was trained with `reparam 1`; summed trains it without `reparam`"
    plain = load_supernet(supernet_plan(space_of(ONE_PLAIN)), 1, 10)
    with pytest.raises(CheckpointError, match=text):
        load_checkpoint(fp32 / CHECKPOINT, plain)
    with pytest.raises(CheckpointError, match="trains it without `reparam`"):
        run(qat_job(fp32, fp32 / "qat", ONE_PLAIN))


def test_a_file_is_made_whichever_page_names_the_network(fp32: Path) -> None:
    """FP32 weights of sums, by the page that says how they are trained and by one that does not."""
    arrays = []
    for text in (ONE, ONE_PLAIN):
        space = space_of(text)
        subnet = supernet_plan(space).largest()
        found = with_checkpoint(
            subnet.model_copy(update={"name": "m", "of": space}), fp32 / CHECKPOINT, None
        )
        x = images(4, subnet, 1)
        arrays.append((found.net.parameters, found.fp32(x.numpy())))
    (mine, logits), (other, same_logits) = arrays
    assert np.array_equal(logits, same_logits)
    for name, parameters in mine.items():
        assert parameters.keys() == other[name].keys()
        assert all(np.array_equal(parameters[key], other[name][key]) for key in parameters)


def test_a_training_begins_with_one_convolution_or_with_a_sum(fp32: Path, tmp_path: Path) -> None:
    """`train --init`: a sum from the same sum keeps its summands, a sum from one convolution and
    one convolution from a sum compute the same."""
    plain = shaken(PLAIN, seed=4)
    for bias in (p for n, p in plain.named_parameters() if n.endswith("bias")):
        bias.data.uniform_(-0.2, 0.2)
    save_checkpoint(tmp_path / "plain", plain)
    summed = shaken(seed=5)
    save_checkpoint(tmp_path / "summed", summed)
    x = images(16, plain.largest(), 1)
    for name, source, texts in (("plain", plain, [PAGE]), ("summed", summed, [PAGE, PLAIN])):
        for text in texts:
            net = load_supernet(supernet_plan(space_of(text)), seed=1).eval()
            read_initial(tmp_path / name, net.plan, HALF).write(net, lambda _: [x])
            with torch.no_grad():
                expected = source(x, source.largest())
                assert apart(net(x, net.largest()), expected) < 1e-5
            if name == "summed" and text == PAGE:
                for (_, a), (_, b) in zip(
                    *(trained_weights(n, n.program(n.largest())) for n in (net, source)),
                    strict=True,
                ):
                    assert a.keys() == b.keys()
                    assert all(torch.equal(a[key], b[key]) for key in a)


def test_counts_are_read_and_written() -> None:
    space, plain = space_of(), space_of(PLAIN)
    assert counts_of(plain) == ()
    assert [n for n in counts_of(space) if n] == [1, 3, 2, 1]
    assert with_counts(space, ()) == plain
    assert with_counts(plain, counts_of(space)) == space
    assert with_counts(space, (1,)) == space


@pytest.mark.parametrize(
    ("name", "trained"),
    [("repvgg-a0", 9_108_968), ("mobileone-s0", 5_293_272), ("mobileone-s1", 4_825_192)],
)
def test_networks_of_papers_are_trained_with_their_parameters(name: str, trained: int) -> None:
    model = library_model(f"baselines/{name}")
    net = load_supernet(supernet_plan(alone(model)))
    assert sum(p.numel() for p in net.parameters()) == trained
    assert subnet_cost(model).weights < trained


def alone(model: Subnet) -> Space:
    """The space of one network of a space of full depth and width."""
    space = for_data(model.of, 3, 1000)
    stages = tuple(
        stage.model_copy(
            update={
                "widths": (blocks.blocks[0].width,) if stage.widths else (),
                "window": min(stage.window, 1),
                "depths": (len(blocks.blocks),),
            }
        )
        for stage, blocks in zip(space.stages, model.stages, strict=True)
    )
    return space.model_copy(update={"stages": stages, "resolutions": space.resolutions[:1]})
