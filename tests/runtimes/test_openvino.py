"""OpenVINO in this process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import ROOT

AFTERWARDS = """
import gc, os, signal
from pathlib import Path
from spacedsl.runtimes.openvino import timed
first, second = (timed(Path("examples/closet/closet.onnx"), 1, {}) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("answered"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_answered_once_networks_are_gone() -> None:
    """The first to come is the first to go."""
    pytest.importorskip("openvino")
    words = [sys.executable, "-c", AFTERWARDS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "answered\n"), done.stderr
