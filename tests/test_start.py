"""What importing the package and starting the command cost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.test_house import BASE, HEAVY, PACKAGE, files, module_level_imports, part


def test_nothing_heavy_is_imported_by_importing() -> None:
    for path in files(PACKAGE):
        heavy = {m.partition(".")[0] for m in module_level_imports(path)} & HEAVY
        assert not heavy, f"{path.relative_to(ROOT)} imports {heavy}"


@pytest.mark.skipif(not (PACKAGE / "cli" / "app.py").is_file(), reason="no command line yet")
def test_starting_the_command_imports_nothing_heavy() -> None:
    code = "import sys, spacedsl.cli.app; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {*HEAVY, "numpy"} & set(found.stdout.split())


def test_checking_a_page_imports_what_it_needs() -> None:
    """`check` of a page of the library loads the language, not what searches, measures or
    compiles, nor what says what is wrong with a page; and `import spacedsl` alone loads none of
    it."""
    code = """
import sys
import spacedsl
assert not {"pydantic", "lark", "typer"} & set(sys.modules), "import spacedsl"
from spacedsl.cli.app import main
sys.argv = ["spacedsl", "check", "vnni"]
try:
    main()
except SystemExit as end:
    assert not end.code
print(*sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert not {*HEAVY, "numpy", "rich", "lark"} & loaded
    ours = {part(name) for name in loaded if name.startswith("spacedsl.")}
    needed = {"api", "cli", "ir", "lang", "passes", "runtimes", "syntax", "targets"}
    assert ours <= {*BASE, *needed}
    mistakes = {"brackets", "recovery", "messages", "rewrite", "habits", "pasted"}
    assert not {f"spacedsl.syntax.{name}" for name in mistakes} & loaded
