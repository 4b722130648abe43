"""Executors of long work: a killed process harms no other item, errors are raised as they are."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spacedsl.diagnostics import SpaceError
from spacedsl.search.exact.executors import Died, Processes, Ray
from spacedsl_runtime.errors import DataError
from tests.support import ROOT


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


def test_a_killed_process_of_a_search_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="was killed, perhaps for its memory"):
        list(Processes(2)(fragile, tmp_path, ["a", "always", "b"]))


def slow(_: None, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_nobody_waits_for_what_is_not_needed() -> None:
    """Processes end although their parent, as Ray makes it do, does something else at SIGTERM."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        begun = time.monotonic()
        found = Processes(2)(slow, None, [0.1, 60.0, 60.0])
        assert next(found) == 0.1
        found.close()  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 30
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_error_comes_back_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data") as caught:
        list(Processes(2).completed(fragile, tmp_path, ["a", "refused"]))
    assert caught.value.help == "get some"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray cluster that somebody else began."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    address, folder = f"127.0.0.1:{free_port()}", tempfile.mkdtemp(dir="/tmp")  # sockets: short
    words = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    words += [f"--port={address.rpartition(':')[2]}", "--num-cpus=2", f"--temp-dir={folder}"]
    process = subprocess.Popen(
        [*words, "--include-dashboard=false"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert any("Ray runtime started" in line for line in process.stdout)
        yield address
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def noted(folder: Path, item: int) -> int:
    """Ten times the item; its beginning and its end are written down."""
    with (folder / "log").open("a") as log:
        print("begin", file=log, flush=True)
        time.sleep(0.05)
        print("end", file=log, flush=True)
    return 10 * item


def drive(address: str, folder: Path) -> None:
    """What a command does with a cluster."""
    one = Ray(address, jobs=1)
    assert dict(one.completed(noted, folder, [1, 2, 3])) == {0: 10, 1: 20, 2: 30}
    assert (folder / "log").read_text() == "begin\nend\n" * 3
    assert list(one(noted, folder, [3, 1])) == [30, 10]
    assert list(Ray(address)(noted, folder, [3, 1, 2])) == [30, 10, 20]
    with pytest.raises(DataError, match="no data"):
        list(Ray(address).completed(fragile, folder, ["refused"]))


def test_an_existing_cluster_works_on_as_many_items_as_it_is_given(
    cluster: str, tmp_path: Path
) -> None:
    """In a process of its own: Ray keeps the way it was authorised for as long as one runs."""
    drives = "import sys, pathlib, tests.search.test_executors as t; "
    drives += "t.drive(sys.argv[1], pathlib.Path(sys.argv[2]))"
    words = [sys.executable, "-c", drives, cluster, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused"),
        ("somewhere", "--ray somewhere: "),
    ],
)
def test_no_cluster(address: str, message: str) -> None:
    pytest.importorskip("ray").shutdown()  # of an earlier test
    with pytest.raises(SpaceError, match=message):
        Ray(address)
