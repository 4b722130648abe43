"""INT8 against FP32, and against ONNX Runtime's own `quantize_static` of the same FP32 network.

    python benchmarks/lowering.py [--models seqnet-vnni-a0 ...] [--seconds 20] [--clock wall]
    python benchmarks/lowering.py --runtime litert
    python benchmarks/lowering.py --runtime all

On LiteRT the third is the same network's INT8 file on ONNX Runtime. With `all`, our files on all
three runtimes, FP32 and `quantize_static` on ONNX Runtime, and on OpenVINO what its own quantiser
makes of the FP32 network (NNCF, if that is installed). All run interleaved, one
thread, batch 1 (see spacedsl/hosts/measure.py). `--clock cpu` counts the thread's own processor
time, which other processes disturb less than the wall's; ratios of the two clocks agree on an idle
machine. Weights are random, which speed does not depend on."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl import api
from spacedsl.compiler.export import (
    Seeded,
    fp32_onnx,
    fp32_tflite,
    int8_onnx,
    int8_tflite,
    integer_model,
    integer_onnx,
    seeded,
)
from spacedsl.compiler.stamp import IMAGE
from spacedsl.hosts.host import HERE
from spacedsl.hosts.measure import Estimate, Run, by, interleave
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import library
from spacedsl.runtimes.machine import this_machine
from spacedsl.runtimes.openvino import core
from spacedsl.runtimes.table import BUILT_IN

HAND_MADE = (
    "mobilenetv2-w1", "mobilenetv3-large-w1", "resnet-50", "efficientnetv2-s", "attentivenas-a0",
    "mobilenetv3", "proxylessnas",
    "mobilenetv4-conv-s", "mobilenetv4-conv-m", "regnetx-400mf", "regnety-400mf", "shufflenetv2-x1",
    "ghostnet-w1", "mobileone-s0", "mobileone-s1", "repvgg-a0", "efficientnet-lite0",
    "efficientnet-lite1", "efficientnet-lite2", "fbnetv3-b", "cspdarknet53", "c2f-n",
    "densenet-121", "mcunet-in1", "mcunet-in2", "ds-cnn-s",
)  # fmt: skip
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}


def published() -> list[str]:
    """The models of the paper."""
    return sorted(p.stem for p in (library() / "models").glob("seqnet-*.space"))


def static_onnx(net: Seeded, fp32: bytes) -> bytes:
    """The same network through `quantize_static`: QDQ, uint8 activations, int8 weights per channel,
    calibrated on the same images."""
    from onnxruntime import quantization as q

    class Images(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[NDArray[np.float32]] = iter(net.images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.rest, None)
            return None if image is None else {IMAGE: image[None]}

    with tempfile.TemporaryDirectory() as folder:
        source, ready, result = (Path(folder) / f"{n}.onnx" for n in ("source", "ready", "result"))
        source.write_bytes(fp32)
        q.shape_inference.quant_pre_process(source, ready, skip_symbolic_shape=True)
        q.quantize_static(
            ready,
            result,
            Images(),
            quant_format=q.QuantFormat.QDQ,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
        )
        return result.read_bytes()


def model_of(name: str) -> Subnet:
    """A model by name or page; of a space, its smallest member at its largest resolution."""
    item = api.load(name)
    if isinstance(item, Space):
        return smallest(item, item.resolutions[-1])
    if not isinstance(item, Subnet):
        raise TypeError(f"{name} is neither a model nor a space")
    return item


def nncf_openvino(net: Seeded, fp32: bytes) -> Run | None:
    """The same network through OpenVINO's own post-training quantisation, calibrated on the same
    images and run on one thread; None where NNCF is not installed."""
    try:
        import nncf
    except ImportError:
        return None
    import openvino

    graph = core().read_model(fp32)
    images = [image[None] for image in net.images]
    model = nncf.quantize(graph, nncf.Dataset(images), subset_size=len(images))
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = core().compile_model(model, "CPU", settings).create_infer_request()
    shape = list(images[0].shape)
    random = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    request.set_input_tensor(openvino.Tensor(random))
    run: Run = request.infer
    return run


def everywhere(net: Seeded) -> list[tuple[str, Run]]:
    """Our files on every runtime, and the peers'."""
    fp32, ours = fp32_onnx(net), int8_onnx(net)
    ort, litert, openvino = (BUILT_IN[n] for n in ("onnxruntime", "litert", "openvino"))
    found = [
        ("ORT", HERE.open(ort, ours, 1)),
        ("LiteRT", HERE.open(litert, int8_tflite(net), 1)),
        ("OpenVINO", HERE.open(openvino, integer_onnx(integer_model(net, openvino.rules)), 1)),
        ("FP32 ORT", HERE.open(ort, fp32, 1)),
        ("static ORT", HERE.open(ort, static_onnx(net, fp32), 1)),
    ]
    nncf = nncf_openvino(net, fp32)
    return [*found, ("NNCF OpenVINO", nncf)] if nncf else found


def subjects(net: Seeded, runtime: str) -> list[tuple[str, Run]]:
    """What is measured: INT8, FP32, and something else to compare with."""
    if runtime == "all":
        return everywhere(net)
    if runtime == "litert":
        return [
            ("INT8", HERE.open(BUILT_IN["litert"], int8_tflite(net), 1)),
            ("FP32", HERE.open(BUILT_IN["litert"], fp32_tflite(net), 1)),
            ("ONNX", HERE.open(BUILT_IN["onnxruntime"], int8_onnx(net), 1)),
        ]
    fp32 = fp32_onnx(net)
    files = {"INT8": int8_onnx(net), "FP32": fp32, "static": static_onnx(net, fp32)}
    return [(name, HERE.open(BUILT_IN["onnxruntime"], data, 1)) for name, data in files.items()]


def measure(name: str, runtime: str, seconds: float, clock: str) -> dict[str, Any]:
    """Times in milliseconds and ratios of one model."""
    named = subjects(seeded(model_of(name), 0), runtime)
    timing = interleave([run for _, run in named], seconds, take=by(CLOCKS[clock]))
    labels = [label for label, _ in named]
    pairs = [(0, 1), (0, 2), (2, 1)] if len(named) == 3 else [(0, i) for i in range(1, len(named))]
    ratios = {f"{labels[a]} over {labels[b]}": timing.ratio(a, b).to_json() for a, b in pairs}
    return {
        "model": name,
        "runtime": runtime,
        "subjects": labels,
        **timing.to_json(),
        "ratios": ratios,
    }


def header(found: dict[str, Any]) -> str:
    """The table's head."""
    names = [f"{label} ms" for label in found["subjects"]] + list(found["ratios"])
    return f"| model | {' | '.join(names)} | n |\n|{'---|' * (len(names) + 2)}"


def line(found: dict[str, Any]) -> str:
    """A row of the table."""
    times = " | ".join(f"{t['median']:.2f}" for t in found["times_ms"])
    ratios = [Estimate(**ratio) for ratio in found["ratios"].values()]
    cells = " | ".join(f"{r.median:.2f} ({r.low:.2f}-{r.high:.2f})" for r in ratios)
    steady = "" if found["steady"] else " noisy"
    return f"| {found['model']} | {times} | {cells} | {found['rounds']}{steady} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="*", default=[*published(), *HAND_MADE])
    parser.add_argument(
        "--runtime", choices=("all", "litert", "onnxruntime"), default="onnxruntime"
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    machine = this_machine()
    versions = {
        name: machine.packages[name] for name in ("onnxruntime", "ai-edge-litert", "openvino")
    }
    print(f"{machine.cpu}, {versions}, {args.runtime}, clock {args.clock}\n")
    rows: list[dict[str, Any]] = []
    for name in args.models:
        rows.append(measure(name, args.runtime, args.seconds, args.clock))
        if len(rows) == 1:
            print(header(rows[0]))
        print(line(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
