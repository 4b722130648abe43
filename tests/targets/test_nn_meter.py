"""nn-Meter: our model in its form, its predictors as targets, and what it would count as 0 ms."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from spacedsl import api
from spacedsl.analysis.cases import AnalysisPart, cases_of
from spacedsl.compiler.export import fp32_onnx, seeded
from spacedsl.passes.kernels import Kernel
from spacedsl.search.protocols import Coverage
from spacedsl.targets import nn_meter_export
from spacedsl.targets.attribution import kernel_owners
from spacedsl.targets.features import work_of
from spacedsl.targets.kernel_model import KernelModel, NetSample, fit_kernels
from spacedsl.targets.nn_meter import ALLOWED, NnMeterLatency
from spacedsl.targets.nn_meter_words import PREDICTORS, features, unit
from tests.cli.test_commands import run
from tests.support import library_model

REQUIRE = "SPACEDSL_REQUIRE_NN_METER" in os.environ
"""Set where nn-Meter must be installed: what needs it then fails instead of skipping."""

needs_nn_meter = pytest.mark.skipif(
    importlib.util.find_spec("nn_meter") is None and not REQUIRE,
    reason="the extra `nn-meter` is not installed",
)

NAME = "spacedsl-made-up"
PAGE = f"""language 1

target phone {{
  device "a phone by nn-Meter"
  runtime "litert"
  latency "nn-meter:{NAME}"
  limits 1ms, 2ms
}}
"""


@pytest.fixture(scope="module")
def model() -> KernelModel:
    """Of a made-up device, fitted to networks of tiny: relu6 and hswish, SE, sums."""
    found = []
    for subnet in api.sample(api.load_space("tiny"), 30, seed=3):
        names = kernel_owners(subnet)[0]
        ms = np.array([0.004 + 2e-6 * work_of(k)[0] ** 0.8 for k in names])
        found.append(NetSample(names, ms, np.ones(len(ms), np.int64), float(ms.sum())))
    return fit_kernels(found)


@pytest.fixture(scope="module")
def folder(model: KernelModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That model in nn-Meter's form."""
    out = tmp_path_factory.mktemp("nn-meter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn_meter_export, "SAMPLES", 1000)
        patch.setattr(nn_meter_export, "TREES", 20)
        nn_meter_export.export_predictor(model, NAME, out)
    return out


def kernels_of(name: str) -> tuple[Kernel, ...]:
    return kernel_owners(library_model(name))[0]


def test_the_folder_is_what_nn_meter_reads(
    model: KernelModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn_meter_export, "SAMPLES", 300)
    monkeypatch.setattr(nn_meter_export, "TREES", 5)
    export_predictor = nn_meter_export.export_predictor
    exported = export_predictor(model, NAME, tmp_path)
    names = {path.stem for path in tmp_path.glob("*.pkl")}
    assert names == set(exported.errors) <= set(PREDICTORS.values())
    assert names >= {"conv-bn-relu", "dwconv-bn-relu", "fc", "global-avgpool", "add"}
    assert max(exported.errors.values()) < 0.2
    rules = json.loads((tmp_path / "fusion_rules.json").read_text())
    assert rules["BF_conv_relu"]["obey"] is True
    meta = (tmp_path / "predictor.yaml").read_text()
    assert f'name: "{NAME}"' in meta
    assert f'package_location: "{tmp_path}"' in meta
    again = tmp_path / "again"
    export_predictor(model, NAME, again)
    assert {p.name: p.read_bytes() for p in again.glob("*.pkl")} == {
        p.name: p.read_bytes() for p in tmp_path.glob("*.pkl")
    }


def test_forests_say_what_our_model_says(model: KernelModel, folder: Path) -> None:
    total, ours = 0.0, 0.0
    for kernel in kernels_of("models/tiny-a0"):
        if kernel.kind in PREDICTORS:
            data = (folder / f"{PREDICTORS[kernel.kind]}.pkl").read_bytes()
            (ms,) = pickle.loads(data).predict([features(kernel)])
            total, ours = total + ms, ours + float(model.predict([kernel])[0][0])
    assert total == pytest.approx(ours, rel=0.1)


class Constant:
    """A predictor of nn-Meter's that says 2 ms for everything."""

    def predict(self, asked: Sequence[Sequence[float]]) -> list[float]:
        return [2.0] * len(asked)


def test_what_nn_meter_would_count_as_nothing_is_uncovered() -> None:
    """It has no word for swish (fused), and this predictor no SE (mbv3)."""
    kinds = {name: Constant() for name in PREDICTORS.values() if name != "se"}
    latency = NnMeterLatency("fake", kinds, "")
    sites = {case.name: case.site for case in cases_of(AnalysisPart.blocks)}
    found = latency.predict(list(sites.values()))
    covered = {n for n, c in zip(sites, found.coverage, strict=True) if c == Coverage.ESTIMATED}
    assert covered == {"mbv1-dual", "mbv2", "bottleneck"}
    assert np.isnan(found.ms).tolist() == [name not in covered for name in sites]
    assert found.ms[list(sites).index("mbv2")] == 2.0 * 4, "two conv1x1, dwconv, sum"


def test_nothing_is_unpickled_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALLOWED, raising=False)
    page = tmp_path / "phone.space"
    page.write_text(PAGE)
    assert run("check", str(page)).exit_code == 0
    result = run("show", "tiny-a0", "--target", str(page))
    assert result.exit_code == 2
    assert "error[pickle-refused]" in result.stderr
    assert ALLOWED in result.stderr
    missing = run("target", "export", "cpu")
    assert missing.exit_code == 2
    assert "error[missing-option]" in missing.stderr


REAL = """
import json, sys
import nn_meter
from nn_meter.predictor.prediction.extract_feature import get_predict_features
from nn_meter.utils.nn_meter_cli.registry import register_predictor
from nn_meter.predictor.prediction.predict_by_kernel import nn_predict
nn_meter.list_latency_predictors()
register_predictor(sys.argv[1] + "/predictor.yaml")
found = nn_meter.load_latency_predictor(sys.argv[2])
units = json.loads(sys.argv[3])
said = [list(f.values())[0] for f in get_predict_features(units).values()]
total_ms = float(nn_predict(found.kernel_predictors, units))
print("RESULT", json.dumps([total_ms, said, float(found.predict(sys.argv[4], "onnx"))]))
"""


@needs_nn_meter
def test_nn_meter_reads_it_and_is_asked_as_a_target(folder: Path, tmp_path: Path) -> None:
    """For real, in processes whose home holds nn-Meter's registry."""
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    asked = kernels_of("baselines/mobilenetv2-w1")
    onnx = tmp_path / "mobilenetv2.onnx"
    net = seeded(library_model("baselines/mobilenetv2-w1"), 0)
    onnx.write_bytes(fp32_onnx(net))
    words = [sys.executable, "-W", "ignore", "-c", REAL, str(folder), NAME]
    done = subprocess.run(
        [*words, json.dumps([unit(k) for k in asked]), str(onnx)],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(x for x in done.stdout.splitlines() if x.startswith("RESULT "))
    total_ms, said, of_file_ms = json.loads(line.removeprefix("RESULT "))
    assert of_file_ms == pytest.approx(total_ms, rel=0.01), "it finds our kernels in our FP32 file"
    assert said == [pytest.approx(list(features(k))) for k in asked]

    (tmp_path / "phone.space").write_text(PAGE)

    def show(model: str) -> subprocess.CompletedProcess[str]:
        words = ["show", model, "--target", "phone.space", "--format", "json"]
        return subprocess.run(
            [sys.executable, "-m", "spacedsl", *words],
            env=env | {ALLOWED: "1"}, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    found = show("mobilenetv2-w1")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["latency"]["total_ms"] == pytest.approx(total_ms)
    assert "warning: unpickling" in found.stderr
    swish = show("tiny-a0")
    assert swish.returncode == 2
    assert json.loads(swish.stdout)["diagnostics"][0]["code"] == "uncovered"


@needs_nn_meter
def test_predictors_that_are_not_here_are_not_downloaded(tmp_path: Path) -> None:
    page = PAGE.replace(NAME, "cortexA76cpu_tflite21")
    (tmp_path / "phone.space").write_text(page)
    env = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), ALLOWED: "1"}
    done = subprocess.run(
        [sys.executable, "-m", "spacedsl", "show", "tiny-a0", "--target", "phone.space"],
        env={**os.environ, **env}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "error[cannot-read]" in done.stderr
    assert "nothing is downloaded here" in done.stderr
    (tmp_path / "phone.space").write_text(PAGE.replace(NAME, "no-such"))
    unknown = subprocess.run(
        [sys.executable, "-m", "spacedsl", "show", "tiny-a0", "--target", "phone.space"],
        env={**os.environ, **env}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "error[unknown-target]" in unknown.stderr
    assert "myriadvpu_openvino2019r2" in unknown.stderr
