"""Ctrl-C. Until a command has begun it ends the process without a word; a command answers it."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""The exit code, as shells have it."""


def end_quietly() -> None:
    """Let Ctrl-C end the process at once, unless whoever started it lets it be ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_again() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again, where `end_quietly` changed that."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)
