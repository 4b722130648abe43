"""What editors and highlighters need, made from the grammar's own tables."""

from __future__ import annotations

import json
from typing import Any

from spacedsl.operators.operators import IN_BODIES
from spacedsl.syntax.words import fixed, is_word, keywords

DECLARATIONS = ("block", "hyperspace", "space", "model", "target", "elastic", "language", "use")
OPS = (*IN_BODIES, "round8")
NUMBER = r"\b[0-9]+(\.[0-9]+)?(x[0-9]+|ms|us|s|M|G|K)?\b|\b[a-z][0-9]+(\.[0-9]+)?\b(?!-)"
"""Numbers, kernels, quantities, and settings such as e0.5."""
NAME = r"[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*"


def groups() -> dict[str, tuple[str, ...]]:
    """The language's words: declarations, ops, and keys, which are all others."""
    words = set(keywords().values())
    others = words - {*DECLARATIONS, *OPS}
    return {
        "declaration": tuple(sorted(words & set(DECLARATIONS))),
        "op": tuple(sorted(words & set(OPS))),
        "key": tuple(sorted(others)),
    }


def operators() -> tuple[str, ...]:
    """Signs between values; the longest first."""
    signs = {t for t in fixed().values() if not is_word(t)} - set("{}(),")
    return tuple(sorted(signs, key=lambda sign: (-len(sign), sign)))


def whole_words(words: tuple[str, ...]) -> str:
    """An expression for any of these words, not within a longer name."""
    return rf"(?<![\w-])({'|'.join(words)})(?![\w-])"


def textmate() -> dict[str, Any]:
    """A TextMate grammar."""
    found = groups()
    signs = "|".join("".join(f"\\{c}" for c in sign) for sign in operators())
    patterns = [
        {"name": "comment.line.number-sign.space", "match": "#.*$"},
        {"name": "string.quoted.double.space", "match": '"[^"\\n]*"'},
        {
            "match": rf"(?<![\w-])(block|hyperspace|space|model|target)\s+({NAME})",
            "captures": {
                "1": {"name": "keyword.declaration.space"},
                "2": {"name": "entity.name.type.space"},
            },
        },
        {"name": "keyword.declaration.space", "match": whole_words(found["declaration"])},
        {"name": "support.function.space", "match": whole_words(found["op"])},
        {"name": "keyword.other.space", "match": whole_words(found["key"])},
        {"name": "constant.numeric.space", "match": NUMBER},
        {"name": "keyword.operator.space", "match": signs},
        {"name": "variable.other.space", "match": NAME},
    ]
    return {
        "name": "space",
        "scopeName": "source.space",
        "fileTypes": ["space"],
        "patterns": patterns,
    }


def textmate_text() -> str:
    """The file in grammars/."""
    return json.dumps(textmate(), indent=2) + "\n"
