"""The VS Code extension: it packages with the public tool, and says what the language says."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from spacedsl.syntax.editors import NAME, textmate, textmate_text
from tests.support import ROOT

EXTENSION = ROOT / "editors" / "vscode"
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN")


def test_the_manifest_is_of_the_language() -> None:
    said = json.loads((EXTENSION / "package.json").read_text())
    (language,), (grammar,) = said["contributes"]["languages"], said["contributes"]["grammars"]
    assert language["extensions"] == [f".{kind}" for kind in textmate()["fileTypes"]]
    assert grammar["scopeName"] == textmate()["scopeName"]
    config = json.loads((EXTENSION / "language-configuration.json").read_text())
    assert config["wordPattern"] == NAME
    assert (EXTENSION / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")
def test_it_packages(tmp_path: Path) -> None:
    out = tmp_path / "spacedsl.vsix"
    done = subprocess.run(
        [ROOT / "scripts" / "package_vscode", out], capture_output=True, text=True, check=False
    )
    if done.returncode and any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("the registry of npm packages cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(out) as package:
        grammar = package.read("extension/grammars/space.tmLanguage.json").decode()
        names = set(package.namelist())
    assert grammar == textmate_text()
    assert {"extension/extension.js", "extension/LICENSE.txt"} <= names
    assert "extension/node_modules/vscode-languageclient/node.js" in names
    assert not any("vsce" in name for name in names)
