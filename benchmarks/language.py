"""How fast pages are read: `python -m benchmarks.language`. Prints JSON; bounds are in brackets.

check_s, processor_s: wall and processor time of `spacedsl check` on a library page in a fresh
process, best of ten [0.35]; python_s: of `python -c pass`, interleaved.
lines_per_s: text to tree, on the library's pages joined [15,000].
page_lines: the page of the following figures; open_s: its first check.
recheck_ms [100]: after a change in a model, in a block, of a comment, in the hyperspace that most
others are of, and one that breaks the page. `function`: processor time of the check, median;
`server`: from the change sent to the diagnostics received, wall time, median; `server_processor`:
the server's processor time, mean (Linux). Wall times mean something on an idle machine only.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from spacedsl.lang.library import library
from spacedsl.lsp.findings import findings
from spacedsl.lsp.project import Project
from spacedsl.syntax.parser import parse_any
from spacedsl.text import Source
from tests.lsp.editor import Editor

RUNS = 10
LINES = 5_000
PAGE_LINES = 1_000


def cold_s(*args: str) -> tuple[float, float]:
    """Seconds of wall and of processor time of a Python process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *args], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def lines_per_s() -> float:
    """Best of several runs, in processor time."""
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted(library().rglob("*.space")))
    while text.count("\n") < LINES:
        text += "\n" + text
    source = Source("pages", text)
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        parsed = parse_any(source)
        times.append(time.process_time() - start)
        if parsed.errors:
            raise SystemExit(parsed.errors[0].message)
    return text.count("\n") / min(times)


def items(name: str) -> str:
    """A library page without its first statements."""
    lines = (library() / f"{name}.space").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("language", "use")))


def page() -> str:
    """Blocks, three hyperspaces, and spaces and models of them: at least `PAGE_LINES` lines."""
    names = ("std/blocks", "hyper", "onnxw", "mobilew", "vnni", "pixel4")
    text = "language 1\n" + "".join(map(items, names))
    number = 0
    while text.count("\n") < PAGE_LINES:
        number += 1
        text += items("vnni").replace("space vnni", f"space vnni{number}")
        for size in range(5):
            name = f"seqnet-vnni-a{size}"
            text += items(f"models/{name}").replace(f"model {name}", f"model {name}-{number}")
    return text


def changes(text: str) -> dict[str, Callable[[int], str]]:
    """What is typed: the nth text of each kind, which differs from all before."""

    def after(mark: str, new: str) -> str:
        at = text.index(mark) + len(mark)
        return text[:at] + new + text[at:]

    return {
        "model": lambda n: after("stage6 { 320 k3 e4", f" # {n}\n" + "  320 k3 e4" * (n % 2)),
        "block": lambda n: after("block mbv2-plain(", f"unused{n}, "),
        "comment": lambda n: after("language 1\n", f"# {n}\n"),
        "hyperspace": lambda n: after("hyperspace onnxw {\n", f"  # {n}\n" + "  quality" * (n % 2)),
        "broken": lambda n: after("space vnni of", f" {{ {n}"),
    }


def processor_ms(editor: Editor) -> float:
    """What the server has used so far; 0 where the system does not say."""
    server = editor.client._server
    stat = Path(f"/proc/{server.pid if server else 0}/stat")
    if not stat.is_file():
        return 0.0
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return 1e3 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def recheck() -> dict[str, object]:
    """Figures of one page in an editor."""
    text, project, path = page(), Project(), Path("page.space").resolve()
    figures: dict[str, object] = {"page_lines": text.count("\n")}
    project.put(path, text)
    start = time.perf_counter()
    if findings(project.page(path)):
        raise SystemExit("the page has errors")
    figures["open_s"] = round(time.perf_counter() - start, 2)
    editor = Editor(Path(tempfile.mkdtemp()))
    editor.open("page.space", text)
    for kind, change in changes(text).items():
        own, served = [], []
        before = processor_ms(editor)
        for n in range(RUNS):
            new = change(n)
            began = time.process_time()
            project.put(path, new)
            findings(project.page(path))
            own.append(time.process_time() - began)
            start = time.perf_counter()
            editor.type("page.space", new)
            served.append(time.perf_counter() - start)
        figures[f"recheck_ms {kind}"] = {
            "function": round(1e3 * statistics.median(own)),
            "server": round(1e3 * statistics.median(served)),
            "server_processor": round((processor_ms(editor) - before) / RUNS),
        }
    editor.close()
    return figures


if __name__ == "__main__":
    runs = [(cold_s("-m", "spacedsl", "check", "vnni"), cold_s("-c", "pass")) for _ in range(RUNS)]
    found = {
        "check_s": round(min(checked[0] for checked, _ in runs), 3),
        "processor_s": round(min(checked[1] for checked, _ in runs), 3),
        "python_s": round(min(empty[0] for _, empty in runs), 3),
        "lines_per_s": round(lines_per_s()),
        **recheck(),
    }
    print(json.dumps(found, indent=2))
