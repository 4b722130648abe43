"""How the server ends, and what does not end it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.lsp.editor import Editor
from tests.support import ROOT

COMMAND = [sys.executable, "-m", "spacedsl", "lsp", "--stdio"]


def run(data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        COMMAND, cwd=ROOT, input=data, capture_output=True, check=False, timeout=60
    )


def message(**fields: Any) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **fields}).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


INITIALIZE = message(id=1, method="initialize", params={"capabilities": {}})


def answers(data: bytes) -> list[Any]:
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        found.append(json.loads(rest[:size]))
        data = rest[size:]
    return found


def test_the_end_that_was_asked_for(tmp_path: Path) -> None:
    assert Editor(tmp_path).close() == 0


def test_the_end_without_shutdown(tmp_path: Path) -> None:
    assert Editor(tmp_path).close(asked=False) == 1


def test_an_editor_that_is_gone() -> None:
    done = run(INITIALIZE)
    assert done.returncode == 1
    assert answers(done.stdout)[0]["result"]["capabilities"]["hoverProvider"]
    assert done.stderr == b""


GARBAGE = {
    "nothing": b"",
    "text": b"hello\n\nhello\r\n\r\n" * 100,
    "bytes": bytes(range(256)) * 50,
    "cut": INITIALIZE[:-5],
    "no-json": b"Content-Length: 5\r\n\r\nhello",
    "a-list": b"Content-Length: 2\r\n\r\n[]",
    "huge": b"Content-Length: 99999999999999\r\n\r\n{}",
    "long": b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n{}",
    "deep": b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_in_an_orderly_way(name: str) -> None:
    done = run(GARBAGE[name])
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_after_garbage_the_server_answers() -> None:
    end = message(id=2, method="shutdown") + message(method="exit")
    nonsense = message(id=7, method="textDocument/hover", params={"position": "here"})
    done = run(GARBAGE["no-json"] + INITIALIZE + nonsense + message(method="no/such") + end)
    assert done.returncode == 0
    assert {a["id"] for a in answers(done.stdout) if "id" in a} >= {1, 2}


def test_a_failing_request_ends_nothing(tmp_path: Path) -> None:
    editor = Editor(tmp_path)
    editor.open("a.space", "language 1\n")
    (tmp_path / "bytes.space").write_bytes(b"\xff")
    for name in ("missing.space", "bytes.space"):
        with pytest.raises(JsonRpcException):
            editor.hover(name, 0, 0)
    editor.change("unknown.space", "language 1", version=4)  # never opened
    assert editor.hover("a.space", 9_999, 9_999) == ""
    cancelled = editor.client.protocol.send_request(
        types.TEXT_DOCUMENT_HOVER, types.HoverParams(**editor.place("a.space", 0, 2))
    )
    editor.client.cancel_request(types.CancelParams(id=999))
    editor.hover("a.space", 0, 2)
    assert cancelled.done()
    assert editor.close() == 0
