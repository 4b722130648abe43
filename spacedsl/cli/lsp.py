"""spacedsl lsp: the language server that editors start."""

from __future__ import annotations

import sys

import typer

from spacedsl.diagnostics import fault

UNASKED = 1
"""The exit code where the editor is gone without having asked for the end."""


def lsp(
    stdio: bool = typer.Option(True, "--stdio", help="Talk on standard input and output."),
) -> None:
    """Serve editors: errors as you type, hovers, completions, definitions, renaming, layout."""
    try:
        from spacedsl.lsp.server import serve
    except ImportError as error:
        message = f"the language server needs {error.name}"
        raise fault("usage", message, help="install spacedsl[lsp]") from None
    try:
        ended = serve()
    except (EOFError, MemoryError, OverflowError, ValueError):
        print("spacedsl lsp: the input is no message, or ends within one", file=sys.stderr)
        raise typer.Exit(UNASKED) from None
    raise typer.Exit(0 if ended else UNASKED)
