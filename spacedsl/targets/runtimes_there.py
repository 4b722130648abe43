"""How fast a model is on each runtime of a target's machine, by the profiles that are there.

Nothing is measured for it, and a profile that cannot be used is left out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spacedsl.diagnostics import SpaceError
from spacedsl.ir.identity import digest
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.library import library
from spacedsl.lang.load import load
from spacedsl.runtimes.table import need, runtime_of, runtimes
from spacedsl.targets.device import FITTED
from spacedsl.targets.latency import model_latency, whole
from spacedsl.targets.profile_cache import cached_headers, header_of, machine_words, profile_path
from spacedsl.targets.profile_file import ProfileHeader
from spacedsl.targets.profiled_latency import ProfiledLatency, fit_profile, load_fit
from spacedsl.targets.said import is_elsewhere

FASTER = 1.1
"""A runtime counts as faster by this factor or more: both predictions are right to about 5 %."""


@dataclass(frozen=True, slots=True)
class RuntimeThere:
    """A runtime on the machine of a target: what it is predicted to take for a model, and how well
    that is known. `target`: the library's target with this runtime."""

    runtime: str
    target: str
    latency_ms: float
    coverage: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model on a target's machine: the target's own runtime, and the others of which there is a
    profile, the fastest first. `unknown`: the library's targets with other runtimes that are
    installed here and not profiled, where the machine is this one."""

    own: RuntimeThere
    others: tuple[RuntimeThere, ...]
    unknown: tuple[str, ...]

    @property
    def faster(self) -> RuntimeThere | None:
        """The fastest of the others, where that is faster than the target's own."""
        if not self.others or self.others[0].latency_ms * FASTER > self.own.latency_ms:
            return None
        return self.others[0]

    @property
    def to_profile(self) -> str | None:
        """The target whose profile would say more, where nothing is known of the others."""
        return self.unknown[0] if self.unknown and not self.others else None


def compared(model: Subnet, target: Target) -> Comparison | None:
    """The runtimes on a target's machine. None where no profile says how fast the model is there
    on the target's own runtime."""
    if not (target.measured or target.latency.endswith(FITTED)):
        return None
    profiles = cached_headers()
    try:
        fit = _own_fit(target, profiles)
        if fit is None:
            return None
        own = _there(model, fit, target.name)
    except SpaceError:
        return None
    header, offered = fit.note.profile, _library_targets()
    here = header.machine == machine_words()
    found: dict[str, RuntimeThere] = {}
    for other in profiles:
        name = offered.get(other.runtime)
        if name is None or not _comparable(other, header, here=here):
            continue
        with suppress(SpaceError):
            found[other.runtime] = _there(model, fit_profile(profile_path(other)), name)
    unknown = {r: name for r, name in offered.items() if r not in {header.runtime, *found}}
    return Comparison(
        own,
        tuple(sorted(found.values(), key=lambda known: known.latency_ms)),
        tuple(name for r, name in unknown.items() if here and _version(r)),
    )


def _own_fit(target: Target, profiles: Sequence[ProfileHeader]) -> ProfiledLatency | None:
    """The fitted profile of a target, None where there is none; of several of a device that is
    elsewhere nobody knows which is meant. Raises `SpaceError` where it cannot be used."""
    if target.latency.endswith(FITTED):
        return load_fit(Path(target.latency))
    if is_elsewhere(target):
        asked = target.name, runtime_of(target).name
        known = [header for header in profiles if (header.target, header.runtime) == asked]
        return fit_profile(profile_path(known[0])) if len(known) == 1 else None
    path = profile_path(header_of(target))
    return fit_profile(path) if path.exists() else None


def _there(model: Subnet, fit: ProfiledLatency, name: str) -> RuntimeThere:
    """What a profile says of a model. Raises `SpaceError` where it does not cover it."""
    return RuntimeThere(fit.note.profile.runtime, name, *whole(model_latency(model, fit)))


def _library_targets() -> dict[str, str]:
    """Runtime -> the library's target that measures it on this machine. Its rules are what other
    machines' files are exported by as well."""
    found: dict[str, str] = {}
    for page in sorted((library() / "targets").glob("*.space")):
        target = load(page.stem)
        if isinstance(target, Target) and target.measured:
            found[runtime_of(target).name] = target.name
    return found


def _comparable(other: ProfileHeader, own: ProfileHeader, *, here: bool) -> bool:
    """Is a profile one of another runtime on the same machine, by all of its rules, and, on this
    machine, of the version that is installed?"""
    runtime = runtimes().get(other.runtime)
    if runtime is None or other.runtime == own.runtime:
        return False
    same = (other.machine, other.threads) == (own.machine, own.threads)
    whole = other.rules == digest(runtime.rules.model_dump(mode="json"))
    return same and whole and (not here or other.version == _version(other.runtime))


def _version(runtime: str) -> str | None:
    with suppress(SpaceError):
        return need(runtimes()[runtime])
    return None
