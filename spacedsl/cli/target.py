"""spacedsl target: the devices that spaces are searched for, and what is measured of this one."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli.boundary import FORMAT, Commands, Format, emit, guarded
from spacedsl.cli.help import epilog
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.limits import parse_seconds
from spacedsl.cli.options import ON
from spacedsl.cli.progress import progress
from spacedsl.cli.summary import command, say_next
from spacedsl.diagnostics import Diagnostic, SpaceError, fault, render
from spacedsl.figures import duration
from spacedsl.files import check_writable
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.library import library

if TYPE_CHECKING:
    from spacedsl.hosts.host import Host
    from spacedsl.targets.profiled_latency import ProfiledLatency
    from spacedsl.targets.verify import Verification

SPACES = "hyper,onnxw,mobilew,mobilenetv3,proxylessnas,attentivenas,resnet50"
"""Whose members are measured where no space is named: the library's."""

NAME = typer.Argument(..., metavar="TARGET", help="A target: a name (cpu) or a page.")
FROM = typer.Option(None, "--space", help="Members of this space; may be said again.")

target = typer.Typer(
    cls=Commands,
    help="Devices: what is known of them, and what is measured of this one, or --on another.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Clock(StrEnum):
    """What counts as time."""

    auto = "auto"
    wall = "wall"
    cpu = "cpu"


def list_targets(format: Format = FORMAT) -> None:
    """List the library's targets and where their latencies come from."""
    names = sorted(page.stem for page in (library() / "targets").glob("*.space"))
    rows = [_row(api.load_target(name)) for name in names]
    if format is Format.json:
        emit({"targets": rows})
        return
    for row in rows:
        print(f"{row['name']:<8} {row['latency']:<40} {row['device']}")


def _row(found: Target) -> dict[str, Any]:
    return {"name": found.name, "device": found.device, "latency": _source(found)}


def _source(found: Target) -> str:
    if not found.measured:
        return f"table {found.latency}"
    from spacedsl.targets.profile_cache import header_of, load_profile

    try:
        known = load_profile(header_of(found))
    except SpaceError as error:
        return f"profile: {error.diagnostics[0].code}"
    if known is None:
        return "profile: not measured yet"
    nets = sum(len(batch.nets) for batch in known.batches)
    return f"profile: {nets} networks"


def profile(
    name: str = NAME,
    space: list[str] | None = FROM,
    budget: str = typer.Option("5m", "--budget", help="Time to measure, e.g. 5m or 90s."),
    again: bool = typer.Option(False, "--again", help="Forget what was measured before."),
    on: str | None = ON,
    format: Format = FORMAT,
) -> None:
    """Measure a machine's kernels inside random networks. Goes on where it was ended."""
    from spacedsl.cli.device import profile_bar
    from spacedsl.hosts.where import host_at
    from spacedsl.targets.profile_file import read_profile
    from spacedsl.targets.profiled_latency import fit_profile
    from spacedsl.targets.profiler import profile as measure
    from spacedsl.targets.said import require_host

    found = _measured(name)
    require_host(found, on)
    spaces = [api.load_space(spec) for spec in space or SPACES.split(",")]
    seconds = parse_seconds(budget)
    with host_at(on) as host, profile_bar(found, seconds, host) as show:
        path = measure(found, spaces, seconds, show, again, host=host)
    done = read_profile(path)
    lacking = [s.name for s in spaces if not done.covers(space_identity(s))]
    _show(found, fit_profile(path), str(path), format)
    if lacking:
        print(
            f"not all that members of {', '.join(lacking)} can have is covered: a longer --budget "
            "goes on",
            file=sys.stderr,
        )


def show_target(name: str = NAME, on: str | None = ON, format: Format = FORMAT) -> None:
    """Show a target: its device, limits, and how its latencies are known."""
    from spacedsl.hosts.where import host_at
    from spacedsl.targets.device import open_device
    from spacedsl.targets.profiled_latency import ProfiledLatency
    from spacedsl.targets.said import require_host

    found = api.load_target(name)
    require_host(found, on)
    with host_at(on) as host:
        device = open_device(found, host)
    if isinstance(device.latency, ProfiledLatency):
        _show(found, device.latency, "", format)
        return
    facts = {**_row(found), "limits_ms": list(device.limits_ms)}
    if format is Format.json:
        emit(facts)
        return
    print(f"target {found.name}: {found.device}")
    print(f"  latency  {facts['latency']}")
    print(f"  limits   {_limits(device.limits_ms)}")


def _limits(limits_ms: tuple[float, ...]) -> str:
    return ", ".join(f"{limit:g}" for limit in limits_ms) + " ms"


def _show(found: Target, fit: ProfiledLatency, path: str, format: Format) -> None:
    from spacedsl.runtimes.machine import said_session
    from spacedsl.targets.device import scaled_limits

    note = fit.note
    limits = scaled_limits(found, fit)
    groups = {
        name: {"kernels": len(group.kernels), "factor": group.factor}
        for name, group in fit.model.groups.items()
    }
    if format is Format.json:
        emit(
            {
                "name": found.name,
                "device": found.device,
                "profile": path,
                "machine": note.profile.machine,
                "runtime": note.profile.runtime,
                "runtime_version": note.profile.version,
                "threads": note.profile.threads,
                "session": note.profile.session,
                "networks": note.networks,
                "steady": note.steady,
                "seconds": note.seconds,
                "spaces": [s.name for s in note.spaces],
                "resolutions": list(fit.resolutions),
                "limits_ms": list(limits),
                "groups": groups,
                "kernel_ms": note.kernel_ms,
                "network_ms": note.network_ms,
            }
        )
        return
    machine, of = note.profile.machine, ", ".join(s.name for s in note.spaces)
    print(f"target {found.name}: {found.device}")
    print(f"  machine  {machine['cpu']} ({machine['features']})")
    print(
        f"  runtime  {note.profile.runtime} {note.profile.version}, {note.profile.threads} thread, "
        f"session: {said_session(note.profile.session)}"
    )
    print(f"  profile  {note.networks} networks of {of} in {note.seconds:.0f} s")
    if note.steady < note.networks:
        print(f"           {note.networks - note.steady} of them did not come to repeat within 3 %")
    print(f"  limits   {_limits(limits)}")
    for name, group in groups.items():
        print(f"    {name:<22} {group['kernels']:5} kernels, times {group['factor']:.3f}")
    print(
        f"    {'every kernel':<22} {note.kernel_ms * 1e3:+.1f} us, every network "
        f"{note.network_ms * 1e3:+.0f} us"
    )


def verify(
    name: str = NAME,
    space: list[str] | None = FROM,
    model: list[str] | None = typer.Option(None, "--model", help="Also this model."),
    count: int = typer.Option(60, "--count", min=3, help="Networks in all."),
    seconds: float = typer.Option(300.0, "--seconds", min=1, help="Longest time to measure."),
    clock: Clock = typer.Option(Clock.auto, "--clock", help="auto: cpu for one thread."),
    seed: int = typer.Option(1, "--seed", min=0, help="Seed of the random members."),
    on: str | None = ON,
    html: Path | None = HTML,
    format: Format = FORMAT,
) -> None:
    """Predict and measure networks that the profile has not seen; exit 1 if they do not repeat."""
    from spacedsl.hosts.where import host_at
    from spacedsl.report.verify import verify_report
    from spacedsl.targets.device import open_device
    from spacedsl.targets.said import require_host
    from spacedsl.targets.verify import verify as check

    check_html(html, [name, *(space or []), *(model or [])])
    found = api.load_target(name)
    require_host(found, on)
    chosen = ("cpu" if found.threads == 1 else "wall") if clock is Clock.auto else clock.value
    with host_at(on) as host:
        device = open_device(found, host)
        models = _unseen(found, host, space, model, count, seed)
        note = f"{len(models)} networks it has not seen, at most about {duration(seconds)}"
        with progress(f"measuring for {found.name}", note) as show:
            result = check(found, device.latency, models, seconds, chosen, show, host)
        machine = host.machine
    doubts = _doubts(result)
    if format is Format.json:
        emit({"target": found.name, **result.to_json()}, doubts)
    else:
        _print(result)
        for doubt in doubts:
            print(render(doubt.to_json()), file=sys.stderr)
    made = made_by(found, seed=seed, machine=machine)
    write_html(html, lambda: verify_report(found, result, made), quiet=format is Format.json)
    if doubts:
        raise typer.Exit(1)


def _doubts(result: Verification) -> list[Diagnostic]:
    """Why the figures cannot be trusted, where they cannot."""
    from spacedsl.targets.verify import REPEATABLE

    unsteady = [c for c in result.checked if c.split_half > REPEATABLE]
    if not unsteady:
        return []
    worst = sorted(unsteady, key=lambda c: -c.split_half)[:5]
    listed = ", ".join(f"{c.name} by {c.split_half:.1%}" for c in worst)
    message = (
        f"{len(unsteady)} of {len(result.checked)} networks did not repeat within {REPEATABLE:.0%} "
        f"in {result.rounds} rounds, so the exit code is 1: the two halves of their rounds differ, "
        f"{listed}"
    )
    return [
        Diagnostic("too-noisy", message, help="measure longer (--seconds), or on an idle machine")
    ]


def _unseen(
    found: Target,
    host: Host,
    specs: list[str] | None,
    named: list[str] | None,
    count: int,
    seed: int,
) -> list[Subnet]:
    """Published models (where no space is named), then members of the spaces in turn, none of
    which was profiled."""
    from spacedsl.passes.network import subnet_identity
    from spacedsl.targets.profile_cache import header_of, load_profile

    names = named or ([] if specs else _published())
    models = [m for m in map(api.load, names) if isinstance(m, Subnet)][:count]
    known = load_profile(header_of(found, host)) if found.measured else None
    seen = {net.hash for batch in known.batches for net in batch.nets} if known else set()
    spaces: list[Space] = [api.load_space(s) for s in specs or SPACES.split(",")]
    wanted = count - len(models)
    drawn = [api.sample(s, wanted, seed) for s in spaces]
    turns = [s for row in zip(*drawn, strict=True) for s in row] if wanted else []
    return models + [s for s in turns if subnet_identity(s) not in seen][:wanted]


def _published() -> list[str]:
    models = sorted(p.stem for p in (library() / "models").glob("seqnet-*.space"))
    return [*models, "attentivenas-a0", "resnet50-d"]


def _print(result: Verification) -> None:
    found, count = result.to_json(), len(result.checked)
    repeat, quantiles = found["repeatability"], found["quantiles"]
    print(f"measured {count} networks in {result.rounds} rounds ({result.clock} time)")
    print(
        f"  halves of the rounds agree within {repeat['median']:.1%} in the median, "
        f"{repeat['greatest']:.1%} at worst"
    )
    print(f"  {repeat['within_3_percent']} networks agree within 3 %")
    print(f"common factor {result.factor:.3f}")
    listed = ", ".join(f"{float(q):.0%}: {e:.1%}" for q, e in quantiles.items() if e is not None)
    print(f"errors by quantile: {listed}")
    print(f"within 5 %: {result.within(0.05)} of {count}; within 10 %: {result.within(0.10)}")
    print(f"Kendall's tau {result.tau:.3f}")
    by_name = {c.name: c for c in result.checked}
    for name in found["worst"]:
        c = by_name[name]
        print(f"  {c.name}: {c.error:+.1%}, {c.coverage}")
        print(
            f"    predicted {c.predicted_ms * result.factor:.3f} ms, measured "
            f"{c.measured_ms:.3f} ms ({c.low_ms:.3f} to {c.high_ms:.3f})"
        )


def export(
    name: str = NAME,
    out: Path | None = typer.Option(None, "--out", help="The page; its profile goes beside it."),
    nn_meter: Path | None = typer.Option(
        None, "--nn-meter", help="A folder for nn-Meter's form of the latency model (pickles)."
    ),
    on: str | None = ON,
) -> None:
    """Write a page and a profile that carry a machine's latencies to another, or the predictor
    for nn-Meter."""
    from spacedsl.hosts.where import host_at
    from spacedsl.targets.device import open_device
    from spacedsl.targets.profiled_latency import ProfiledLatency
    from spacedsl.targets.said import require_host

    if out is None and nn_meter is None:
        message = "nothing to write is named"
        raise fault("missing-option", message, "--out PAGE.space, or --nn-meter FOLDER")
    if out is not None:
        check_writable(out)
    found = _measured(name)
    require_host(found, on)
    with host_at(on) as host:
        device = open_device(found, host)
    if not isinstance(device.latency, ProfiledLatency):
        raise fault("wrong-kind", f"target `{name}` has no profile")
    if out is not None:
        _carry(found, device.latency, device.limits_ms, out)
    if nn_meter is not None:
        _for_nn_meter(found, device.latency, nn_meter)


def _carry(found: Target, fit: ProfiledLatency, limits_ms: tuple[float, ...], out: Path) -> None:
    from spacedsl.files import write_atomic
    from spacedsl.lang.targets import write_target
    from spacedsl.targets.profiled_latency import SUFFIX, save_fit

    note, data = fit.note, out.with_suffix(SUFFIX)
    carried = found.model_copy(
        update={
            "name": out.stem,
            "device": f"{note.profile.machine['cpu']}: {found.device}".replace('"', "'"),
            "version": note.profile.version,
            "latency": data.name,
            "measured": False,
            "anchor": None,
            "limits_ms": limits_ms,
        }
    )
    save_fit(fit, data)
    write_atomic(out, write_target(carried))
    print(f"{out}, {data}")
    say_next(command("evolve", "--hyper", "hyper", "--target", out, "--out", "found.space"))


def _for_nn_meter(found: Target, fit: ProfiledLatency, out: Path) -> None:
    from spacedsl.targets.nn_meter_export import META, export_predictor

    name = f"spacedsl-{found.name}"
    written = export_predictor(fit.model, name, out)
    for predictor, error in written.errors.items():
        print(f"{out / predictor}.pkl  repeats our model within {error:.1%} in the median")
    if written.left_out:
        print(f"nn-Meter would count as 0 ms, so is left out: {', '.join(written.left_out)}")
    print(f"nn-meter register --predictor {out / META}  makes it known there as {name}")


def _measured(name: str) -> Target:
    found = api.load_target(name)
    if not found.measured:
        message = f"target `{found.name}` has latencies of its own: {found.latency}"
        raise fault("wrong-kind", message, "`latency profile` in a page means measuring")
    return found


for _name, _command in (
    ("list", list_targets),
    ("profile", profile),
    ("show", show_target),
    ("verify", verify),
    ("export", export),
):
    target.command(_name, epilog=epilog(f"target {_name}"))(guarded(_command))
