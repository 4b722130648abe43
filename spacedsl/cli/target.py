"""spacedsl target: the devices that spaces are searched for, and what is measured of this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacedsl import api
from spacedsl.cli import options
from spacedsl.cli.boundary import FORMAT, Commands, Format, emit, guarded
from spacedsl.cli.help import epilog
from spacedsl.cli.limits import parse_seconds
from spacedsl.cli.options import ON
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.target_verify import verify
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.figures import counted
from spacedsl.files import check_writable
from spacedsl.ir.identity import space_identity
from spacedsl.ir.target import Target
from spacedsl.lang.library import library

if TYPE_CHECKING:
    from spacedsl.targets.profiled_latency import ProfiledLatency

target = typer.Typer(
    cls=Commands,
    help="Devices: what is known of them, and what is measured of this one, or --on another.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def list_targets(format: Format = FORMAT) -> None:
    """List the library's targets and where their latencies come from."""
    names = sorted(page.stem for page in (library() / "targets").glob("*.space"))
    rows = [_row(api.load_target(name)) for name in names]
    if format is Format.json:
        emit({"targets": rows})
        return
    for row in rows:
        print(f"{row['name']:<8}  {row['device']}")
        print(f"{'':<8}  {row['latency']}")


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
    return f"profile: {counted(nets, 'network')}"


def profile(
    name: str = options.MEASURED,
    space: list[str] | None = options.MEMBERS_OF,
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
    spaces = [api.load_space(spec) for spec in space or options.MEASURED_SPACES.split(",")]
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
    if format is Format.text:
        say_next(command("target", "verify", name, *(() if on is None else ("--on", on))))


def show_target(name: str = options.MEASURED, on: str | None = ON, format: Format = FORMAT) -> None:
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
    print(f"  profile  {counted(note.networks, 'network')} of {of} in {note.seconds:.0f} s")
    if note.steady < note.networks:
        print(f"           {note.networks - note.steady} of them did not come to repeat within 3 %")
    print(f"  limits   {_limits(limits)}")
    for name, group in groups.items():
        print(f"    {name:<22} {group['kernels']:5} kernels, times {group['factor']:.3f}")
    print(
        f"    {'every kernel':<22} {note.kernel_ms * 1e3:+.1f} us, every network "
        f"{note.network_ms * 1e3:+.0f} us"
    )


def export(
    name: str = options.MEASURED,
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
