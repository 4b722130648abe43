"""INT8 against FP32, and against ONNX Runtime's own `quantize_static` of the same FP32 network.

    python benchmarks/lowering.py [--models seqnet-vnni-a0 ...] [--seconds 20] [--clock wall]

All three run interleaved, one thread, batch 1 (see spacedsl/targets/measure.py). `--clock cpu`
counts the thread's own processor time, which other processes disturb less than the wall's; ratios
of the two clocks agree on an idle machine. Weights are random, which speed does not depend on."""

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
from spacedsl.compiler.export import Seeded, fp32_onnx, int8_onnx, seeded
from spacedsl.compiler.stamp import IMAGE
from spacedsl.ir.sampling import smallest
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import library
from spacedsl.targets.machine import this_machine
from spacedsl.targets.measure import Estimate, Run, interleave
from spacedsl.targets.ort import open_session, random_feed

HAND_MADE = (
    "mobilenetv2-w1", "mobilenetv3-large-w1", "resnet-50", "efficientnetv2-s", "attentivenas-a0",
    "mobilenetv3", "proxylessnas",
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


def runner(model: bytes) -> Run:
    """One inference at batch 1 on one thread."""
    session = open_session(model)
    feed = random_feed(session)
    return lambda: session.run(None, feed)


def model_of(name: str) -> Subnet:
    """A model by name or page; of a space, its smallest member at its largest resolution."""
    item = api.load(name)
    if isinstance(item, Space):
        return smallest(item, item.resolutions[-1])
    if not isinstance(item, Subnet):
        raise TypeError(f"{name} is neither a model nor a space")
    return item


def measure(name: str, seconds: float, clock: str) -> dict[str, Any]:
    """Times in milliseconds and ratios of one model."""
    net = seeded(model_of(name), 0)
    fp32 = fp32_onnx(net)
    runs = [runner(m) for m in (int8_onnx(net), fp32, static_onnx(net, fp32))]
    timing = interleave(runs, seconds, clock=CLOCKS[clock])
    return {
        "model": name,
        **timing.to_json(),
        "against_fp32": timing.ratio(0, 1).to_json(),
        "against_static": timing.ratio(0, 2).to_json(),
        "static_against_fp32": timing.ratio(2, 1).to_json(),
    }


def line(found: dict[str, Any]) -> str:
    """A row of the table."""
    times = " | ".join(f"{t['median']:.2f}" for t in found["times_ms"])
    ratios = [
        Estimate(**found[key]) for key in ("against_fp32", "against_static", "static_against_fp32")
    ]
    cells = " | ".join(f"{r.median:.2f} ({r.low:.2f}-{r.high:.2f})" for r in ratios)
    steady = "" if found["steady"] else " noisy"
    return f"| {found['model']} | {times} | {cells} | {found['rounds']}{steady} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="*", default=[*published(), *HAND_MADE])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    machine = this_machine()
    print(f"{machine.cpu}, {machine.packages['onnxruntime']=}, clock {args.clock}\n")
    print(
        "| model | INT8 ms | FP32 ms | static ms | over FP32 | over static | static over FP32 | n |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for name in args.models:
        rows.append(measure(name, args.seconds, args.clock))
        print(line(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
