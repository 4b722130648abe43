"""A report as one HTML file: styles, script and pictures are in it, and it loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from spacedsl.colours import COLOURS, ON_DARK
from spacedsl.report.parts import Figure, Report
from spacedsl.report.svg import picture
from spacedsl.version import __version__

WIDE, NARROW = 760, 340
"""Every picture is drawn for wide pages and for phones; the style shows the one that fits."""

TEMPLATES = "templates"


def html(report: Report) -> str:
    """The file's text. Names of files need not be text: what is none is written as escapes."""
    env, numbers = _environment(), count(1)
    style = env.get_template("style.css").render(colours=COLOURS, on_dark=ON_DARK)
    script = env.get_template("script.js").render()
    found = env.get_template("report.html").render(
        report=report,
        version=__version__,
        style=Markup(style),  # noqa: S704  ours
        script=Markup(script),  # noqa: S704  ours
        style_hash=_hash(style),
        script_hash=_hash(script),
        pictures=lambda figure: pictures(figure, next(numbers)),
        highlighted=highlighted,
    )
    return found.encode("utf-8", "backslashreplace").decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("spacedsl.report", TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(text: str) -> str:
    """How the page's policy names a style or script, so that no other runs."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def pictures(figure: Figure, number: int) -> Iterator[tuple[str, Markup]]:
    """A figure for wide and for narrow pages: a class and the picture."""
    for name, width in (("wide", WIDE), ("narrow", NARROW)):
        drawn = figure.draw(width)
        yield name, picture(drawn, f"{name}{number}", figure.title, figure.seen)


def highlighted(text: str) -> Markup:
    """A page of ours in colours."""
    from pygments.token import STANDARD_TYPES

    from spacedsl.highlight import SpaceLexer

    def pieces() -> Iterator[Markup]:
        for kind, piece in SpaceLexer(ensurenl=False, stripnl=False).get_tokens(text):
            class_ = STANDARD_TYPES.get(kind, "")
            if class_ in ("", "w", "p", "n"):
                yield escape(piece)
            else:
                yield Markup('<span class="{}">{}</span>').format(class_, piece)

    return Markup("").join(pieces())
