"""A real browser without a window: Chromium over its DevTools protocol, through two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason="no chromium is installed (Debian: apt-get install chromium)"
)

LONGEST = 60.0
"""Seconds to wait for an answer."""


@dataclass
class Browser:
    """One page. `said`: what the console, scripts and the page's policy complained of; `asked`: the
    addresses that were loaded."""

    to: int
    answers: Any
    session: str = ""
    number: int = 0
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    loaded: bool = False

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        self.number += 1
        message: dict[str, object] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.number:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser ended"
            data += byte
        found: dict[str, Any] = json.loads(data)
        params = found.get("params", {})
        match found.get("method"):
            case "Runtime.consoleAPICalled":
                self.said.append(json.dumps(params["args"]))
            case "Runtime.exceptionThrown":
                self.said.append(json.dumps(params["exceptionDetails"]))
            case "Log.entryAdded":
                self.said.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Page.loadEventFired":
                self.loaded = True
        return found

    def open(self, page: Path, width: int = 1280, **how: bool) -> None:
        """Load a file, as `go` does an address."""
        self.go(page.absolute().as_uri(), width, **how)

    def go(
        self,
        address: str,
        width: int = 1280,
        *,
        dark: bool = False,
        script: bool = True,
        paper: bool = False,
    ) -> None:
        """Load a page in a window of a width, with or without scripts, or as it is printed."""
        self.said.clear()
        self.asked.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = "print" if paper else "screen"
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.loaded = False
        self.call("Page.navigate", url=address)
        until = time.monotonic() + LONGEST
        while not self.loaded:
            assert time.monotonic() < until
            self._next()

    def value(self, script: str) -> Any:
        """What an expression is on the page."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Chromium with its files in `folder`."""
    assert PROGRAM is not None
    (asked, ask), (tell, told) = os.pipe(), os.pipe()
    command = (
        f'exec 3<&{asked} 4>&{told}; exec "{PROGRAM}" --headless --no-sandbox --disable-gpu '
        f"--hide-scrollbars --no-first-run --disable-background-networking "
        f'--user-data-dir="{folder}" --remote-debugging-pipe about:blank'
    )
    running = subprocess.Popen(
        ["bash", "-c", command],
        pass_fds=(asked, told),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(asked)
    os.close(told)
    try:
        with open(tell, "rb", buffering=1 << 16) as answers:
            found = Browser(ask, answers)
            targets = found.call("Target.getTargets")["targetInfos"]
            page = next(t["targetId"] for t in targets if t["type"] == "page")
            session = found.call("Target.attachToTarget", targetId=page, flatten=True)
            found.session = session["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                found.call(f"{domain}.enable")
            yield found
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        os.close(ask)


COVERED = """
(() => {
  const found = [];
  const close = 1.5;
  for (const svg of document.querySelectorAll("svg")) {
    const whole = svg.getBoundingClientRect();
    if (!whole.width) continue;
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map((text) => [text, text.getBoundingClientRect()]);
    for (const [i, [text, a]] of boxes.entries()) {
      if (a.left < whole.left - close || a.right > whole.right + close ||
          a.top < whole.top - close || a.bottom > whole.bottom + close)
        found.push("cut: " + text.textContent);
      for (const [other, b] of boxes.slice(i + 1))
        if (a.left < b.right - close && b.left < a.right - close &&
            a.top < b.bottom - 2 * close && b.top < a.bottom - 2 * close)
          found.push("over each other: " + text.textContent + " | " + other.textContent);
    }
  }
  return found;
})()
"""
"""Words in pictures that are cut by the border or stand over each other."""

SMALL = """
[...document.querySelectorAll("svg text")].filter((text) => {
  const matrix = text.getScreenCTM();
  return matrix && matrix.a * parseFloat(getComputedStyle(text).fontSize) < 9;
}).map((text) => text.textContent)
"""
"""Words that are too small to read: of less than 9 pixels."""


def check_whole(chromium: Browser, page: Path, width: int) -> None:
    """In light and dark: nothing else is loaded, nothing complained of, cut, covered or tiny."""
    for dark in (False, True):
        chromium.open(page, width, dark=dark)
        assert chromium.said == []
        loaded = [url for url in chromium.asked if not url.startswith("data:")]
        assert loaded == [page.as_uri()]
        assert chromium.value("document.documentElement.scrollWidth") <= width
        assert chromium.value(COVERED) == []
        assert chromium.value(SMALL) == []
