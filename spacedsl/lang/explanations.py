"""The explanations of errors: docs/errors/CODE.md, read as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

SECTION = re.compile(r"^## (.*)\n+", re.MULTILINE)
FENCE = re.compile(r"^```(space|sh)(?: (\S+))?\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Explanation:
    """`text` is the whole file; `sections` by title: What, Why, Example, Mended."""

    text: str
    sections: dict[str, str]

    def shown(self, section: str) -> dict[str, str]:
        """What a section shows: "space" (the page) or "sh" (a command), and files by name."""
        return {
            name or kind: text for kind, name, text in FENCE.findall(self.sections.get(section, ""))
        }


@cache
def _folder() -> Path:
    installed = Path(str(resources.files("spacedsl") / "errors"))
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docs" / "errors"


@cache
def explained() -> tuple[str, ...]:
    """Every code that is explained."""
    return tuple(sorted(p.stem for p in _folder().glob("*.md")))


def explanation(code: str) -> Explanation:
    """The explanation of a code, which is one of `explained`."""
    text = explanation_path(code).read_text(encoding="utf-8")
    parts = SECTION.split(text)
    return Explanation(text, dict(zip(parts[1::2], parts[2::2], strict=True)))


def explanation_path(code: str) -> Path:
    """The file that explains a code, which is one of `explained`."""
    return _folder() / f"{code}.md"
