"""Executors of long work: a killed process harms no other item, errors are raised as they are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from spacedsl.search.exact.executors import Died, Processes
from spacedsl_runtime.errors import DataError


def fragile(folder: Path, item: str) -> str:
    """Ends its process for ever, once or never, by the item."""
    died = folder / item
    if item == "always" or (item == "once" and not died.exists()):
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "refused":
        raise DataError("no data", "get some")
    return f"{item} done"


def test_a_killed_process_harms_no_other_item(tmp_path: Path) -> None:
    items = ["a", "always", "once", "b"]
    found = dict(Processes(2).completed(fragile, tmp_path, items))
    assert isinstance(found.pop(1), Died)
    assert found == {0: "a done", 2: "once done", 3: "b done"}


def test_an_error_comes_back_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data") as caught:
        list(Processes(2).completed(fragile, tmp_path, ["a", "refused"]))
    assert caught.value.help == "get some"
