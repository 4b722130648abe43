"""How far a command is, on standard error: one line that fits a terminal, lines now and then in a
log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread, Timer
from typing import TYPE_CHECKING

from spacedsl.flows.watch import Show

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

FIRST_SECONDS, LOG_SECONDS = 5.0, 30.0
"""Until the first line of a log, and between two of them; the last state is always written."""

SOON_SECONDS = 1.0
"""Until a terminal has a bar, where nothing is done before."""

LEAST_BAR, LONGEST_BAR = 8, 40
"""Columns. A bar takes what the words leave."""


@contextmanager
def counting(what: str, total: float, unit: str = "", *, quiet: bool) -> Iterator[Show]:
    """Yields what shows how much of `total` is done: counts of a `unit`, a share where that is "".
    Of several processes of one training only the first one shows anything."""
    if quiet or not first_process():
        yield lambda done, *said: None
        return
    from rich.console import Console

    line = Line(what, total, unit)
    console = Console(stderr=True)
    terminal = console.is_terminal and not console.is_dumb_terminal
    shown = _on_terminal(line, console) if terminal else _in_log(line, console)
    with shown as show:
        yield show


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Says that `what` begins; yields what takes a sentence of how far it is, where nobody knows
    what share that is: one line that changes on a terminal, lines now and then in a log."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with console.status(what) as status:
            yield status.update
        return
    said, written, at = what, "", time.monotonic()

    def write() -> None:
        nonlocal written, at
        written, at = said, time.monotonic()
        console.file.write(f"{said}\n")
        console.file.flush()

    def tell(text: str) -> None:
        nonlocal said
        said = text
        if time.monotonic() - at >= LOG_SECONDS:
            write()

    write()
    try:
        yield tell
    finally:
        if written != said:
            write()


def first_process() -> bool:
    """Is this the process of a training that speaks for all (torchrun says which)?"""
    return os.environ.get("RANK", "0") == "0"


@dataclass
class Line:
    """What is shown since it was `opened`. `began`: time, and what was done then."""

    what: str
    total: float
    unit: str
    clock: Callable[[], float] = time.monotonic
    done: float = 0.0
    said: Sequence[str] = ()
    began: tuple[float, float] | None = field(default=None, repr=False)
    opened: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.opened = self.clock()

    def update(self, done: float, *said: str) -> None:
        """Something more is done."""
        if self.began is None:
            self.began = (self.clock(), done)
        self.done, self.said = done, said

    @property
    def share(self) -> float:
        """Done, of 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    def parts(self) -> list[str]:
        """Amount done, time left, and what was said."""
        unit = f" {self.unit}" if self.unit else ""
        amount = f"{self.done:,.0f}/{self.total:,.0f}{unit}" if unit else f"{self.share:.0%}"
        return [amount, *filter(None, (self._time(), *self.said))]

    def _time(self) -> str:
        """How long it still takes; as long as nothing is done, how long it has taken."""
        began, first = self.began or (self.opened, 0.0)
        taken = self.clock() - began
        if first < self.done < self.total:
            return f"{_clock(taken * (self.total - self.done) / (self.done - first))} left"
        return f"{_clock(taken)} so far" if self.done < self.total and taken >= 1 else ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line of the terminal's width."""
        from rich.text import Text

        glyphs = ("#", "-") if options.ascii_only else ("━", "╌")
        text = fitted(self.what, self.share, self.parts(), options.max_width, glyphs)
        yield Text(text, no_wrap=True, overflow="crop")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def fitted(
    what: str, share: float, parts: Sequence[str], width: int, glyphs: tuple[str, str] = ("#", "-")
) -> str:
    """`what`, a bar and all parts in at most `width` columns. No part is ever cut: the bar is left
    out, then the last parts."""
    kept = [what[:width], *parts]
    while len(kept) > 1 and len("  ".join(kept)) > width:
        kept.pop()
    room = min(LONGEST_BAR, width - len("  ".join(kept)) - 2)
    if room >= LEAST_BAR:
        filled = round(share * room)
        kept.insert(1, glyphs[0] * filled + glyphs[1] * (room - filled))
    return "  ".join(kept)


@contextmanager
def _on_terminal(line: Line, console: Console) -> Iterator[Show]:
    from rich.live import Live

    live: Live | None = None
    lock, over = Lock(), Event()

    def start() -> None:
        nonlocal live
        with lock:
            if live is None and not over.is_set():
                live = Live(line, console=console, refresh_per_second=4)
                live.start()

    def show(done: float, *said: str) -> None:
        line.update(done, *said)
        start()

    waiting = Timer(SOON_SECONDS, start)  # what fails before shows no bar
    waiting.daemon = True
    waiting.start()
    try:
        yield show
    finally:
        over.set()
        waiting.cancel()
        with lock:
            if live is not None:
                live.stop()


@contextmanager
def _in_log(line: Line, console: Console) -> Iterator[Show]:
    written: float | None = None
    over = Event()

    def write() -> None:
        nonlocal written
        written = line.done
        console.file.write(f"{line.what}: {', '.join(line.parts())}\n")
        console.file.flush()

    def now_and_then() -> None:
        wait = FIRST_SECONDS
        while not over.wait(wait):
            write()
            wait = LOG_SECONDS

    writer = Thread(target=now_and_then, daemon=True)
    writer.start()
    try:
        yield line.update
    finally:
        over.set()
        writer.join()
        if line.began is not None and written != line.done:
            write()
