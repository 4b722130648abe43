"""spacedsl bench: how fast a model or an exported file runs here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.options import ON, RUNTIME
from spacedsl.cli.progress import progress
from spacedsl.diagnostics import fault
from spacedsl.figures import duration
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.text import Source

if TYPE_CHECKING:
    from spacedsl.hosts.host import Host
    from spacedsl.hosts.measure import Run, Timing
    from spacedsl.runtimes.record import Runtime


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
    from spacedsl.hosts.measure import interleave
    from spacedsl.hosts.where import host_at

    used = _runtime(subject, runtime)
    with host_at(on) as host:
        subjects = _subjects(host, subject, used, against, threads, seed)
        runs, note = [run for _, run in subjects], f"at most about {duration(seconds)}"
        with progress(f"measuring {subject}", note) as show:
            timing = interleave(runs, seconds, take=host.rounds("wall"), progress=show)
        machine = host.machine
    names = [name for name, _ in subjects]
    if not timing.steady and not allow_noise:
        raise fault(
            "too-noisy", _noise(timing), "measure longer (--seconds), or on an idle machine"
        )
    result = _result(names, timing, used, threads) | {
        "cpu": machine.cpu,
        "on": on,
        "onnxruntime_session": machine.onnxruntime_session,
        "warnings": list(machine.warnings),
    }
    if format is Format.json:
        emit(result)
    else:
        _print(result)


def _runtime(subject: str, asked: str | None) -> Runtime:
    """What runs a file or a model: the one asked for, else the usual one."""
    from spacedsl.runtimes.table import ONNXRUNTIME, format_of, named, reader

    if format_of(subject):
        return reader(subject, asked)
    return named(asked) if asked else ONNXRUNTIME


def _subjects(
    host: Host, subject: str, runtime: Runtime, against: str | None, threads: int, seed: int
) -> list[tuple[str, Run]]:
    """Names and runs of what is measured, the subject first."""
    from spacedsl.runtimes.table import format_of, reader

    def opened(used: Runtime, model: bytes | Path) -> Run:
        host.version(used)
        return host.open(used, model, threads, seed)

    host.version(runtime)  # refused before anything is built for it
    model = None
    if format_of(subject):
        found = [(subject, opened(runtime, _file(subject)))]
    else:
        model = _model(api.load(subject), subject)
        found = [(subject, opened(runtime, _emitted(model, runtime, seed, fp32=False)))]
    if against is None:
        return found
    if against == "fp32":
        model = model or _stamped(_file(subject))
        found.append(("fp32", opened(runtime, _emitted(model, runtime, seed, fp32=True))))
    elif format_of(against):
        same = runtime.format == format_of(against)
        found.append((against, opened(runtime if same else reader(against), _file(against))))
    else:
        message = f"--against {against} is neither `fp32` nor an .onnx or .tflite file"
        raise fault("bad-option", message)
    return found


def _emitted(model: Subnet, runtime: Runtime, seed: int, *, fp32: bool) -> bytes:
    """A model's file for a runtime, with random weights."""
    from spacedsl.compiler.export import FILES, integer_model, seeded

    files = FILES[runtime.format]
    files.need()
    net = seeded(model, seed)
    return files.fp32(net) if fp32 else files.integers(integer_model(net, runtime.rules))


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise fault("cannot-read", f"there is no file {name}")
    return path


def _model(item: object, name: str) -> Subnet:
    if not isinstance(item, Subnet):
        raise fault("wrong-kind", f"{name} is neither an .onnx or .tflite file nor a model")
    return item


def _stamped(path: Path) -> Subnet:
    """The model whose page an exported file carries."""
    from spacedsl.passes.network import subnet_identity
    from spacedsl.targets.deployed import stamp_of

    stamp = stamp_of(path)
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
    from spacedsl.hosts.measure import RATIO_TOLERANCE, TIME_TOLERANCE

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
        "runtime": runtime.name,
        "threads": threads,
        "rounds": len(timing.times_s),
        "steady": timing.steady,
        "subjects": timed,
        "speedup": ratio,
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
            f"{ratio['high']:.3f}, 95 %), {result['rounds']} rounds"
        )
    where = f"on {result['on']}" if result["on"] else "here"
    print(f"sessions of ONNX Runtime {where}: {said_session(result['onnxruntime_session'])}")
    if not result["steady"]:
        print("warning: this machine is too noisy for these figures", file=sys.stderr)
    for warning in result["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
