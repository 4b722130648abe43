"""Where files are run: on this machine, or on 64-bit ARM that QEMU emulates. `scripts/arm-parity`
makes the folder (`ROOT`) of the latter: an ARM Debian with Python, and the runtimes' packages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spacedsl.hosts.host import options_here
from tests.arm import guest

EMULATOR = "qemu-aarch64-static"
ROOT = "SPACEDSL_ARM_ROOT"
"""The environment variable that names the folder."""

PACKAGES = "packages"
HERE = "this machine"


@dataclass(frozen=True, slots=True)
class Cpu:
    """A CPU that QEMU emulates. `model` is its option `-cpu`; `implementer` and `part` are what
    /proc/cpuinfo says of it, without which the runtimes do not start."""

    name: str
    model: str
    implementer: str
    part: str
    features: str


CPUS = (
    Cpu("cortex-a72", "cortex-a72", "0x41", "0xd08", "asimd"),
    Cpu("neoverse-n1", "neoverse-n1", "0x41", "0xd0c", "asimd asimddp"),
    Cpu("max", "max,sme=off", "0x41", "0xd49", "asimd asimddp i8mm sve sve2"),
)
"""8-bit kernels differ by feature: none, the dot product, and matrix products. QEMU 7.2 emulates
SME wrongly, so it is off; `max` is shown as a Neoverse N2, since ONNX Runtime crashes on a CPU that
it does not know."""

SHORT_CPUS = (CPUS[0], CPUS[2])
"""Those of the short form: the oldest and the newest."""

CPUINFO = """processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp {features}
CPU implementer\t: {implementer}
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 0
"""


def missing() -> str | None:
    """Why nothing can be emulated here, or None."""
    root = os.environ.get(ROOT)
    if root and (Path(root) / PACKAGES).is_dir():
        return None
    return f"no emulated ARM: `scripts/arm-parity --setup FOLDER` makes one, and {ROOT} names it"


def run_here(folder: Path, runtime: str) -> None:
    """Run the files of a folder with this machine's CPU."""
    entries = options_here(runtime)
    more = [f"{key}={value}" for key, value in entries.items()]
    call([sys.executable], folder, [runtime, *more], os.environ)


def run_emulated(cpu: Cpu, folder: Path, runtime: str) -> None:
    """Run them on an emulated CPU."""
    root = Path(os.environ[ROOT]).resolve()
    files = folder / f"root-{cpu.name}"
    if not files.exists():
        show_as(cpu, root, files)
    emulated = [EMULATOR, "-cpu", cpu.model, "-L", str(files), str(files / "usr/bin/python3")]
    environment = {"PYTHONPATH": str(root / PACKAGES), "OPENBLAS_NUM_THREADS": "1"}
    call(emulated, folder, [runtime], environment)


def show_as(cpu: Cpu, root: Path, files: Path) -> None:
    """The files that programs see: those of the root, but for the /proc/cpuinfo of this CPU."""
    (files / "proc").mkdir(parents=True)
    for entry in root.iterdir():
        if entry.name != "proc":
            (files / entry.name).symlink_to(entry)
    said = CPUINFO.format(features=cpu.features, implementer=cpu.implementer, part=cpu.part)
    (files / "proc" / "cpuinfo").write_text(said)


def call(
    python: list[str], folder: Path, arguments: list[str], environment: Mapping[str, str]
) -> None:
    """Run `guest.py`. Raises `RuntimeError` with what it printed where it fails."""
    command = [*python, guest.__file__, str(folder), *arguments]
    done = subprocess.run(
        command, check=False, env=dict(environment), capture_output=True, text=True
    )
    if done.returncode:
        shown = " ".join(command)
        raise RuntimeError(f"{shown}: exit status {done.returncode}\n{done.stderr[-2000:]}")
