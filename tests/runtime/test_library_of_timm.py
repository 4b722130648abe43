"""Networks of the library that timm has too: the same weights give the same outputs, and both count
the same multiply-accumulates."""

from __future__ import annotations

import pytest
import torch

from spacedsl.operators.size import pair
from spacedsl.passes.cost import subnet_cost
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.foreign.read import write_steps
from spacedsl_runtime.foreign.timm_models import Wanted, make, operations
from spacedsl_runtime.foreign.trace import steps_of_network
from tests.runtime.support import multiply_accumulates
from tests.runtime.test_foreign import scattered
from tests.support import library_model
from tests.with_timm import needs_timm

pytestmark = needs_timm


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("baselines/mobilenetv4-conv-s", "mobilenetv4_conv_small"),
        ("baselines/mobilenetv4-conv-m", "mobilenetv4_conv_medium"),
        ("baselines/efficientnet-lite0", "efficientnet_lite0"),
        ("baselines/fbnetv3-b", "fbnetv3_b"),
        ("baselines/repvgg-a0", "repvgg_a0"),
        ("baselines/mobileone-s0", "mobileone_s0"),
        ("models/regnetx-400mf", "regnetx_004"),
        ("baselines/regnety-400mf", "regnety_004"),
    ],
)
def test_outputs_are_those_of_timm(name: str, theirs: str) -> None:
    model = library_model(name)
    model = model.model_copy(update={"resolution": model.of.resolutions[0]})
    network = scattered(make(Wanted(theirs)))
    image = torch.randn(1, 3, *pair(model.resolution))
    assert subnet_cost(model).flops == multiply_accumulates(network, image)
    supernet = load_supernet(model.of).eval()
    write_steps(supernet, model, steps_of_network(network, image, *operations()))
    with torch.no_grad():
        expected = network.double()(image.double())
        found = supernet.double()(image.double(), model)
    assert float((found - expected).abs().max()) <= 1e-6 * float(expected.abs().max())
