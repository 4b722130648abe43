"""How fast models and exported files run, here or on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacedsl import api
from spacedsl.compiler.export import FILES, integer_model, seeded
from spacedsl.diagnostics import fault
from spacedsl.figures import duration
from spacedsl.files import check_meant
from spacedsl.flows.watch import SILENT, Watch, announced
from spacedsl.hosts.host import Host
from spacedsl.hosts.measure import (
    RATIO_TOLERANCE,
    TIME_TOLERANCE,
    Estimate,
    Run,
    Timing,
    interleave,
)
from spacedsl.hosts.where import host_at
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.page import Loader
from spacedsl.passes.network import subnet_identity
from spacedsl.runtimes.machine import Machine
from spacedsl.runtimes.record import Runtime
from spacedsl.runtimes.table import ONNXRUNTIME, format_of, named, reader
from spacedsl.targets.deployed import stamp_of
from spacedsl.text import Source


@dataclass(frozen=True, slots=True, repr=False)
class Benched:
    """What was measured at batch 1, by `names`, the subject first. `on`: the machine as it was
    asked for; None is this one."""

    names: tuple[str, ...]
    timing: Timing
    runtime: str
    threads: int
    on: str | None
    machine: Machine

    @property
    def latencies_ms(self) -> tuple[Estimate, ...]:
        """Medians with their intervals, in the order of the names."""
        return tuple(self.timing.time_ms(i) for i in range(len(self.names)))

    @property
    def speedup(self) -> Estimate | None:
        """How many times as fast as what it is compared with the subject is."""
        return self.timing.ratio(0, 1) if len(self.names) > 1 else None

    def __repr__(self) -> str:
        pairs = zip(self.names, self.latencies_ms, strict=True)
        return f"<{', '.join(f'{name} {ms.median:.3f} ms' for name, ms in pairs)}>"


def subject_of(spec: str) -> Path | Subnet:
    """What is named: an exported file, or the model of a page. Raises `SpaceError`."""
    return Path(spec) if format_of(spec) else _model(api.load(spec), spec)


def bench(
    subject: Path | Subnet,
    *,
    called: str = "",
    runtime: str | None = None,
    against: str | None = None,
    threads: int = 1,
    seconds: float = 20.0,
    seed: int = 0,
    allow_noise: bool = False,
    on: str | None = None,
    watch: Watch = SILENT,
) -> Benched:
    """Time a file, or a model with random weights of `seed`: warm-up, then interleaved rounds until
    the median (with `against`, the ratio) is known, for `seconds` at most. `against`: `fp32`, which
    is the same network, or a file. `called`: the subject's name among the results. `on`: another
    machine. Raises `SpaceError`, where it is not `allow_noise` also for a machine that is too noisy
    for that."""
    used = _runtime(subject, runtime)
    first = called or (subject.name if isinstance(subject, Subnet) else str(subject))
    with host_at(on) as host:
        host.version(used)  # refused before anything is built for it
        subjects = list(_subjects(host, subject, first, used, against, threads, seed))
        runs, note = [run for _, run in subjects], f"at most about {duration(seconds)}"
        with announced(watch, f"measuring {first}", note) as show:
            timing = interleave(runs, seconds, take=host.rounds("wall"), progress=show)
        machine = host.machine
    if not timing.steady and not allow_noise:
        raise fault(
            "too-noisy",
            _noise(timing),
            "measure longer (--seconds) or on an idle machine, or take the figures as they are: "
            "--allow-noise",
        )
    names = tuple(name for name, _ in subjects)
    return Benched(names, timing, used.name, threads, on, machine)


def _runtime(subject: Path | Subnet, asked: str | None) -> Runtime:
    """What runs a file or a model: the one asked for, else the usual one."""
    if isinstance(subject, Path):
        return reader(str(subject), asked)
    return named(asked) if asked else ONNXRUNTIME


def _subjects(
    host: Host,
    subject: Path | Subnet,
    called: str,
    runtime: Runtime,
    against: str | None,
    threads: int,
    seed: int,
) -> Iterator[tuple[str, Run]]:
    """Names and runs of what is measured, the subject first."""

    def opened(used: Runtime, model: bytes | Path) -> Run:
        host.version(used)
        return host.open(used, model, threads, seed)

    if isinstance(subject, Path):
        yield called, opened(runtime, _file(subject))
    else:
        yield called, opened(runtime, _emitted(subject, runtime, seed, fp32=False))
    if against is None:
        return
    if against == "fp32":
        model = _stamped(subject) if isinstance(subject, Path) else subject
        yield against, opened(runtime, _emitted(model, runtime, seed, fp32=True))
    elif format_of(against):
        same = runtime.format == format_of(against)
        yield against, opened(runtime if same else reader(against), _file(Path(against)))
    else:
        message = f"--against {against} is neither `fp32` nor an .onnx or .tflite file"
        raise fault("bad-option", message)


def _emitted(model: Subnet, runtime: Runtime, seed: int, *, fp32: bool) -> bytes:
    """A model's file for a runtime, with random weights."""
    files = FILES[runtime.format]
    files.need()
    net = seeded(model, seed)
    return files.fp32(net) if fp32 else files.integers(integer_model(net, runtime.rules))


def _file(path: Path) -> Path:
    if not path.is_file():
        check_meant(path)
        raise fault("cannot-read", f"there is no file {path}")
    return path


def _model(item: object, name: str) -> Subnet:
    if not isinstance(item, Subnet):
        raise fault("wrong-kind", f"{name} is neither an .onnx or .tflite file nor a model")
    return item


def _stamped(path: Path) -> Subnet:
    """The model whose page an exported file carries."""
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
    alone = timing.times_s.shape[1] == 1
    found = timing.time_ms(0) if alone else timing.ratio(0, 1)
    limit = TIME_TOLERANCE if alone else RATIO_TOLERANCE
    return (
        f"this machine is too noisy: after {len(timing.times_s)} rounds the "
        f"{'median' if alone else 'ratio'} is known to {found.halfwidth:.1%} (wanted {limit:.0%}) "
        f"and drifted by {found.drift:+.1%} (allowed {2 * limit:.0%})"
    )
