"""Files are written whole or not at all, also on a full disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_full_disk_leaves_the_old_page_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "p.space"
    page.write_text("language   1\n")
    # `ulimit -f 0` lets no file grow, which is what a full disk looks like from inside.
    run = f"ulimit -f 0; exec {sys.executable} -B -m spacedsl fmt {page}"
    result = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert "error[cannot-write]" in result.stderr
    assert "Traceback" not in result.stderr
    assert page.read_text() == "language   1\n"
    assert list(tmp_path.iterdir()) == [page]


def test_an_unwritable_folder_is_one_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spacedsl", "import", "onnxw-151122-023231", "--out"]
    missing = tmp_path / "no" / "such" / "folder.space"
    result = subprocess.run([*command, str(missing)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error[cannot-write]")
