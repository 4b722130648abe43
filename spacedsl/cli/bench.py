"""spacedsl bench: how fast a model or an exported file runs here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.options import ON, RUNTIME
from spacedsl.cli.watch import Terminal
from spacedsl.figures import counted

if TYPE_CHECKING:
    from spacedsl.flows.bench import Benched


def bench(
    subject: str = typer.Argument(
        ..., metavar="FILE|MODEL", help="An .onnx or .tflite file, or a model."
    ),
    runtime: str | None = RUNTIME,
    threads: int = typer.Option(1, "--threads", min=1, max=1024, help="Threads inside an op."),
    against: str | None = typer.Option(
        None, "--against", help="Compare with `fp32` (the same network) or a file."
    ),
    seconds: float = typer.Option(20.0, "--seconds", min=0.1, help="Longest time to measure."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of weights and inputs."),
    allow_noise: bool = typer.Option(
        False, "--allow-noise", help="Report also what is not known well enough."
    ),
    on: str | None = ON,
    format: Format = FORMAT,
) -> None:
    """Measure latency at batch 1: warm-up, then interleaved rounds until the median (or, with
    --against, the ratio) is known; exit 2 if this machine is too noisy for that."""
    from spacedsl.flows.bench import bench as flow
    from spacedsl.flows.bench import subject_of

    found = flow(
        subject_of(subject),
        called=subject,
        runtime=runtime,
        against=against,
        threads=threads,
        seconds=seconds,
        seed=seed,
        allow_noise=allow_noise,
        on=on,
        watch=Terminal(),
    )
    result = _result(found)
    if format is Format.json:
        emit(result)
    else:
        _print(result)


def _result(found: Benched) -> dict[str, Any]:
    timed = [
        {"name": name, "latency_ms": ms.to_json()}
        for name, ms in zip(found.names, found.latencies_ms, strict=True)
    ]
    return {
        "runtime": found.runtime,
        "threads": found.threads,
        "rounds": len(found.timing.times_s),
        "steady": found.timing.steady,
        "subjects": timed,
        "speedup": found.speedup and found.speedup.to_json(),
        "cpu": found.machine.cpu,
        "on": found.on,
        "onnxruntime_session": found.machine.onnxruntime_session,
        "warnings": list(found.machine.warnings),
    }


def _print(result: dict[str, Any]) -> None:
    from spacedsl.runtimes.machine import said_session

    for entry in result["subjects"]:
        ms = entry["latency_ms"]
        print(
            f"{entry['name']}: {ms['median']:.3f} ms "
            f"({ms['low']:.3f} to {ms['high']:.3f}, spread {ms['spread']:.0%})"
        )
    ratio = result["speedup"]
    if ratio:
        name = result["subjects"][1]["name"]
        print(
            f"{ratio['median']:.3f} times as fast as {name} ({ratio['low']:.3f} to "
            f"{ratio['high']:.3f}, 95 %), {counted(result['rounds'], 'round')}"
        )
    if result["runtime"] == "onnxruntime":
        where = f"on {result['on']}" if result["on"] else "here"
        print(f"sessions of ONNX Runtime {where}: {said_session(result['onnxruntime_session'])}")
    if not result["steady"]:
        print("warning: this machine is too noisy for these figures", file=sys.stderr)
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
