"""spacedsl explain: what an error means, why it is one, and how it is mended."""

from __future__ import annotations

import typer

from spacedsl.cli.boundary import FORMAT, Format, emit
from spacedsl.cli.words import filled
from spacedsl.diagnostics import fault, suggest
from spacedsl.lang.explanations import explained, explanation


def explain(
    code: str | None = typer.Argument(None, help="An error's code, as in error[not-a-member]."),
    format: Format = FORMAT,
) -> None:
    """Explain an error: what it means, why, an example, and the example mended. Without a code,
    list all that are explained."""
    codes = explained()
    if code is None:
        emit({"codes": list(codes)}) if format is Format.json else print("\n".join(codes))
        return
    if code not in codes:
        close = suggest(code, codes)
        help = f"did you mean `{close}`?" if close else "`spacedsl explain` lists what is explained"
        raise fault("unknown-code", f"there is no explanation of `{code}`", help)
    found = explanation(code)
    if format is Format.json:
        emit({"code": code, "sections": found.sections, "text": found.text})
    else:
        print(filled(found.text), end="")
