"""What MkDocs does with docs/ besides showing it: it follows links that lead out of docs/.

A file of the repository that a page links to becomes a part of the site, below `repository/`, and
so do the files that such a page links to itself. Links to folders lose their link: a site has none.
Two pages are written here, from what commands and errors say of themselves.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OUTSIDE = "repository"

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
NAMED = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def place(path: Path) -> str:
    """Where a file of the repository stands in the site."""
    inside = path.is_relative_to(DOCS)
    return (path.relative_to(DOCS) if inside else OUTSIDE / path.relative_to(ROOT)).as_posix()


def linked(page: Path) -> list[Path]:
    """The files of the repository that a page links to."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    paths = ((page.parent / target).resolve() for _, target, _ in LINK.findall(text))
    return [path for path in paths if path.is_file() and path.is_relative_to(ROOT)]


def outside() -> list[Path]:
    """All files outside docs/ that pages lead to, over any number of links."""
    left, known = list(DOCS.rglob("*.md")), set[Path]()
    while left:
        for path in linked(left.pop()):
            if not path.is_relative_to(DOCS) and path not in known:
                known.add(path)
                left += [path] if path.suffix == ".md" else []
    return sorted(known)


def error_index() -> str:
    """Every error with its first sentence; the site's search finds the rest."""
    rows = ["# Errors", "", "`spacedsl explain CODE` shows these pages too.", "", "| code | what |"]
    rows.append("|---|---|")
    for path in sorted((DOCS / "errors").glob("*.md")):
        code, _, what = path.read_text(encoding="utf-8").splitlines()[0][2:].partition(": ")
        rows.append(f"| [{code}](errors/{path.name}) | {what} |")
    return "\n".join(rows) + "\n"


def commands() -> str:
    """The help of every command."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from spacedsl.cli.app import app

    parts = ["# Commands", "Each command's `--help`. Examples stand at its end."]
    for words in leaves(get_command(app), ()):
        said = CliRunner().invoke(app, [*words, "--help"], terminal_width=100).output.strip()
        parts.append(f"## spacedsl {' '.join(words)}\n\n```text\n{said}\n```")
    return "\n\n".join(parts) + "\n"


def leaves(command: Any, words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words of every command at or below one, in the order of the help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [words]
    return [found for name, sub in inner.items() for found in leaves(sub, (*words, name))]


def on_files(files: Any, config: Any) -> Any:
    """Add what pages lead to, and the pages that are written here."""
    from mkdocs.structure.files import File

    for path in outside():
        files.append(File.generated(config, place(path), abs_src_path=str(path)))
    for name, text in (("error-index.md", error_index()), ("commands.md", commands())):
        files.append(File.generated(config, name, content=text))
    return files


def rewritten(text: str, page: Path) -> str:
    """A page's text as MkDocs reads it: links from its place in the site, titles of listings."""
    here = PurePosixPath(place(page)).parent

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match.groups()
        path = (page.parent / target).resolve()
        if path.is_dir():
            return str(words)
        if not path.is_relative_to(ROOT):
            return match.group()
        return f"[{words}]({os.path.relpath(place(path), here)}{anchor or ''})"

    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [LINK.sub(link, text[end : code.start()]), code.group()]
        end = code.end()
    return NAMED.sub(r'```\1 title="\2"', "".join((*parts, LINK.sub(link, text[end:]))))


def on_page_markdown(text: str, page: Any, **_: object) -> str:
    """The text of a page of docs/ or of the repository."""
    path = page.file.abs_src_path
    return rewritten(text, Path(path).resolve()) if path else text
