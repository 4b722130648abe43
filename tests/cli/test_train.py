"""train and eval from the command line: results, files, messages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from spacedsl.compiler.graph import WEIGHTED
from spacedsl.compiler.integer_model import Preprocess
from spacedsl.compiler.onnx_build import check
from spacedsl.compiler.onnx_fp32 import emit_fp32 as onnx_fp32
from spacedsl.compiler.parameters import Parameters
from spacedsl.compiler.plans import NetworkPlan, network_plan
from spacedsl.compiler.tflite_fp32 import emit_fp32 as tflite_fp32
from spacedsl.ir.sampling import largest
from spacedsl.ir.space import Space
from spacedsl_runtime.data.sources import open_data
from spacedsl_runtime.data.split import Unreadables
from spacedsl_runtime.elastic.recalibrate import recalibrate
from spacedsl_runtime.elastic.supernet import load_supernet
from spacedsl_runtime.train.batches import Normalise
from spacedsl_runtime.train.evaluate import Evaluation
from spacedsl_runtime.train.state import load_weights
from tests.cli.test_commands import run, run_json
from tests.report.browser import browser, check_whole, needs_browser
from tests.runtime.test_data import write_folders
from tests.runtime.training import PAGE
from tests.support import item_of


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `mini.space` and its `run` on digits."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "mini.space").write_text(PAGE)
    words = ("train", str(folder / "mini.space"), "--data", "digits", "--out", str(folder / "run"))
    options = ("--steps", "60", "--batch", "32", "--lr", "0.2", "--warmup", "0.2", "--holdout", "0")
    page = ("--html", str(folder / "report.html"))
    found = run_json(*words, *options, "--evaluate-every", "60", *page)
    assert found["steps"] == 60
    (folder / "result.json").write_text(json.dumps(found))
    return folder


def test_a_training_is_looked_at_as_a_page(trained: Path) -> None:
    """With the accuracy of every path that was evaluated, and its curves."""
    text = (trained / "report.html").read_text(encoding="utf-8")
    scores = json.loads((trained / "result.json").read_text())["subnets"]
    for name, score in scores.items():
        assert f"{name}: {score['top1']:.2%} in FP32" in text
        assert f"{name}, step 60: " in text
    assert "largest, step 10: " in text


@needs_browser
def test_the_page_is_whole_in_a_browser(trained: Path, tmp_path: Path) -> None:
    """Of the FP32 training, and of a QAT of two steps, whose losses are one point."""
    page, run_ = str(trained / "mini.space"), str(tmp_path / "run")
    shutil.copytree(trained / "run", run_)
    qat = ("--qat", "--target", "cpu", "--steps", "2", "--evaluate-every", "2", "--batch", "32")
    out = ("--out", run_, "--html", str(tmp_path / "qat.html"))
    run_json("train", page, "--data", "digits", *qat, *out)
    with browser(tmp_path / "profile") as chromium:
        for report, words in (
            (trained / "report.html", ("The supernet of mini", "Curves by path", "in FP32.")),
            (tmp_path / "qat.html", ("in INT8 for cpu", "points that quantisation took")),
        ):
            for width in (1280, 390):
                check_whole(chromium, report, width)
            text = chromium.value("document.body.textContent")
            assert [each for each in words if each not in text] == []
            assert chromium.value("document.querySelectorAll('svg .m').length") > 10


def parameters_of(network: nn.Module, plan: NetworkPlan) -> Parameters:
    """An extracted network's arrays under the names of its graph: both have one order."""
    found: list[dict[str, Any]] = []
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            weight = part.weight.detach().numpy()
            arrays = {"weight": weight.reshape(*weight.shape, *(1,) * (4 - weight.ndim))}
            if part.bias is not None:
                arrays["bias"] = part.bias.detach().numpy()
            found.append(arrays)
        elif isinstance(part, nn.BatchNorm2d):
            names = ("weight", "bias", "running_mean", "running_var")
            arrays = {n: part.state_dict()[n].numpy() for n in names}
            found[-1] |= dict(zip(("gamma", "beta", "mean", "var"), arrays.values(), strict=True))
    nodes = [node.name for node in plan.graph.nodes if node.op in WEIGHTED]
    return dict(zip(nodes, found, strict=True))


@pytest.fixture(scope="module")
def deployed(trained: Path) -> tuple[Path, float]:
    """The largest subnet as FP32 ONNX (and TFLite beside it), and its accuracy in torch."""
    space = item_of(PAGE, "mini")
    assert isinstance(space, Space)
    supernet = load_supernet(trained / "run" / "plan.json", 1, 10).eval()
    header = load_weights(trained / "run" / "checkpoint.safetensors", supernet)
    normalise = Normalise(tuple(header["mean"]), tuple(header["std"]))
    data = open_data("digits")
    evaluation = Evaluation(data, normalise, 0, torch.device("cpu"), Unreadables(0, pytest.fail))
    network = supernet.extract(supernet.largest())
    recalibrate(network, evaluation.calibration(12))
    right, _, images = evaluation.test(network, 12)
    plan = network_plan(largest(space))
    preprocess = Preprocess(mean=normalise.mean, std=normalise.std)
    parameters = parameters_of(network, plan)
    model = onnx_fp32(plan, parameters, preprocess, "a test", labels=data.labels)
    path = trained / "big.onnx"
    path.write_bytes(check(model))
    lite = tflite_fp32(plan, parameters, preprocess, "a test", labels=data.labels)
    path.with_suffix(".tflite").write_bytes(lite)
    return path, right / images


def test_train_reports_what_it_logs(trained: Path) -> None:
    found = json.loads((trained / "result.json").read_text())
    assert found["space"] == "mini"
    assert found["subnets"]["largest"]["top1"] > 0.4
    logged = json.loads((trained / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert logged["scores"] == found["subnets"]


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_eval_is_the_accuracy_that_training_measured(
    suffix: str, trained: Path, deployed: tuple[Path, float]
) -> None:
    path, expected = deployed[0].with_suffix(suffix), deployed[1]
    result = json.loads((trained / "result.json").read_text())
    assert expected == result["subnets"]["largest"]["top1"]
    found = run_json("eval", str(path), "--data", "digits")
    assert found["top1"] == pytest.approx(expected, abs=1.5 / 360)
    assert found["top1"] < found["top5"] <= 1
    assert (found["images"], found["resolution"], found["model"]) == (360, 12, "largest")
    text = run("eval", str(path), "--data", "digits")
    assert f"top-1 {found['top1']:.2%}" in text.stdout


def test_eval_refuses_what_does_not_fit(deployed: tuple[Path, float], tmp_path: Path) -> None:
    path, _ = deployed
    write_folders(tmp_path / "data")

    def refused(file: Path, data: str, code: str, message: str) -> None:
        found = run_json("eval", str(file), "--data", data, code=2)["diagnostics"][0]
        assert found["code"] == code
        assert message in found["message"]

    refused(path, f"imagefolder:{tmp_path / 'data'}", "wrong-data", "takes 1 channels")
    refused(path, f"photos:{tmp_path / 'data'}", "wrong-data", "has no labels")
    refused(path, "cifar", "bad-data", "unknown data `cifar`")
    refused(tmp_path / "none.onnx", "digits", "cannot-read", "there is no file")
    refused(tmp_path / "a.txt", "digits", "wrong-kind", "does not end in `.onnx` or `.tflite`")
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    refused(tmp_path / "a.onnx", "digits", "bad-onnx", "cannot load")
    model = onnx.load(str(path))
    kept = {p.key: p.value for p in model.metadata_props if p.key != "spacedsl.checksum"}
    del model.metadata_props[:]
    for change, code, message in (
        ({"spacedsl.labels": '["cat"]'}, "wrong-data", "tells apart cat; digits has 0, 1"),
        ({"spacedsl.preprocess": "{}"}, "no-stamp", "does not say how an image"),
        ({"spacedsl.input": '{"shape": ["N", 1, 99999, 99999]}'}, "no-stamp", "an input of"),
    ):
        onnx.helper.set_model_props(model, kept | change)
        onnx.save(model, str(tmp_path / "b.onnx"))
        refused(tmp_path / "b.onnx", "digits", code, message)
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "b.onnx"))
    refused(tmp_path / "b.onnx", "digits", "no-stamp", "does not say how an image")


def test_train_refuses_what_does_not_fit(trained: Path, tmp_path: Path) -> None:
    page, out = str(trained / "mini.space"), str(tmp_path / "run")

    def refused(code: str, message: str, *args: str) -> None:
        found = run_json("train", *args, code=2)["diagnostics"][0]
        assert found["code"] == code
        assert message in found["message"]

    common = ("--data", "digits", "--out", out)
    refused("wrong-kind", "is a hyperspace", "tiny", *common)
    refused("bad-data", "a batch is 5,000", page, *common, "--batch", "5000")
    refused("bad-option", "ema 1 is not within", page, *common, "--ema", "1")
    refused("bad-option", "both epochs and steps", page, *common, "--epochs", "1", "--steps", "1")
    refused("bad-data", "unknown data", page, "--data", "mnist", "--out", out)
    refused("cannot-write", "Not a directory", page, "--data", "digits", "--out", f"{page}/run")
    assert not Path(out).exists()
    held = ("--data", "digits", "--out", str(trained / "run"))
    refused("bad-run", "holds a run already", page, *held)
    again = ("--resume", "--steps", "60", "--batch", "32", "--warmup", "0.2", "--lr", "0.15")
    refused("bad-run", "lr is 0.2, this run's is 0.15", page, *held, *again)
