"""Another machine with the runner on it, at the other end of a process's input and output."""

from __future__ import annotations

import hashlib
import json
import math
import queue
import subprocess
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacedsl.diagnostics import SpaceError, fault
from spacedsl.figures import listed
from spacedsl.files import read_bounded
from spacedsl.hosts.bundle import MODULES, bundle
from spacedsl.hosts.measure import Run, Take, Visit
from spacedsl.runtimes.machine import Machine, machine_from
from spacedsl.runtimes.record import Runtime

MOST_ANSWER = 64 << 20
"""Bytes of an answer."""

MOST_MODELS = 256 << 20
"""Bytes of models that the other machine keeps at a time."""

MOST_FILE = 1 << 30
ANSWER_S = 300.0
"""Seconds that an answer may take: a round is over in less."""

SAID = 2_000
"""Characters of the last words of the connection that are shown."""

KEPT = "what was measured before is kept: the same command goes on where it was"


class RemoteRun:
    """A session there."""

    def __init__(self, remote: Remote, number: int) -> None:
        self.remote, self.number, self.runs = remote, number, 0
        weakref.finalize(self, remote.closed.append, number)

    def __call__(self) -> None:
        """One inference."""
        self.remote.ask({"do": "once", "run": self.number})

    def close(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """The nodes of a profiled one and their times in ms."""
        found = self.remote.ask({"do": "nodes", "run": self.number})
        try:
            names = tuple(str(name) for name in found["names"])
            times = np.array(found["times_ms"], dtype=np.float64).reshape(self.runs, len(names))
        except (KeyError, TypeError, ValueError):
            raise self.remote.nonsense("times of nodes") from None
        if not np.isfinite(times).all() or times.min(initial=0) < 0:
            raise self.remote.nonsense("times of nodes")
        return names, times


class Remote:
    """The runner that `command` reaches; `name` is where. Raises `SpaceError` where it does not."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.closed: list[int] = []
        self._models: OrderedDict[str, int] = OrderedDict()
        self._opened = 0
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  closed in `close`
        self._answers: queue.Queue[bytes] = queue.Queue(maxsize=4)
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words
            )
        except OSError as error:
            self._words.close()
            message = f"cannot start {command[0]}: {error.strerror}"
            raise fault("no-device", message, "is it installed?") from None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._send(bundle())
            said = self._answer()
            self._machine = self._described(said)
        except SpaceError:
            self.close()
            raise

    def _listen(self) -> None:
        output = self._process.stdout
        while output is not None and (line := output.readline(MOST_ANSWER + 1)):
            self._answers.put(line)
            if len(line) > MOST_ANSWER:
                return
        self._answers.put(b"")

    def _described(self, said: Mapping[str, Any]) -> Machine:
        try:
            packages = {str(k): str(v) for k, v in said["packages"].items()}
            texts = [str(said[key]) for key in ("cpuinfo", "architecture", "processor")]
            return machine_from(texts[0], texts[1], int(said["cores"]), packages, texts[2])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self.nonsense("what it says of itself") from None

    @property
    def machine(self) -> Machine:
        """Its CPU and the packages there."""
        return self._machine

    def version(self, runtime: Runtime) -> str:
        """Of the runtime there. A package's own runtime is refused: its module stays here."""
        if runtime.module.removeprefix("spacedsl.").replace(".", "/") not in MODULES:
            message = f"{runtime.title} is an installed package's, and runs on this machine only"
            raise fault("bad-option", message, "leave --on out, or name a runtime of spacedsl")
        known = (runtime.packages[0], *runtime.stand_ins)
        found = [self._machine.packages[p] for p in known if self._machine.packages.get(p)]
        if not found or found[0] is None:
            message = f"{self.name} has no {runtime.title}"
            raise fault("missing-extra", message, f"there: pip install {runtime.packages[0]} numpy")
        return found[0]

    def open(self, runtime: Runtime, model: bytes | Path, threads: int, seed: int = 0) -> Run:
        """A session there."""
        return self._open(runtime, model, threads, seed=seed, profiled=False)

    def require_nodes(self, runtime: Runtime) -> None:
        """Raises `SpaceError` where the runtime's stand-in is there, which times whole networks
        only."""
        self.version(runtime)
        if not self._machine.packages.get(runtime.packages[0]):
            message = f"{self.name} has {listed(runtime.stand_ins)}, which times no operators"
            raise fault("missing-extra", message, f"there: pip install {runtime.packages[0]}")

    def profiled(self, runtime: Runtime, model: bytes, threads: int, folder: Path) -> RemoteRun:
        """The same, its nodes timed."""
        return self._open(runtime, model, threads, seed=0, profiled=True)

    def _open(
        self, runtime: Runtime, model: bytes | Path, threads: int, *, seed: int, profiled: bool
    ) -> RemoteRun:
        self.version(runtime)
        data = model if isinstance(model, bytes) else read_bounded(model, MOST_FILE)
        name = hashlib.sha256(data).hexdigest()
        self._keep(name, data)
        self._opened += 1
        self.ask(
            {
                "do": "open",
                "run": self._opened,
                "model": name,
                "module": runtime.module,
                "threads": threads,
                "options": runtime.options(self._machine),
                "seed": seed,
                "profiled": profiled,
            }
        )
        return RemoteRun(self, self._opened)

    def _keep(self, name: str, data: bytes) -> None:
        """Send a model that is not there, and have the oldest forgotten."""
        if name in self._models:
            self._models.move_to_end(name)
            return
        forgotten = []
        while self._models and sum(self._models.values()) + len(data) > MOST_MODELS:
            forgotten.append(self._models.popitem(last=False)[0])
        closed = [self.closed.pop() for _ in range(len(self.closed))]
        self.ask({"do": "drop", "models": forgotten, "close": closed})
        self.ask({"do": "model", "model": name}, data)
        self._models[name] = len(data)

    def rounds(self, clock: str) -> Take:
        """Rounds there."""

        def take(runs: Sequence[Run], turn: int, visit: Visit) -> list[float]:
            sessions = [run for run in runs if isinstance(run, RemoteRun)]
            request = {
                "do": "round",
                "runs": [run.number for run in sessions],
                "turn": turn,
                "clock": clock,
                "warm": visit.warm,
                "timed": visit.timed,
                "warm_s": visit.warm_s,
            }
            found = self.ask(request)
            try:
                times = [float(time) for time in found["times"]]
                for run, ran in zip(sessions, found["ran"], strict=True):
                    run.runs = int(ran)
            except (KeyError, TypeError, ValueError):
                raise self.nonsense("times") from None
            if len(times) != len(runs) or not all(math.isfinite(t) and t >= 0 for t in times):
                raise self.nonsense("times")
            return times

        return take

    def ask(self, request: dict[str, Any], payload: bytes = b"") -> dict[str, Any]:
        """The answer to a request. Raises `SpaceError` for one that is an error, or where there is
        none."""
        line = json.dumps({**request, "bytes": len(payload)}).encode() + b"\n"
        self._send(line + payload)
        return self._answer()

    def _send(self, data: bytes) -> None:
        inlet = self._process.stdin
        with suppress(OSError):  # the answer, or its absence, says why
            if inlet is not None:
                inlet.write(data)
                inlet.flush()

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=ANSWER_S)
        except queue.Empty:
            raise self._lost(f"no answer within {ANSWER_S:.0f} seconds") from None
        if not line:
            raise self._lost(f"the connection ended{self._last_words()}")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise self.nonsense("its answer") from None
        if not isinstance(found, dict):
            raise self.nonsense("its answer")
        if "error" in found:
            raise self._said(found)
        return found

    def _said(self, found: Mapping[str, Any]) -> SpaceError:
        """An error that the runner reports. Its code is one of a few: others are its own."""
        code, message = str(found["error"]), _shown(str(found.get("message", "")))
        full = "its disk is full: " if code == "device-full" else ""
        known = CODES.get(code, "lost-device")
        return fault(known, f"{self.name}: {full}{message}", HELPS.get(known, KEPT))

    def nonsense(self, what: str) -> SpaceError:
        """The error for an answer that makes no sense."""
        return fault("bad-reply", f"{self.name}: {what} cannot be read", KEPT)

    def _lost(self, why: str) -> SpaceError:
        code = "lost-device" if hasattr(self, "_machine") else "no-device"
        return fault(code, f"{self.name}: {why}", KEPT if code == "lost-device" else REACH)

    def _last_words(self) -> str:
        """What the program that holds the connection said at last, and how it ended."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ""
        self._words.seek(0)
        lines = self._words.read(1 << 20).decode(errors="replace").strip().splitlines()
        words = _shown(lines[-1]) if lines else ""
        return f" (exit code {code})" + (f": {words}" if words else "")

    def close(self) -> None:
        """End the runner."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(timeout=5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._words.close()


def _shown(text: str) -> str:
    """What a stranger's text may look like on a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:SAID])


REACH = "does `ssh` reach it without a password, and is there a python3?"
CODES = {
    code: code
    for code in (
        "device-full", "lost-device", "wrong-version", "missing-extra", "bad-onnx", "bad-tflite",
        "bad-profile",
    )
}  # fmt: skip
HELPS = {
    "device-full": "make room there; " + KEPT,
    "bad-profile": "is the disk of temporary files full there? " + KEPT,
    "missing-extra": "there: pip install numpy and the runtime (onnxruntime, ai-edge-litert)",
    "wrong-version": "name another Python: ssh://USER@HOST/path/to/python3",
}
