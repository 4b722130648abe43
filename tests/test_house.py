"""The rules of the house: who may import whom, and what a start costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "spacedsl"
RUNTIME = ROOT / "runtime" / "spacedsl_runtime"
HEAVY = {
    "torch", "onnx", "onnxruntime", "tensorflow", "ai_edge_litert", "flatbuffers", "ray", "yaml",
    "matplotlib", "nn_meter", "sklearn", "openvino", "tflite_runtime",
}  # fmt: skip
STDLIB = sys.stdlib_module_names

ALLOWED = {
    "text": set(),
    "vocabulary": set(),
    "diagnostics": {"text", "vocabulary"},
    "syntax": {"syntax", "text", "diagnostics", "vocabulary"},
    "ir": {"ir"},
    "passes": {"passes", "ir"},
    "lang": {
        "lang",
        "syntax",
        "ir",
        "passes",
        "runtimes",
        "text",
        "diagnostics",
        "vocabulary",
        "files",
    },
    "runtimes": {"runtimes", "ir", "diagnostics", "files"},
    "hosts": {"hosts", "runtimes", "ir", "diagnostics", "files"},
    "search": {"search", "ir", "passes", "diagnostics"},
    "lsp": {
        "lsp",
        "cli",
        "lang",
        "syntax",
        "ir",
        "passes",
        "runtimes",
        "text",
        "diagnostics",
        "",
        "__version__",
    },
    "bridges": {"bridges", "lang", "ir", "passes", "text", "diagnostics", "files"},
}
"""Part of spacedsl -> the parts it may import, inside functions too."""

THIRD_PARTY = {
    "text": set(),
    "vocabulary": set(),
    "diagnostics": set(),
    "syntax": {"lark"},
    "ir": {"pydantic"},
    "passes": {"numpy"},
    "lang": set(),
    "runtimes": {
        "numpy",
        "onnxruntime",
        "openvino",
        "ai_edge_litert",
        "tflite_runtime",
    },
    "hosts": {"numpy"},
    "search": {"numpy", "ray"},
    "lsp": {"lsprotocol", "pygls"},
    "bridges": {"pydantic", "yaml"},
}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    yield from _imported(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def module_level_imports(path: Path) -> Iterator[str]:
    """What importing the file imports, but for what only type checkers read."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        yield from _imported([node])
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)


def _imported(nodes: Iterator[ast.AST] | list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield node.module
            if node.module == "spacedsl":
                yield from (f"spacedsl.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """`spacedsl.lang.page` -> `lang`."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("name", ALLOWED)
def test_parts_know_only_what_they_may(name: str) -> None:
    for path in files(PACKAGE / name):
        for module in imports(path):
            root = module.partition(".")[0]
            if root == "spacedsl":
                assert part(module) in ALLOWED[name], f"{path.name} imports {module}"
            elif root not in STDLIB:
                assert root in THIRD_PARTY[name], f"{path.name} imports {module}"


def test_only_the_server_knows_the_protocol() -> None:
    """What answers editors are functions of a page and an offset, and import no server."""
    for path in files(PACKAGE / "lsp"):
        if path.name not in ("server.py", "convert.py"):
            roots = {module.partition(".")[0] for module in imports(path)}
            assert not roots & THIRD_PARTY["lsp"], path


def test_nothing_heavy_is_imported_by_importing() -> None:
    for path in files(PACKAGE):
        heavy = {m.partition(".")[0] for m in module_level_imports(path)} & HEAVY
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"


KNOWN_TO_THE_RUNTIME = {"ir", "passes", "compiler", "diagnostics", "files", "api"}
"""The parts of spacedsl that the runtime is built from; all of them are free of torch."""


def test_the_runtime_knows_only_what_layers_and_members_are() -> None:
    for path in files(RUNTIME):
        for module in imports(path):
            if module.partition(".")[0] == "spacedsl":
                assert part(module) in KNOWN_TO_THE_RUNTIME, f"{path.name} imports {module}"


def test_what_a_plan_means_knows_no_torch_and_no_runtime() -> None:
    """Nothing that the runtime is built from leans on it."""
    for name in sorted(KNOWN_TO_THE_RUNTIME):
        for path in files(PACKAGE / name):
            roots = {module.partition(".")[0] for module in imports(path)}
            assert not roots & {"torch", "spacedsl_runtime"}, path


WRITES_PICKLES = PACKAGE / "targets" / "nn_meter_export.py"
"""nn-Meter reads nothing else. This file may call `pickle.dumps` and nothing more of it."""


def test_no_eval_no_pickle() -> None:
    """Files from strangers are safe (design, section 1)."""
    for path in files(PACKAGE):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not called & {"eval", "exec", "__import__"}, path
        roots = {m.partition(".")[0] for m in imports(path)}
        if path == WRITES_PICKLES:
            used = {
                n.attr
                for n in ast.walk(tree)
                if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "pickle"
            }
            assert used == {"dumps"}
            roots.remove("pickle")
        assert not roots & {"pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}, path


def test_files_are_short() -> None:
    for path in [*files(PACKAGE), *files(RUNTIME)]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@pytest.mark.skipif(not (PACKAGE / "cli" / "app.py").is_file(), reason="no command line yet")
def test_starting_the_command_imports_nothing_heavy() -> None:
    code = "import sys, spacedsl.cli.app; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {*HEAVY, "numpy"} & set(found.stdout.split())
