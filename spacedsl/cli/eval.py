"""spacedsl eval: the accuracy of a deployed graph."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.datasets import DATA, tell
from spacedsl.cli.options import RUNTIME
from spacedsl.cli.summary import command, say_next
from spacedsl.cli.watch import Terminal
from spacedsl.figures import counted
from spacedsl.flows.evaluate import evaluate as flow


def evaluate(
    file: Path = typer.Argument(
        ..., metavar="FILE", help="An .onnx or .tflite file of `spacedsl export`."
    ),
    data: str = DATA,
    threads: int = typer.Option(1, "--threads", min=1, max=1024, help="Threads inside an op."),
    runtime: str | None = RUNTIME,
    format: Format = FORMAT,
) -> None:
    """Run a deployed graph on the test images of data, preprocessed as the file says."""
    found = flow(
        file,
        data,
        threads=threads,
        runtime=runtime,
        on_data=lambda opened: tell(opened, quiet=True),
        watch=Terminal(quiet=format is Format.json),
    )
    if format is Format.json:
        emit({**asdict(found), "file": str(file)})
        return
    fifth = f", top-5 {found.top5:.2%}" if found.classes > 5 else ""
    print(
        f"{file}: {found.model} at {found.resolution}: top-1 {found.top1:.2%}{fifth} of "
        f"{counted(found.images, 'image')}"
    )
    say_next(command("bench", file, *(("--runtime", runtime) if runtime else ())))
