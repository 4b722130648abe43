"""The how-to of a detector runs as it stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spacedsl.compiler.export import FILES
from spacedsl.compiler.stamp import PREFIX
from tests.shown import blocks
from tests.support import ROOT


@pytest.mark.slow
def test_the_detector_finds_most_shapes_in_8_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/howto/detector.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    there: dict[str, Any] = {}
    for language, name, body in blocks(text):
        if name:
            Path(name).write_text(body, encoding="utf-8")
        elif language == "python":
            exec(compile(body, "detector.md", "exec"), there)
    assert there["right"] > 0.75
    stamp = FILES["onnx"].stamp(Path("eye.onnx").read_bytes(), "eye.onnx")
    assert '"stride16"' in stamp["outputs"]
    assert f"{PREFIX}outputs" in text
