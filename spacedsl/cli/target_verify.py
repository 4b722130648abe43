"""spacedsl target verify: predictions beside what a device measures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacedsl import api
from spacedsl.cli import options
from spacedsl.cli.boundary import FORMAT, Format, emit, report
from spacedsl.cli.html import HTML, check_html, made_by, write_html
from spacedsl.cli.options import ON
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.watch import Terminal
from spacedsl.diagnostics import Diagnostic
from spacedsl.figures import counted, duration
from spacedsl.flows.watch import announced
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.library import library

if TYPE_CHECKING:
    from spacedsl.hosts.host import Host
    from spacedsl.targets.verify import Verification


class Clock(StrEnum):
    """What counts as time."""

    auto = "auto"
    wall = "wall"
    cpu = "cpu"


def verify(
    name: str = options.MEASURED,
    space: list[str] | None = options.MEMBERS_OF,
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
        note = (
            f"{counted(len(models), 'network')} it has not seen, at most about {duration(seconds)}"
        )
        with announced(Terminal(), f"measuring for {found.name}", note) as show:
            result = check(found, device.latency, models, seconds, chosen, show, host)
        machine = host.machine
    doubts = _doubts(result)
    if format is Format.json:
        emit({"target": found.name, **result.to_json()}, doubts)
    else:
        _print(result)
        report(doubts, format)
    made = made_by(found, seed=seed, machine=machine)
    write_html(html, lambda: verify_report(found, result, made), quiet=format is Format.json)
    if doubts:
        raise typer.Exit(1)
    if format is Format.text:
        say_next(_then(name, found, on))


def _then(name: str, found: Target, on: str | None) -> str:
    """The command after a target was verified: a search, and where the device is elsewhere, the
    page for one before that."""
    if found.measured and on is not None:
        return command("target", "export", name, "--on", on, "--out", "carried.space")
    return command("evolve", "--hyper", "hyper", "--target", name, "--out", "found.space")


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
        f"in {counted(result.rounds, 'round')}, so the exit code is 1: the two halves of their "
        f"rounds differ, {listed}"
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
    spaces: list[Space] = [api.load_space(s) for s in specs or options.MEASURED_SPACES.split(",")]
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
    rounds = counted(result.rounds, "round")
    print(f"measured {counted(count, 'network')} in {rounds} ({result.clock} time)")
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
