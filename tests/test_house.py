"""The rules of the house: who may import whom, and what a start costs."""

from __future__ import annotations

import ast
import re
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

BASE = {
    "operators",
    "text",
    "vocabulary",
    "diagnostics",
    "files",
    "figures",
    "version",
    "checksum",
    "json_files",
    "registered",
    "colours",
    "interrupts",
}
"""What any part of spacedsl above them may import."""

MEANING = {*BASE, "compiler", "ir", "passes"}
"""What layers, members and plans are: the runtime is built from it."""

ALLOWED = {
    "operators": set(),
    "text": set(),
    "vocabulary": {"operators"},
    "figures": set(),
    "version": set(),
    "colours": set(),
    "interrupts": set(),
    "checksum": set(),
    "diagnostics": {"text", "vocabulary"},
    "files": {"diagnostics"},
    "json_files": {"diagnostics", "checksum"},
    "registered": set(),
    "syntax": BASE,
    "ir": {"operators"},
    "passes": {"operators", "ir"},
    "runtimes": {*BASE, "ir"},
    "hosts": {*BASE, "runtimes", "ir"},
    "lang": {*BASE, "syntax", "ir", "passes", "runtimes"},
    "bridges": {*BASE, "lang", "syntax", "ir", "passes"},
    "search": {*BASE, "ir", "passes"},
    "tables": {*BASE, "bridges", "lang", "ir", "passes", "search"},
    "compiler": {*BASE, "lang", "ir", "passes", "runtimes"},
    "targets": {*BASE, "hosts", "runtimes", "tables", "compiler", "lang", "ir", "passes", "search"},
    "api": {*BASE, "targets", "lang", "ir", "passes", "search"},
    "analysis": {
        *BASE, "hosts", "runtimes", "api", "targets", "compiler", "lang", "ir", "passes", "search",
    },
    "highlight": {"syntax"},
    "lsp": {*BASE, "api", "lang", "syntax", "ir", "passes", "runtimes"},
    "runtime/errors": set(),
    "runtime/files": {"files", "runtime/errors"},
    "runtime/plan": {*MEANING, "api", "runtime/errors"},
    "runtime/board": set(),
    "runtime/data": {"operators", "compiler", "diagnostics", "registered", "runtime/errors"},
    "runtime/elastic": {*MEANING, "runtime/errors", "runtime/plan"},
    "runtime/quant": {
        *MEANING, "runtime/errors", "runtime/files", "runtime/plan",
        "runtime/elastic",
    },
    "runtime/checkpoint": {
        *MEANING, "checksum", "runtime/errors", "runtime/files", "runtime/plan", "runtime/elastic",
        "runtime/quant",
    },
    "runtime/foreign": {
        *MEANING, "runtime/errors", "runtime/plan", "runtime/elastic", "runtime/checkpoint",
    },
    "runtime/train": {
        *MEANING, "checksum", "runtime/errors", "runtime/files", "runtime/plan",
        "runtime/board", "runtime/data", "runtime/elastic", "runtime/quant",
        "runtime/checkpoint",
    },
    "runtime/distill": {
        *MEANING, "checksum", "runtime/errors", "runtime/files", "runtime/plan",
        "runtime/board", "runtime/data", "runtime/elastic", "runtime/quant",
        "runtime/checkpoint", "runtime/foreign", "runtime/train",
    },
    "runtime/measure": {
        *MEANING, "runtime/plan", "runtime/data", "runtime/elastic", "runtime/quant",
        "runtime/train", "runtime/distill",
    },
    "runtime/__init__": {
        "runtime/plan", "runtime/elastic", "runtime/quant",
        "runtime/checkpoint", "runtime/distill",
    },
    "flows": {
        *BASE, "api", "compiler", "hosts", "ir", "lang", "passes", "runtimes", "search", "tables",
        "targets", "runtime/checkpoint", "runtime/data", "runtime/distill", "runtime/elastic",
        "runtime/errors", "runtime/foreign", "runtime/measure", "runtime/plan", "runtime/train",
    },
    "report": {
        *BASE, "analysis", "flows", "highlight", "ir", "lang", "passes", "search", "targets",
        "runtime/train",
    },
    "notebook": {
        *BASE, "api", "bridges", "compiler", "flows", "ir", "lang", "passes", "runtimes", "search",
        "targets", "runtime/elastic", "runtime/foreign", "runtime/quant",
    },
    "__init__": {*BASE, "api", "notebook", "search"},
    "cli": {
        *BASE, "analysis", "api", "bridges", "compiler", "flows", "hosts", "ir", "lang", "lsp",
        "passes", "report", "runtimes", "search", "syntax", "tables", "targets", "runtime/data",
        "runtime/distill", "runtime/errors", "runtime/measure", "runtime/plan", "runtime/train",
    },
    "__main__": {"interrupts", "cli"},
}  # fmt: skip
"""Part -> the parts that it may import, inside functions too. A part is a folder or a file of
spacedsl, or of the runtime; each also imports itself. Rows stand in the order of the parts: none
names a later one."""

THIRD_PARTY = {
    "json_files": {"pydantic"},
    "syntax": {"lark"},
    "ir": {"pydantic"},
    "passes": {"numpy"},
    "runtimes": {"numpy", "onnxruntime", "openvino", "ai_edge_litert", "tflite_runtime"},
    "hosts": {"numpy"},
    "bridges": {"pydantic", "yaml"},
    "search": {"numpy", "ray"},
    "tables": {"numpy", "pydantic"},
    "compiler": {"numpy", "pydantic", "onnx", "onnxruntime", "ai_edge_litert", "flatbuffers"},
    "targets": {
        "numpy", "pydantic", "onnxruntime", "ai_edge_litert", "filelock", "platformdirs",
        "nn_meter", "sklearn",
    },
    "analysis": {"numpy", "matplotlib"},
    "highlight": {"pygments"},
    "report": {"jinja2", "markupsafe", "pygments"},
    "lsp": {"lsprotocol", "pygls"},
    "flows": {"numpy", "torch"},
    "notebook": {"numpy", "torch", "typing_extensions"},
    "cli": {"typer", "rich", "pydantic", "numpy", "onnx", "matplotlib", "torch"},
    "runtime/board": {"torch", "mlflow", "wandb"},
    "runtime/data": {"numpy", "PIL", "simplejpeg", "sklearn"},
    "runtime/elastic": {"torch", "jaxtyping"},
    "runtime/quant": {"torch", "jaxtyping", "numpy", "pydantic"},
    "runtime/checkpoint": {"torch", "safetensors"},
    "runtime/foreign": {"torch", "safetensors"},
    "runtime/train": {"torch", "jaxtyping", "numpy"},
    "runtime/distill": {"torch", "jaxtyping", "safetensors", "timm"},
    "runtime/measure": {"torch"},
}  # fmt: skip
"""Part -> the packages of others that it may import; a part that is not here imports none."""

MODULES = {
    ".".join((package.name, *path.relative_to(package).with_suffix("").parts)): path
    for package in (PACKAGE, RUNTIME)
    for path in sorted(package.rglob("*.py"))
}
"""Every module by its full name (`spacedsl.lang.page`, `spacedsl.lang.__init__`), and its file."""


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
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (
                name if name in MODULES or _is_folder(name) else node.module for name in whole
            )


def _is_folder(name: str) -> bool:
    return f"{name}.__init__" in MODULES


def part(module: str) -> str:
    """`spacedsl.lang.page` -> `lang`, `spacedsl_runtime.quant` -> `runtime/quant`."""
    package, _, rest = module.partition(".")
    found = rest.partition(".")[0] or "__init__"
    return f"runtime/{found}" if package == RUNTIME.name else found


def module_of(name: str) -> str | None:
    """The module of ours that an imported name is, or is of; None for modules of others."""
    if name in MODULES:
        return name
    if _is_folder(name):
        return f"{name}.__init__"
    parent = name.rpartition(".")[0]
    return module_of(parent) if parent else None


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports, wherever in it."""
    found = {}
    for module, path in MODULES.items():
        known = {module_of(name) for name in imports(path)}
        found[module] = {other for other in known if other is not None and other != module}
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Where following edges leads back: what is left after all that leads nowhere is taken away,
    and all that nothing leads to."""
    left = {node: set(edges) for node, edges in graph.items()}
    while True:
        targets = set().union(*left.values())
        ends = {node for node, edges in left.items() if not edges or node not in targets}
        if not ends:
            return [[node, *sorted(edges)] for node, edges in sorted(left.items())]
        left = {node: edges - ends for node, edges in left.items() if node not in ends}


def test_circles_are_found() -> None:
    """A circle with ways in and out is found, without them."""
    graph = {"in": {"a"}, "a": {"b"}, "b": {"c", "out"}, "c": {"a"}, "out": set[str]()}
    assert circles(graph) == [["a", "b"], ["b", "c"], ["c", "a"]]


def test_no_module_imports_itself_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert circles(graph) == []


def test_every_part_has_its_row() -> None:
    parts = {part(module.removesuffix(".__init__")) for module in MODULES}
    assert parts == set(ALLOWED)
    assert set(THIRD_PARTY) <= parts


def test_no_row_names_a_later_part() -> None:
    order = list(ALLOWED)
    for name, row in ALLOWED.items():
        later = {other for other in row if order.index(other) >= order.index(name)}
        assert not later, f"{name} may import {later}"


def test_parts_know_only_what_they_may(graph: dict[str, set[str]]) -> None:
    known = {(part(a), part(b)) for a, edges in graph.items() for b in edges if part(a) != part(b)}
    assert not {(a, b) for a, b in known if b not in ALLOWED[a]}


@pytest.mark.parametrize("module", MODULES)
def test_parts_need_only_the_packages_that_they_may(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(MODULES[module])}
    others = roots - STDLIB - {PACKAGE.name, RUNTIME.name}
    assert others <= THIRD_PARTY.get(part(module), set())


MADE_PUBLIC = {"_replace", "_asdict", "_fields", "_exit", "_foreach_mul_", "_foreach_sign_"}
"""Names with an underscore that their libraries document for everybody."""


def private_names(tree: ast.AST) -> tuple[set[str], set[str]]:
    """The private names that a module uses, imported or as attributes, and those that it
    defines."""
    used, defined = set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Store()):
                defined.add(name)
            case ast.Attribute(attr=name):
                used.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                defined.add(name)
            case ast.ImportFrom():
                used |= {alias.name for alias in node.names}
    private = {name for name in used | defined if name[:1] == "_" and name[:2] != "__"}
    return used & private, defined & private


@pytest.mark.parametrize("module", MODULES)
def test_no_module_reaches_into_the_private_names_of_another(module: str) -> None:
    used, defined = private_names(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert not used - defined - MADE_PUBLIC


def test_only_the_server_knows_the_protocol() -> None:
    """What answers editors are functions of a page and an offset, and import no server."""
    for path in files(PACKAGE / "lsp"):
        if path.name not in ("server.py", "convert.py"):
            roots = {module.partition(".")[0] for module in imports(path)}
            assert not roots & THIRD_PARTY["lsp"], path


WRITES_PICKLES = PACKAGE / "targets" / "nn_meter_export.py"
"""nn-Meter reads nothing else. This file may call `pickle.dumps` and nothing more of it."""


def test_no_eval_no_pickle() -> None:
    """Files from strangers are safe: reading one runs nothing in it."""
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


ELSEWHERE = re.compile(r"\b(?:facts|design|score)(?:\.md)?[:,]\s+sections?\s+[0-9]")
"""A reference to a section of a document that is not in the repository."""


def test_no_text_refers_to_documents_that_are_not_here() -> None:
    """A reader finds what sources, tests and docs refer to."""
    folders = (
        PACKAGE,
        RUNTIME,
        ROOT / "tests",
        ROOT / "docs",
        ROOT / "spaces",
        ROOT / "benchmarks",
    )
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if path.suffix in (".py", ".md", ".space"):
            found = ELSEWHERE.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(ROOT)}: {found[0]}"


def test_files_are_short() -> None:
    for path in [*files(PACKAGE), *files(RUNTIME)]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_tests_of_a_folder_are_in_the_folder_of_that_name() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tested = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders - tested == set()
