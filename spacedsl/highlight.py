"""Pygments lexer for pages, so that documentation highlights them. Needs Pygments."""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

from spacedsl.syntax.editors import NAME, NUMBER, groups, operators, whole_words


class SpaceLexer(RegexLexer):  # type: ignore[misc]  # Pygments has no types
    """Search spaces, models and targets in spacedsl's language."""

    name = "spacedsl"
    aliases: ClassVar[list[str]] = ["space", "spacedsl"]
    filenames: ClassVar[list[str]] = ["*.space"]
    url = "https://pypi.org/project/spacedsl"

    tokens: ClassVar = {
        "root": [
            (r"\s+", Text.Whitespace),
            (r"#.*$", Comment.Single),
            (r'"[^"\n]*"', String.Double),
            (whole_words(groups()["declaration"]), Keyword.Declaration),
            (whole_words(groups()["op"]), Name.Builtin),
            (whole_words(groups()["key"]), Keyword),
            (NUMBER, Number),
            (r"[{}(),]", Punctuation),
            ("|".join("".join(f"\\{c}" for c in sign) for sign in operators()), Operator),
            (NAME, Name),
        ]
    }
