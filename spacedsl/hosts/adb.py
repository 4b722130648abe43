"""Android devices that `adb` reaches, by LiteRT's own benchmark program.

The program is the user's: `benchmark_model` of LiteRT, pushed to the device beforehand. A run of it
is a fresh process, so a visit is one run of the program with the visit's numbers of warm-up and
timed inferences."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.hosts.measure import Run, Take, Visit
from spacedsl.hosts.remote import KEPT
from spacedsl.runtimes.machine import Machine, machine_from
from spacedsl.runtimes.record import Profiled, Runtime

SCHEME = "adb"
FORM = "adb:SERIAL[/path/to/benchmark_model]"
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
PROGRAM = "/data/local/tmp/benchmark_model"
FOLDER = "/data/local/tmp"
PATH = re.compile(r"/[A-Za-z0-9._/-]+")

COMMAND_S = 300.0
MOST_OUTPUT = 16 << 20

LEAST = re.compile(r"count=\d+[^\n]*?\bmin=(\d+)")
FULL = re.compile(r"No space left on device", re.IGNORECASE)


class AdbRun:
    """A model on the device; the program opens it afresh each time it runs."""

    def __init__(self, device: Adb, file: str, threads: int) -> None:
        self._device, self._file, self._threads = device, file, threads

    def __call__(self) -> None:
        """One inference."""
        self.visited(Visit(0, 1, 0.0))

    def visited(self, visit: Visit) -> float:
        """The best of a visit's timed inferences, in seconds."""
        said = self._device.shell(
            self._device.program,
            f"--graph={self._file}",
            f"--num_threads={self._threads}",
            f"--warmup_runs={visit.warm}",
            f"--warmup_min_secs={visit.warm_s}",
            f"--num_runs={visit.timed}",
            "--min_secs=0",
            "--use_xnnpack=true",
        )
        found = LEAST.findall(said)
        if not found or int(found[-1]) <= 0:
            message = f"{self._device.name}: {self._device.program} says no times"
            raise fault("bad-reply", message, "is it LiteRT's benchmark_model?")
        return int(found[-1]) * 1e-6


class Adb:
    """The device with this serial number."""

    def __init__(self, serial: str, program: str) -> None:
        self.name, self.program, self._serial = f"adb:{serial}", program, serial
        self._files: set[str] = set()
        self._runtime_version: str | None = None
        architecture = self.shell("uname", "-m").strip()
        cores = self.shell("nproc").strip()
        model = self.shell("getprop", "ro.product.model").strip()
        info = self.shell("cat", "/proc/cpuinfo")
        if not cores.isdecimal() or not architecture:
            raise fault("bad-reply", f"{self.name}: what it says of itself cannot be read", None)
        self._machine = machine_from(f"model name : {model}\n{info}", architecture, int(cores), {})

    @property
    def machine(self) -> Machine:
        """Its CPU."""
        return self._machine

    def version(self, runtime: Runtime) -> str:
        """The program's: by its content, since it does not tell a version that could be relied
        upon."""
        if runtime.name != "litert":
            message = f"{self.name} runs LiteRT's files, not those of {runtime.title}"
            raise fault("bad-option", message, 'say `runtime "litert"` in the page')
        if self._runtime_version is None:
            found = re.match(r"([0-9a-f]{12})", self.shell("sha256sum", self.program))
            if found is None:
                message = f"{self.name} has no program {self.program}"
                raise fault("missing-extra", message, f"push LiteRT's benchmark_model, or {FORM}")
            self._runtime_version = f"benchmark-{found[1]}"
        return self._runtime_version

    def open(self, runtime: Runtime, model: bytes | Path, threads: int, seed: int = 0) -> AdbRun:
        """Push the model. The program feeds random numbers of its own."""
        self.version(runtime)
        data = model if isinstance(model, bytes) else model.read_bytes()
        file = f"{FOLDER}/spacedsl-{hashlib.sha256(data).hexdigest()[:32]}.tflite"
        if file not in self._files:
            with tempfile.TemporaryDirectory(prefix="spacedsl-") as folder:
                path = Path(folder) / "model.tflite"
                path.write_bytes(data)
                self._adb("push", str(path), file)
            self._files.add(file)
        return AdbRun(self, file, threads)

    def require_nodes(self, runtime: Runtime) -> None:
        """Raises `SpaceError`. A profile takes the fastest runs of every operator, under the names
        of the plan. The program there prints averages, under XNNPACK's own names."""
        self.version(runtime)
        raise self._no_nodes()

    def _no_nodes(self) -> SpaceError:
        message = f"{self.name} times whole networks, and a profile needs the times of operators"
        help = (
            "time networks of `sample` there (`bench --on`), then "
            "`spacedsl tables fit --latencies FILE.csv`: docs/devices.md"
        )
        return fault("bad-option", message, help)

    def profiled(self, runtime: Runtime, model: bytes, threads: int, folder: Path) -> Profiled:
        """Raises `SpaceError`."""
        raise self._no_nodes()

    def rounds(self, clock: str) -> Take:
        """Rounds there, by the wall's clock, which is the program's."""

        def take(runs: Sequence[Run], turn: int, visit: Visit) -> list[float]:
            best = [0.0] * len(runs)
            for i in range(len(runs)):
                place = (i + turn) % len(runs)
                run = runs[place]
                if isinstance(run, AdbRun):
                    best[place] = run.visited(visit)
            return best

        return take

    def shell(self, *words: str) -> str:
        """What a command prints there."""
        return self._adb("shell", *words)

    def _adb(self, *words: str) -> str:
        command = ["adb", "-s", self._serial, *words]
        with tempfile.TemporaryFile() as output:
            try:
                done = subprocess.run(  # noqa: S603
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    timeout=COMMAND_S, check=False,
                )  # fmt: skip
            except OSError as error:
                message = f"cannot start adb: {error.strerror}"
                raise fault("no-device", message, "install Android's platform tools") from None
            except subprocess.TimeoutExpired:
                message = f"{self.name}: no answer within {COMMAND_S:.0f} seconds"
                raise fault("lost-device", message, KEPT) from None
            output.seek(0)
            said = output.read(MOST_OUTPUT).decode(errors="replace")
        if done.returncode == 0:
            return said
        lines = said.strip().splitlines()
        last = "".join(c if c.isprintable() else "?" for c in lines[-1][:500]) if lines else ""
        if FULL.search(said):
            raise fault("device-full", f"{self.name}: its disk is full: {last}", KEPT)
        message = f"{self.name}: `adb {words[0]}` ended with {done.returncode}: {last}"
        raise fault("lost-device", message, KEPT)

    def close(self) -> None:
        """Remove the models from the device."""
        if self._files:
            self.shell("rm", "-f", *sorted(self._files))


@contextmanager
def open_adb(where: str) -> Iterator[Adb]:
    """The device `adb:SERIAL`; a path after it names the program there. Raises `SpaceError`."""
    serial, slash, rest = where.removeprefix(f"{SCHEME}:").partition("/")
    program = slash + rest or PROGRAM
    if not SERIAL.fullmatch(serial) or not PATH.fullmatch(program):
        raise fault("bad-option", f"{where} is no device", f"write {FORM}")
    device = Adb(serial, program)
    try:
        yield device
    finally:
        device.close()
