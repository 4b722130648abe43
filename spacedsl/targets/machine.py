"""What this machine can do in 8 bits: CPU features, runtimes, installed extras."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")

FEATURES = {
    "vnni": ("avx512_vnni", "avx_vnni"),
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "amx-int8": ("amx_int8",),
    "dotprod": ("asimddp",),
    "i8mm": ("i8mm",),
}
"""Our word for a feature -> the words of /proc/cpuinfo, one of which must be there."""

X86 = ("x86_64", "amd64", "i686", "i386")

EXTRAS = {
    "onnx": ("onnx", "onnxruntime"),
    "torch": ("torch",),
    "tflite": ("ai-edge-litert",),
}

SATURATES = (
    "this x86 CPU has no VNNI: ONNX Runtime's fast U8S8 kernels add pairs of products in 16 bits "
    "and saturate; set its session option `session.x64quantprecision` to 1, as every command here "
    "does, to get the trained network's results"
)
UNKNOWN = "this machine does not tell its CPU features (no /proc/cpuinfo), so VNNI is not known"


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
    def warnings(self) -> tuple[str, ...]:
        """What to know before INT8 results of this machine are trusted."""
        if not self.x86:
            return ()
        if self.features is None:
            return (UNKNOWN,)
        return () if "vnni" in self.features else (SATURATES,)

    def to_json(self) -> dict[str, Any]:
        """Every field, and the extras that can be used."""
        extras = {name: all(self.packages[p] for p in needs) for name, needs in EXTRAS.items()}
        return {**asdict(self), "extras": extras, "warnings": list(self.warnings)}


def this_machine() -> Machine:
    """The machine this runs on. Imports none of the packages it looks for."""
    info = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    return machine_from(info, platform.machine(), usable_cores())


def machine_from(cpuinfo: str, architecture: str, cores: int) -> Machine:
    """A machine as its /proc/cpuinfo describes it ("" where there is none)."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    words = fields.get("flags", fields.get("features"))
    features = None
    if words is not None:
        known = set(words.split())
        features = tuple(name for name, any_of in FEATURES.items() if known & set(any_of))
    packages = {name: _version(name) for needs in EXTRAS.values() for name in needs}
    cpu = fields.get("model name", platform.processor() or "unknown")
    return Machine(cpu, architecture, cores, features, packages)


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
