"""Plans, subnets and checkpoints that are not what they should be: one clear error each."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import spacedsl_runtime
from spacedsl.api import load_target
from spacedsl.compiler.subnets import subnet_json
from spacedsl.compiler.supernet import bkd_plans, supernet_plan
from spacedsl.compiler.supernet_file import json_text
from spacedsl.json_files import sealed_text
from spacedsl.lang.library import library
from spacedsl_runtime.checkpoint import (
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
    write_checkpoint,
)
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.errors import CheckpointError, PlanError, SubnetError
from spacedsl_runtime.plan import read_plan, read_subnet
from spacedsl_runtime.quant.fake import ActivationQuantiser
from spacedsl_runtime.quant.qat import QatSupernet
from tests.runtime.support import (
    bkd_plans_of,
    images,
    plan_json,
    plan_of,
    started,
    supernet_of,
    target_plan,
)
from tests.support import library_space

TINY = plan_json(library_space("tiny-a"))
QAT_PLAN = plan_json(library_space("tiny-a"), load_target("vnni"))


def changed(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(TINY) | fields


def in_stage(**fields: Any) -> dict[str, Any]:
    data = copy.deepcopy(TINY)
    data["stages"][2] |= fields
    return data


def in_op(**fields: Any) -> dict[str, Any]:
    data = copy.deepcopy(TINY)
    data["stages"][2]["first"]["ops"][0] |= fields
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(version=1), "version 2; it is format 'spacedsl-plan', version 1"),
        (changed(format="x"), "reads format 'spacedsl-plan'"),
        (changed(kind="bkd"), "disagrees with its page: it has no tiny-a"),
        (changed(extra=1), "extra: Extra inputs are not permitted"),
        (changed(resolutions="32"), "resolutions: Input should be a valid tuple"),
        (changed(resolutions=[32]), r"resolutions\[0\] is 32, the page says 24"),
        (changed(channels=True), "channels is true, the page says 3"),
        (changed(classes=11), "classes is 11, the page says 10"),
        (changed(name="other"), "it has no other"),
        (changed(hash="0" * 64), "its page has the hash .*, not 0000000000000000"),
        (changed(page=TINY["page"].replace("kernel 3, 5", "kernel 3, 7", 1)), "has the hash"),
        (changed(page=TINY["page"][:-3]), "the page ends too early"),
        (changed(page=TINY["page"].replace("linear", "liner")), "liner"),
        (in_stage(depths=[1]), r"stages\[2\].depths\[1\] is null, the page says 2"),
        (in_stage(window=5), r"stages\[2\].window is 5, the page says 2"),
        (in_stage(rest=None), r"stages\[2\].rest is null, the page says"),
        (in_op(op="exec"), r"first.ops\[0\].op is \"exec\", the page says \"conv\""),
        (in_op(slot="conv9"), r"first.ops\[0\].slot is \"conv9\", the page says \"conv0\""),
        (in_op(max_cout=17), r"first.ops\[0\].max_cout is 17, the page says 16"),
        (in_op(more=1), r"`stages\[2\].first.ops\[0\].more` is unknown"),
    ],
)
def test_bad_plans(data: dict[str, Any], message: str) -> None:
    """What a plan lists is never another plan than its page's."""
    with pytest.raises(PlanError, match=message):
        read_plan(data)


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    for text, message in (
        (json.dumps(TINY)[:-40], "no JSON, or cut short"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "no JSON"),
    ):
        path.write_text(text)
        with pytest.raises(PlanError, match=message):
            load_supernet(path)
    with pytest.raises(PlanError, match=r"cannot read .*: No such file"):
        load_supernet(tmp_path / "none.json")


def test_subnets_go_round_and_strangers_do_not(tmp_path: Path) -> None:
    plan = plan_of("tiny-a")
    subnet = supernet_of("tiny-a").largest()
    data = subnet_json(subnet, plan)
    path = tmp_path / "s.json"
    path.write_text(sealed_text(json.dumps(data)))
    assert read_subnet(path, plan) == subnet
    with pytest.raises(SubnetError, match=f"of space 00, the plan tiny-a is {plan.hash[:16]}$"):
        read_subnet(data | {"space": "00"}, plan)
    with pytest.raises(SubnetError, match=r"version 1; it is .* version 9"):
        read_subnet(data | {"version": 9}, plan)
    for change, message in (
        ({"width": 9}, "stage1: width 9 is not one of 8, 16"),
        ({"settings": {"kernel": 7, "expand": 1}}, "stage1: kernel 7 is not one of 3, 5"),
        ({"settings": {"kernel": 3}}, "stage1: settings"),
    ):
        wrong = copy.deepcopy(data)
        wrong["stages"][2]["blocks"][0] |= change
        with pytest.raises(SubnetError, match=message):
            read_subnet(wrong, plan)
    deep = copy.deepcopy(data)
    deep["stages"][2]["blocks"] *= 2
    with pytest.raises(SubnetError, match="stage1: depth 4 is not one of 1, 2"):
        read_subnet(deep, plan)


def test_plans_load_from_whatever_holds_them(tmp_path: Path) -> None:
    """A plan, its space, its page by path and by name, its file and what is in it."""
    space = library_space("tiny-a")
    path, page = tmp_path / "plan.json", tmp_path / "own.space"
    path.write_text(sealed_text(json_text(TINY)))
    page.write_text(TINY["page"])
    for source in (supernet_plan(space), space, TINY, path, str(path), page, "tiny-a"):
        assert load_supernet(source).plan == plan_of("tiny-a").for_data(3, 10)
    with pytest.raises(PlanError, match="several block types"):
        load_supernet("tiny")
    with pytest.raises(PlanError, match="neither a file nor a page"):
        load_supernet("tiny-z")
    stage = next(bkd_plans(library_space("tiny")))
    assert spacedsl_runtime.load_bkd_stage(stage, 4, 4).plan.kind == "bkd"
    with pytest.raises(PlanError, match="kind 'bkd' where 'supernet' is needed"):
        load_supernet(stage)
    assert load_target(library() / "targets" / "vnni.space") == load_target("vnni")


def test_checkpoints_go_round(tmp_path: Path) -> None:
    path, supernet = tmp_path / "c.safetensors", supernet_of("tiny-a")
    save_checkpoint(path, supernet, {"epoch": 3, "rng": torch.get_rng_state()})
    fresh = load_supernet(plan_of("tiny-a"), seed=5).eval()
    assert load_checkpoint(path, fresh)["epoch"] == 3
    subnet = supernet.smallest()
    x = images(2, subnet)
    assert torch.equal(fresh(x, subnet), supernet(x, subnet))
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_checkpoints_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, supernet_of("tiny-a"))
    other = load_supernet(replace(plan_of("tiny-a"), hash="00", name="other"))
    both = f"is of tiny-a, hash {TINY['hash'][:16]}; .* of other, hash 00"
    with pytest.raises(CheckpointError, match=both):
        load_checkpoint(path, other)
    with pytest.raises(CheckpointError, match=r"classes 10; the model is of tiny-a, classes 3"):
        load_checkpoint(path, load_supernet(TINY, classes=3))
    stage = spacedsl_runtime.load_bkd_stage(bkd_plans_of("tiny")[0], 4, 4)
    with pytest.raises(CheckpointError, match="kind supernet"):
        load_checkpoint(path, stage)


def test_damaged_checkpoints_are_one_error(tmp_path: Path) -> None:
    path, supernet = tmp_path / "c.safetensors", load_supernet(TINY)
    before = {k: v.clone() for k, v in supernet.state_dict().items()}
    save_checkpoint(path, supernet_of("tiny-a"))
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"hello", whole[:100]):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="no checkpoint, or cut short"):
            load_checkpoint(path, supernet)
    path.write_bytes(whole.replace(b'\\"version\\": 3', b'\\"version\\": 4'))
    with pytest.raises(CheckpointError, match="version 4; this runtime reads"):
        load_checkpoint(path, supernet)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="no checkpoint of spacedsl"):
        load_checkpoint(path, supernet)
    with pytest.raises(CheckpointError, match="cannot read"):
        load_checkpoint(tmp_path / "none", supernet)
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(tmp_path / "no" / "c.safetensors", supernet)
    assert all(torch.equal(before[k], v) for k, v in supernet.state_dict().items())


def test_pickles_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    torch.save({"format": Path("x")}, path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(path, load_supernet(TINY))


def test_what_goes_with_weights_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    with pytest.raises(CheckpointError, match="no plain JSON"):
        save_checkpoint(path, supernet_of("tiny-a"), {"path": path})
    assert not path.exists()


def test_reading_plans_and_sampling_need_no_torch() -> None:
    code = (
        "import sys, spacedsl.passes.program, spacedsl.compiler.subnets;"
        "from spacedsl_runtime import read_plan; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_qat_checkpoints_go_round(tmp_path: Path) -> None:
    """Quantisers come back with the file: the model that loads it was never started."""
    path, qat = tmp_path / "q.safetensors", started(QAT_PLAN)
    save_checkpoint(path, qat, {"step": 7})
    fresh = QatSupernet(load_supernet(QAT_PLAN, seed=5)).eval()
    assert load_checkpoint(path, fresh) == {"step": 7}
    for subnet in (qat.supernet.smallest(), qat.supernet.largest()):
        x = images(2, subnet)
        assert torch.equal(fresh(x, subnet), qat(x, subnet))
    again = started(QAT_PLAN, seed=3)
    load_checkpoint(path, again)
    assert again.state_dict().keys() == qat.state_dict().keys()
    relu6 = next(q for key, q in fresh.edges.items() if key.endswith("-relu6"))
    assert isinstance(relu6, ActivationQuantiser)
    assert (relu6.fixed, relu6.ceiling) == (True, 6 / 255)


def test_qat_checkpoints_of_others_are_refused(tmp_path: Path) -> None:
    path, qat = tmp_path / "q.safetensors", started(QAT_PLAN)
    save_checkpoint(path, qat)
    plain = tmp_path / "c.safetensors"
    save_checkpoint(plain, qat.supernet)
    load_checkpoint(plain, load_supernet(TINY))  # FP32 weights know no target
    with pytest.raises(CheckpointError, match=r"kind supernet; .* kind qat: load the weights into"):
        load_checkpoint(plain, QatSupernet(load_supernet(QAT_PLAN)))
    with pytest.raises(CheckpointError, match="kind qat; the model is of tiny-a, kind supernet"):
        load_checkpoint(path, load_supernet(QAT_PLAN))
    before = {k: v.clone() for k, v in qat.state_dict().items()}
    renamed = replace(target_plan("tiny-a"), hash="00", name="other")
    with pytest.raises(CheckpointError, match=f"hash {TINY['hash'][:16]}; .* of other, hash 00"):
        load_checkpoint(path, QatSupernet(load_supernet(renamed)))
    rules = copy.deepcopy(QAT_PLAN["rules"]) | {"target": "phone", "runtime": "litert"}
    same = QAT_PLAN | {"rules": rules}
    load_checkpoint(path, QatSupernet(load_supernet(same)))  # the same 8-bit tensors
    swish = [a if a[0] != "swish" else ["swish", "gated-product"] for a in rules["acts"]]
    other = QAT_PLAN | {"rules": rules | {"acts": swish}}
    both = r"for vnni \(onnxruntime\), acts .*table-product.*for phone \(litert\), acts .*gated-pro"
    with pytest.raises(CheckpointError, match=both):
        load_checkpoint(path, QatSupernet(load_supernet(other)))
    assert all(torch.equal(before[k], v) for k, v in qat.state_dict().items())


def test_damaged_qat_checkpoints_are_one_error(tmp_path: Path) -> None:
    path, qat = tmp_path / "q.safetensors", started(QAT_PLAN)
    save_checkpoint(path, qat)
    whole = path.read_bytes()
    before = {k: v.clone() for k, v in qat.state_dict().items()}
    for data in (whole[: len(whole) // 2], whole[:-10], b""):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="no checkpoint, or cut short"):
            load_checkpoint(path, qat)
    path.write_bytes(whole)
    header, stored = read_checkpoint(path)
    key = next(k for k in stored if k.startswith("model.edges.") and k.endswith("scale"))
    for change, message in (
        ({"model.edges.pop.scale": torch.ones(())}, "'pop' is no key of a quantiser"),
        ({key: torch.ones(3)}, r"is \(3,\), the model has \(\)"),
        ({"model.supernet.more": torch.ones(1)}, "the model has None"),
    ):
        write_checkpoint(path, qat, stored | change, header)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(path, qat)
    write_checkpoint(path, qat, {}, header)
    with pytest.raises(CheckpointError, match="is None, the model has"):
        load_checkpoint(path, qat)
    assert all(torch.equal(before[k], v) for k, v in qat.state_dict().items())
