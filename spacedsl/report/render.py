"""A report as one HTML file: styles, script and pictures are in it, and it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from spacedsl.colours import COLOURS, ON_DARK
from spacedsl.report.parts import Figure, Report
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
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hash(text: str) -> str:
    """How the page's policy names a style or script, so that no other runs."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def pictures(figure: Figure, number: int) -> Iterator[tuple[str, Markup]]:
    """A figure for wide and for narrow pages: a class and the picture, with its title and what
    there is to see."""
    for name, width in (("wide", WIDE), ("narrow", NARROW)):
        at = f"{name}{number}"
        said = Markup('<title id="{0}t">{1}</title><desc id="{0}d">{2}</desc>').format(
            at, figure.title, figure.seen
        )
        drawn = figure.draw(width)
        opening = re.match("<svg [^>]*>", drawn)
        assert opening is not None
        labelled = Markup('{} aria-labelledby="{}t {}d">').format(
            Markup(opening[0][:-1]),  # noqa: S704  drawn by us
            at,
            at,
        )
        yield name, labelled + said + drawn[opening.end() :]


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


