"""Where a machine's profiles are kept, and which one is a target's."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from pathlib import Path

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.hosts.host import HERE, Host
from spacedsl.ir.identity import digest
from spacedsl.ir.target import Target
from spacedsl.runtimes.machine import Machine, this_machine
from spacedsl.runtimes.table import rules_of, runtime_of
from spacedsl.targets.deployment import version_on
from spacedsl.targets.profile_file import AGAIN, Profile, ProfileHeader, read_header, read_profile
from spacedsl.targets.said import need_here

NEEDED = ("filelock", "platformdirs")


def need_cpu_extra() -> None:
    """Raise `SpaceError` unless what profiling needs is installed."""
    for name in _missing():
        message = f"this needs the package {name}, which is not installed"
        raise fault("missing-extra", message, "pip install 'spacedsl[cpu]'")


def _missing() -> list[str]:
    """Packages that profiling needs and that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def header_of(target: Target, host: Host = HERE) -> ProfileHeader:
    """What a profile of `target` taken now on `host` says of itself. Raises `SpaceError`."""
    if host is HERE:
        need_here(target)
    need_cpu_extra()
    machine, runtime = host.machine, runtime_of(target)
    return ProfileHeader(
        target=target.name,
        machine=machine_words(machine),
        runtime=runtime.name,
        version=version_on(host, target),
        threads=target.threads,
        session=runtime.options(machine),
        rules=digest(rules_of(target).model_dump(mode="json")),
    )


def machine_words(machine: Machine | None = None) -> dict[str, str]:
    """What tells a machine (None: this one) from others."""
    machine = machine or this_machine()
    return {
        "cpu": machine.cpu,
        "architecture": machine.architecture,
        "features": " ".join(machine.features or ("unknown",)),
    }


def profile_path(header: ProfileHeader) -> Path:
    """The profile's place in the user's cache directory: by target, machine, session and rules, so
    that a home directory shared by several machines holds one for each."""
    known = [header.format, header.machine, header.runtime, header.threads, header.session]
    return _path(header, [*known, header.rules])


def cached_headers() -> list[ProfileHeader]:
    """The headers of all profiles in the cache that can be used. There are none without the extra
    `cpu`, which takes profiles."""
    if _missing():
        return []
    found: list[ProfileHeader] = []
    for path in sorted(_folder().glob("*.profile")):
        with suppress(SpaceError):
            header = read_header(path)
            if path == profile_path(header):
                found.append(header)
    return found


def outdated_profile(header: ProfileHeader) -> Path | None:
    """The profile that an earlier version of spacedsl took in this one's stead, where there is
    one: by other kernels or measured in another way, so it is not used."""
    known = [header.machine, header.runtime, header.threads, header.rules]
    path = _path(header, known)
    return path if path.exists() else None


def _path(header: ProfileHeader, known: list[object]) -> Path:
    return _folder() / f"{header.target}-{digest(known)[:12]}.profile"


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("spacedsl") / "profiles"


def load_profile(header: ProfileHeader) -> Profile | None:
    """The cached profile, None where there is none. Raises `SpaceError` where it is damaged, of
    another machine (a copied cache) or of another version of the runtime."""
    path = profile_path(header)
    if not path.exists():
        return None
    found = read_profile(path)
    check_profile(path, found.header, header)
    return found


def check_profile(path: Path, found: ProfileHeader, wanted: ProfileHeader) -> None:
    """Raise `SpaceError` unless `found` is what a profile taken now would be of."""
    if found == wanted:
        return
    help = AGAIN.format(name=wanted.target)
    if found.version != wanted.version:
        message = (
            f"{path} was measured with {found.runtime} {found.version}, here is {wanted.version}"
        )
        raise fault("wrong-version", message, help)
    differing = [
        f"its {key} is {_shown(getattr(found, key))}, this one's is {_shown(getattr(wanted, key))}"
        for key in type(wanted).model_fields
        if getattr(found, key) != getattr(wanted, key)
    ]
    message = f"{path} is the profile of another machine or target: {'; '.join(differing)}"
    raise fault("foreign-profile", message, help)


def _shown(value: object) -> str:
    words = value.values() if isinstance(value, dict) else [value]
    return ", ".join(str(word)[:60] for word in words)
