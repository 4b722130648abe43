"""What this machine can do in 8 bits: CPU features, runtimes, installed extras."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from spacedsl.runtimes.table import runtimes

CPUINFO = Path("/proc/cpuinfo")

FEATURES = {
    "vnni": ("avx512_vnni", "avx_vnni"),
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "amx-int8": ("amx_int8",),
    "neon": ("asimd", "neon"),
    "fp16": ("asimdhp",),
    "dotprod": ("asimddp",),
    "i8mm": ("i8mm",),
    "sve": ("sve",),
    "sve2": ("sve2",),
    "sme": ("sme",),
}
"""Our word for a feature -> the words of /proc/cpuinfo, one of which must be there."""

X86 = ("x86_64", "amd64", "i686", "i386")

TORCH = {"torch": ("torch",)}


def extras() -> dict[str, tuple[str, ...]]:
    """Extra -> the packages that it installs: the runtimes', and what trains."""
    return {runtime.extra: runtime.packages for runtime in runtimes().values()} | TORCH


EXACT = ("vnni", "amx-int8")
"""Features with any of which 8-bit products are summed in 32 bits."""

PRECISE = "session.x64quantprecision"
"""The session option that makes ONNX Runtime choose kernels which do not saturate on x86. CPUs with
`EXACT` features have exact kernels anyway, and the option makes them 1.5 to 2.6 times slower."""

SATURATES = (
    "this x86 CPU has no VNNI: ONNX Runtime's fast U8S8 kernels add pairs of products in 16 bits "
    f"and saturate; set its session option `{PRECISE}` to 1, as every command here "
    "does, to get the trained network's results"
)
UNKNOWN = (
    "this machine does not tell its CPU features (no /proc/cpuinfo), so VNNI is not known: every "
    f"command here sets ONNX Runtime's session option `{PRECISE}` to 1, which is exact everywhere "
    "and slower than need be where there is VNNI"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """`features`: those of `FEATURES` this CPU has, None where it does not say. `packages`:
    installed version of every package an extra needs, None where it is missing."""

    cpu: str
    architecture: str
    cores: int
    features: tuple[str, ...] | None
    packages: dict[str, str | None]

    @property
    def x86(self) -> bool:
        """Is it an x86 processor?"""
        return self.architecture.lower() in X86

    @property
    def onnxruntime_session(self) -> dict[str, str]:
        """The entries that ONNX Runtime's sessions need here beyond those of a plain one: none but
        on x86 CPUs that are not known to be exact."""
        exact = not self.x86 or bool(set(EXACT).intersection(self.features or ()))
        return {} if exact else {PRECISE: "1"}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before INT8 results of this machine are trusted."""
        if not self.onnxruntime_session:
            return ()
        return (UNKNOWN,) if self.features is None else (SATURATES,)

    def to_json(self) -> dict[str, Any]:
        """Every field, the extras that can be used, and how sessions are opened."""
        usable = {n: all(self.packages.get(p) for p in needs) for n, needs in extras().items()}
        return {
            **asdict(self),
            "extras": usable,
            "onnxruntime_session": self.onnxruntime_session,
            "warnings": list(self.warnings),
        }


def this_machine() -> Machine:
    """The machine this runs on. Imports none of the packages it looks for."""
    info = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    return machine_from(info, platform.machine(), usable_cores(), None, platform.processor())


def said_session(entries: Mapping[str, str]) -> str:
    """The entries of a session in words."""
    return ", ".join(f"{key}={value}" for key, value in entries.items()) or "plain"


def machine_from(
    cpuinfo: str,
    architecture: str,
    cores: int,
    packages: Mapping[str, str | None] | None = None,
    processor: str = "",
) -> Machine:
    """A machine as its /proc/cpuinfo describes it ("" where there is none); `packages`: those
    there, None for those here; `processor`: its name where that does not say it."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    words = fields.get("flags", fields.get("features"))
    features = None
    if words is not None:
        known = set(words.split())
        features = tuple(name for name, any_of in FEATURES.items() if known & set(any_of))
    if packages is None:
        packages = {name: _version(name) for needs in extras().values() for name in needs}
    cpu = fields.get("model name") or _named(fields) or processor or "unknown"
    return Machine(cpu, architecture, cores, features, dict(packages))


def _named(fields: Mapping[str, str]) -> str:
    """The name of an ARM machine, which says its board, or the numbers of its processor."""
    if "cpu part" not in fields:
        return ""
    numbers = f"ARM {fields.get('cpu implementer', '')} {fields['cpu part']}"
    return f"{fields['model']}, {numbers}" if "model" in fields else numbers


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
