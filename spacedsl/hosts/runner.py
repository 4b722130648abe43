"""Opens and times sessions on another machine, as the machine with the search tells it.

It is sent there with the modules it needs (`spacedsl.hosts.bundle`) and runs with Python, numpy and
the runtime alone. A request is a line of JSON, with a model's bytes after it where it says so; the
answer is a line of JSON. The end of the input ends it."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, BinaryIO

from spacedsl.diagnostics import SpaceError
from spacedsl.hosts.measure import CLOCKS, Visit, timed_round

PACKAGES = (
    "numpy", "onnxruntime", "ai-edge-litert", "flatbuffers", "tflite-runtime", "openvino",
)  # fmt: skip
CPUINFO = Path("/proc/cpuinfo")
HEAD, TAIL = 16_384, 2_048
"""Characters of /proc/cpuinfo that are told: of the first processor, and what stands at the end."""


class Runner:
    """What is open. `folder` is for files of the runtimes' profilers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._models: dict[str, bytes] = {}
        self._runs: dict[int, Any] = {}

    def model(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Keep a model's bytes under the name `model`."""
        self._models[request["model"]] = payload
        return {}

    def drop(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Forget `models` and close the runs `close`."""
        for name in request["models"]:
            self._models.pop(name, None)
        for number in request["close"]:
            self._runs.pop(number, None)
        return {}

    def open(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Open a model as the run `run`, `profiled` or not."""
        sessions = import_module(request["module"])
        model = self._models[request["model"]]
        common = (model, request["threads"], request["options"])
        if request["profiled"]:
            self._runs[request["run"]] = sessions.profiled(*common, self._folder)
        else:
            self._runs[request["run"]] = sessions.timed(*common, request["seed"])
        return {}

    def once(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """One inference."""
        self._runs[request["run"]]()
        return {}

    def round(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Time a round of `runs`; also how often the profiled ones ran so far."""
        runs = [self._runs[number] for number in request["runs"]]
        visit = Visit(request["warm"], request["timed"], request["warm_s"])
        times = timed_round(runs, request["turn"], CLOCKS[request["clock"]], visit)
        return {"times": times, "ran": [getattr(run, "runs", 0) for run in runs]}

    def nodes(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """End profiling: the nodes' names and times."""
        names, times_ms = self._runs.pop(request["run"]).close()
        return {"names": list(names), "times_ms": times_ms.round(6).tolist()}

    def answer(self, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Do what a request says."""
        known: dict[str, Callable[[dict[str, Any], bytes], dict[str, Any]]] = {
            "model": self.model,
            "drop": self.drop,
            "open": self.open,
            "once": self.once,
            "round": self.round,
            "nodes": self.nodes,
        }
        return known[request["do"]](request, payload)


def described() -> dict[str, Any]:
    """This machine, as the first line says it."""
    info = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    packages: dict[str, str] = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpuinfo": info if len(info) <= HEAD + TAIL else f"{info[:HEAD]}\n{info[-TAIL:]}",
        "architecture": platform.machine(),
        "processor": platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "python": platform.python_version(),
        "packages": packages,
    }


def serve(folder: str) -> None:
    """Answer until the input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    runner = Runner(Path(folder))
    _write(answers, described())
    while line := requests.readline():
        request = json.loads(line)
        payload = requests.read(request.get("bytes", 0))
        if len(payload) < request.get("bytes", 0):
            return
        try:
            answer = runner.answer(request, payload)
        except SpaceError as error:
            first = error.diagnostics[0]
            answer = {"error": first.code, "message": first.message, "help": first.help}
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            answer = {"error": "device-full" if full else "lost-device", "message": str(error)}
        except Exception as error:  # whatever a runtime raises is said there
            answer = {"error": "lost-device", "message": f"{type(error).__name__}: {error}"}
        _write(answers, answer)


def _write(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()
