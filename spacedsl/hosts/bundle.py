"""The modules that are sent to another machine, and the line that starts them there."""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

MODULES = (
    "diagnostics",
    "files",
    "text",
    "vocabulary",
    "hosts/__init__",
    "hosts/measure",
    "hosts/runner",
    "operators/__init__",
    "operators/activation",
    "operators/activations",
    "operators/layer",
    "operators/operator",
    "operators/operators",
    "operators/size",
    "operators/window",
    "runtimes/__init__",
    "runtimes/litert",
    "runtimes/litert_c",
    "runtimes/litert_profile",
    "runtimes/onnxruntime",
    "runtimes/openvino",
    "runtimes/quiet",
)
"""They import each other, the standard library, numpy and a runtime; a test holds that."""

START = """
import json, os, shutil, sys, tempfile
def fail(code, message):
    print(json.dumps({"error": code, "message": message}), flush=True)
    sys.exit(1)
if sys.version_info < (3, 11):
    fail("wrong-version", "Python is " + sys.version.split()[0] + " there, 3.11 is needed")
folder = None
try:
    folder = tempfile.mkdtemp(prefix="spacedsl-")
    path = os.path.join(folder, "runner.zip")
    with open(path, "wb") as file:
        file.write(sys.stdin.buffer.read(SIZE))
    sys.path.insert(0, path)
    try:
        from spacedsl.hosts.runner import serve
    except ImportError as error:
        fail("missing-extra", str(error))
    serve(folder)
except OSError as error:
    fail("device-full" if error.errno in (27, 28, 122) else "lost-device", str(error))
finally:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
"""
"""Written for older Pythons too, which it names."""


def bundle() -> bytes:
    """The modules as a zip."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("spacedsl/__init__.py", "")
        for module in MODULES:
            file.writestr(f"spacedsl/{module}.py", (ROOT / f"{module}.py").read_bytes())
    return data.getvalue()


def start_line(python: str, size: int) -> str:
    """The command that starts the runner in a shell there; `size` bytes of its input are the
    bundle."""
    code = START.replace("SIZE", str(size))
    return f"exec {shlex.quote(python)} -u -c {shlex.quote(code)}"
