"""spacedsl bench: how fast a model or an exported file runs here."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.diagnostics import fault
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.text import Source

if TYPE_CHECKING:
    from spacedsl.targets.measure import Run, Timing


class Runtime(StrEnum):
    """What runs the model."""

    onnxruntime = "onnxruntime"
    litert = "litert"


def bench(
    subject: str = typer.Argument(
        ..., metavar="FILE|MODEL", help="An .onnx or .tflite file, or a model."
    ),
    runtime: Runtime | None = typer.Option(
        None, "--runtime", help="What runs it: a file's own runtime; a model, onnxruntime."
    ),
    threads: int = typer.Option(1, "--threads", min=1, max=1024, help="Threads inside an op."),
    against: str | None = typer.Option(
        None, "--against", help="Compare with `fp32` (the same network) or a file."
    ),
    seconds: float = typer.Option(20.0, "--seconds", min=0.1, help="Longest time to measure."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of weights and inputs."),
    allow_noise: bool = typer.Option(
        False, "--allow-noise", help="Report also what is not known well enough."
    ),
    format: Format = FORMAT,
) -> None:
    """Measure latency at batch 1: warm-up, then interleaved rounds until the median (or, with
    --against, the ratio) is known; exit 2 if this machine is too noisy for that."""
    from spacedsl.targets.machine import this_machine
    from spacedsl.targets.measure import interleave

    used = _runtime(subject, runtime)
    subjects = _subjects(subject, used, against, threads, seed)
    timing = interleave([run for _, run in subjects], seconds)
    names = [name for name, _ in subjects]
    if not timing.steady and not allow_noise:
        raise fault(
            "too-noisy", _noise(timing), "measure longer (--seconds), or on an idle machine"
        )
    machine = this_machine()
    result = _result(names, timing, used, threads) | {
        "cpu": machine.cpu,
        "onnxruntime_session": machine.onnxruntime_session,
        "warnings": list(machine.warnings),
    }
    if format is Format.json:
        emit(result)
    else:
        _print(result)


def _runtime(subject: str, asked: Runtime | None) -> Runtime:
    from spacedsl.targets.runners import runtime_of

    found = runtime_of(subject)
    if found is not None and asked not in (None, found):
        raise fault("bad-option", f"{subject} is a file for {found}, not for {asked}")
    return Runtime(found or asked or Runtime.onnxruntime)


def _subjects(
    subject: str, runtime: Runtime, against: str | None, threads: int, seed: int
) -> list[tuple[str, Run]]:
    """Names and runs of what is measured, the subject first."""
    from spacedsl.targets.runners import runtime_of

    model = None
    if runtime_of(subject):
        found = [(subject, _run_file(subject, threads, seed))]
    else:
        model = _model(api.load(subject), subject)
        found = [(subject, _run_model(model, runtime, threads, seed, fp32=False))]
    if against is None:
        return found
    if against == "fp32":
        model = model or _stamped(_file(subject), runtime)
        found.append(("fp32", _run_model(model, runtime, threads, seed, fp32=True)))
    elif runtime_of(against):
        found.append((against, _run_file(against, threads, seed)))
    else:
        message = f"--against {against} is neither `fp32` nor an .onnx or .tflite file"
        raise fault("bad-option", message)
    return found


def _run_file(name: str, threads: int, seed: int) -> Run:
    from spacedsl.compiler.export import FILES
    from spacedsl.targets.runners import FORMATS, runner

    runtime = _runtime(name, None)
    FILES[FORMATS[runtime]].need()
    return runner(_file(name), runtime, threads, seed)


def _run_model(model: Subnet, runtime: Runtime, threads: int, seed: int, *, fp32: bool) -> Run:
    from spacedsl.compiler.export import FILES, seeded
    from spacedsl.targets.runners import FORMATS, runner

    emit = FILES[FORMATS[runtime]]
    emit.need()
    net = seeded(model, seed)
    return runner(emit.fp32(net) if fp32 else emit.int8(net, None), runtime, threads, seed)


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise fault("cannot-read", f"there is no file {name}")
    return path


def _model(item: object, name: str) -> Subnet:
    if not isinstance(item, Subnet):
        raise fault("wrong-kind", f"{name} is neither an .onnx or .tflite file nor a model")
    return item


def _stamped(path: Path, runtime: Runtime) -> Subnet:
    """The model whose page an exported file carries."""
    from spacedsl.passes.network import subnet_identity
    from spacedsl.targets.runners import stamp_of

    stamp = stamp_of(path, runtime)
    if "page" not in stamp:
        help = "name another file instead"
        raise fault("no-page", f"{path} does not carry a model's page", help)
    page = Loader().parse(Source(f"{path}:page", stamp["page"]), path.absolute().parent)
    model = _model(page.get(stamp.get("model", page.names[0])), str(path))
    if subnet_identity(model) != stamp.get("hash"):
        found = f"{subnet_identity(model)[:16]}, the file says {stamp.get('hash', '')[:16]}"
        raise fault("wrong-hash", f"the page in {path} has the hash {found}")
    return model


def _noise(timing: Timing) -> str:
    from spacedsl.targets.measure import RATIO_TOLERANCE, TIME_TOLERANCE

    alone = timing.times_s.shape[1] == 1
    found = timing.time_ms(0) if alone else timing.ratio(0, 1)
    limit = TIME_TOLERANCE if alone else RATIO_TOLERANCE
    return (
        f"this machine is too noisy: after {len(timing.times_s)} rounds the "
        f"{'median' if alone else 'ratio'} is known to {found.halfwidth:.1%} (wanted {limit:.0%}) "
        f"and drifted by {found.drift:+.1%} (allowed {2 * limit:.0%})"
    )


def _result(names: list[str], timing: Timing, runtime: Runtime, threads: int) -> dict[str, Any]:
    timed = [
        {"name": name, "latency_ms": timing.time_ms(i).to_json()} for i, name in enumerate(names)
    ]
    ratio = timing.ratio(0, 1).to_json() if len(names) > 1 else None
    return {
        "runtime": runtime.value,
        "threads": threads,
        "rounds": len(timing.times_s),
        "steady": timing.steady,
        "subjects": timed,
        "speedup": ratio,
    }


def _print(result: dict[str, Any]) -> None:
    from spacedsl.targets.machine import said_session

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
            f"{ratio['high']:.3f}, 95 %), {result['rounds']} rounds"
        )
    print(f"sessions of ONNX Runtime here: {said_session(result['onnxruntime_session'])}")
    if not result["steady"]:
        print("warning: this machine is too noisy for these figures", file=sys.stderr)
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
