"""Rules that a target's page leaves out: what is emitted then, and that it means the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacedsl import api
from spacedsl.compiler.export import integer_model, seeded
from spacedsl.diagnostics import SpaceError
from spacedsl.ir.sampling import smallest
from spacedsl.ir.target import Anchor, Target
from spacedsl.lang.targets import write_target
from spacedsl.runtimes.machine import this_machine
from spacedsl.runtimes.table import ONNXRUNTIME, rules_of
from tests.compiler.onnx_support import optimised_ops, step_differences
from tests.support import library_space, page_of

CPU = api.load_target("cpu")


def with_rules(*names: str) -> Target:
    return CPU.model_copy(update={"rules": names})


def test_the_librarys_target_has_every_rule() -> None:
    assert rules_of(CPU) == ONNXRUNTIME.rules
    assert rules_of(CPU.model_copy(update={"rules": None})) == ONNXRUNTIME.rules


def test_without_its_rewrite_hswish_is_the_runtimes_own(tmp_path: Path) -> None:
    rules = rules_of(with_rules("folded-stem"))
    assert rules.rewrite("hswish") == "float"
    model = smallest(library_space("baselines/mobilenetv3"), 128)
    net = seeded(model.model_copy(update={"resolution": 32}), 0)
    plain, rewritten = integer_model(net, rules), integer_model(net)
    ops = optimised_ops(plain, tmp_path)
    # ONNX Runtime expands HardSwish into these two
    assert ops["HardSigmoid"] == ops["Mul"] == sum(node.op == "hswish" for node in plain.nodes) > 0
    assert optimised_ops(rewritten, tmp_path)["HardSigmoid"] == 0
    worst = {name: int(off.max()) for name, off in step_differences(plain, net.images)}
    assert max(worst.values()) <= 1 or not this_machine().x86


def test_without_folding_the_stem_reads_the_image() -> None:
    assert rules_of(with_rules("saturating-hswish")).stem == "plain"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rules": ("fast-math",)}, "onnxruntime has no rule `fast-math`"),
        ({"runtime": "tensorrt"}, "unknown runtime `tensorrt`"),
        ({"types": "s8s8"}, "onnxruntime has no data types `s8s8`"),
        ({"runtime": "", "device": "a toaster"}, "names no runtime"),
    ],
)
def test_what_a_runtime_does_not_have_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        rules_of(CPU.model_copy(update=changes))


@pytest.mark.parametrize("name", ["cpu", "litert", "vnni", "pixel4"])
def test_a_written_target_reads_as_itself(name: str) -> None:
    found = api.load_target(name)
    text = write_target(found)
    assert page_of(text).get(name) == found
    assert write_target(page_of(text).get(name)) == text  # type: ignore[arg-type]


def test_a_page_says_all_keys() -> None:
    text = (
        'language 1\n\ntarget t {\n  device "d"\n  runtime "onnxruntime" "1.32"\n  threads 2\n'
        "  types u8s8\n  rules folded-stem\n  latency profile\n  limits 1ms, 500us\n"
        "  anchor tiny-a0 2ms\n}\n"
    )
    assert page_of(text).get("t") == Target(
        name="t",
        device="d",
        runtime="onnxruntime",
        version="1.32",
        threads=2,
        rules=("folded-stem",),
        latency="profile",
        measured=True,
        limits_ms=(0.5, 1.0),
        anchor=Anchor(model="tiny-a0", ms=2.0),
    )
