"""How much memory is free here."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int | None:
    """Bytes that are free on a device, None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_here(), default=None)


def _free_here() -> Iterator[int]:
    """What the machine, its container and this process's limit each leave."""
    said = _read(Path("/proc/meminfo"))
    if available := re.search(r"^MemAvailable:\s+([0-9]+) kB", said, re.MULTILINE):
        yield int(available[1]) * 1024
    most, used = (_read(CGROUP / f"memory.{name}").strip() for name in ("max", "current"))
    if most.isdecimal() and used.isdecimal():
        yield max(0, int(most) - int(used))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = re.search(r"^VmSize:\s+([0-9]+) kB", _read(Path("/proc/self/status")), re.MULTILINE)
    if limit != resource.RLIM_INFINITY and taken:
        yield max(0, limit - int(taken[1]) * 1024)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
