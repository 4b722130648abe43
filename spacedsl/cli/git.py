"""spacedsl git: what git needs to show and merge pages by meaning."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from spacedsl.cli.boundary import DIFFERS, FORMAT, Format, emit, guarded
from spacedsl.cli.help import epilog
from spacedsl.cli.words import wrapped
from spacedsl.diagnostics import SpaceError, fault
from spacedsl.files import read_bounded, write_atomic
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.library import read_source
from spacedsl.lang.merge import merge_lines, merge_pages
from spacedsl.lang.page import Loader, Page
from spacedsl.lang.resolve import resolved_text
from spacedsl.syntax.printer import format_text
from spacedsl.text import Source

git = typer.Typer(
    help="Let git show and merge pages by meaning.", no_args_is_help=True, rich_markup_mode=None
)

ATTRIBUTES = "*.space diff=space merge=space"
HEADERS = r"^((hyperspace|space|model|block|target)[ \t].*)$"
"""Lines that git shows above a hunk."""


def _settings() -> dict[str, str]:
    """git's settings. Where spacedsl fails or is gone, a diff shows the text as it is, and a merge
    is git's own: it leaves ordinary conflict markers."""
    command = f'"{sys.executable}" -m spacedsl git'
    shown = f'{command} textconv "$1" 2>/dev/null || cat "$1"'
    merged = (  # a Python without spacedsl exits 1 as a conflict does, but writes no markers
        f'{command} merge "$@"; code=$?; [ $code -eq 0 ] && return 0; '
        f"[ $code -eq {DIFFERS} ] && grep -q '^<<<<<<< ' \"$2\" && return {DIFFERS}; "
        'git merge-file -L ours -L base -L theirs "$2" "$1" "$3"'
    )
    return {
        "diff.space.textconv": f"show() {{ {shown}; }}; show",
        "diff.space.xfuncname": HEADERS,
        "merge.space.name": "spacedsl: stage by stage",
        "merge.space.driver": f"join() {{ {merged}; }}; join %O %A %B %P",
    }


def run_git(*args: str) -> str:
    """What git prints. Raises `SpaceError` where it fails or is not there."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *args],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise fault("no-git", f"cannot run git: {error.strerror}") from None
    if done.returncode:
        raise fault("git", f"git {args[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.rstrip("\n")


def _attributes() -> Path:
    return Path(run_git("rev-parse", "--git-path", "info/attributes"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


@git.command("install", epilog=epilog("git install"))
@guarded
def install(format: Format = FORMAT) -> None:
    """Set this repository up: `git diff` shows flat canonical pages with the item in hunk headers,
    `git merge` merges stage by stage. Only .git is changed."""
    path = _attributes()
    lines = _lines(path)
    for key, value in _settings().items():
        run_git("config", "--local", key, value)
    if ATTRIBUTES not in lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, "".join(f"{line}\n" for line in [*lines, ATTRIBUTES]))
    if format is Format.json:
        emit({"attributes": str(path), "settings": _settings()})
    else:
        said = f"git shows and merges .space pages by meaning here; {path} and .git/config say so"
        print(wrapped(said))


@git.command("uninstall", epilog=epilog("git uninstall"))
@guarded
def uninstall(format: Format = FORMAT) -> None:
    """Take back what `install` set."""
    path = _attributes()
    kept = [line for line in _lines(path) if line != ATTRIBUTES]
    for section in ("diff.space", "merge.space"):
        if run_git("config", "--local", "--list").find(f"{section}.") >= 0:
            run_git("config", "--local", "--remove-section", section)
    if path.is_file():
        write_atomic(path, "".join(f"{line}\n" for line in kept))
    if format is Format.json:
        emit({"attributes": str(path)})
    else:
        print("git treats .space pages as any text again")


MAX_BYTES = 256 << 20
"""Of a file that git shows as it is."""


@git.command("textconv", hidden=True)
@guarded
def textconv(file: Path = typer.Argument(...)) -> None:
    """What `git diff` compares: the flat page, else the formatted one, else the file as it is."""
    try:
        text = _readable(read_source(file), _folder(file)).encode()
    except SpaceError:
        text = read_bounded(file, MAX_BYTES)
    sys.stdout.buffer.write(text)


def _readable(source: Source, folder: Path) -> str:
    try:
        return _flat(Loader().parse(source, folder))
    except SpaceError:
        return format_text(source)


def _flat(page: Page) -> str:
    """Every space and model of a page, flat; the page itself where it has none."""
    items = [page.get(name) for name in page.names]
    texts = [resolved_text(i) for i in items if isinstance(i, Space | Subnet)]
    return "\n".join(texts) if texts else format_text(page.source)


def _folder(file: Path) -> Path:
    """Where the page that git wrote to a temporary file belongs: beside the only tracked page of
    its name. git calls from the top of the work tree."""
    if file.is_relative_to(Path.cwd()) or not file.is_absolute():
        return file.parent
    name = file.name.partition("_")[2] or file.name
    found = run_git("ls-files", "--", name, f"*/{name}").splitlines()
    return Path(found[0]).parent if len(found) == 1 else Path()


@git.command("merge", hidden=True)
@guarded
def merge(
    base: Path = typer.Argument(...),
    ours: Path = typer.Argument(...),
    theirs: Path = typer.Argument(...),
    name: str = typer.Argument("page"),
) -> None:
    """Merge `theirs` into `ours`; exit 1 with conflict markers where both changed one part."""
    old, mine, other = (read_source(path, name) for path in (base, ours, theirs))
    try:
        merged = merge_pages(old, mine, other, _merge_text)
        text, conflict = merged.text, merged.conflict
    except SpaceError:
        text, conflict = merge_lines(old.text, mine.text, other.text, _merge_text)
    write_atomic(ours, text)
    if conflict:
        raise typer.Exit(DIFFERS)


def _merge_text(base: str, ours: str, theirs: str) -> tuple[str, bool]:
    """git's own merge, line by line."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("ours", "base", "theirs")]
        for path, text in zip(paths, (ours, base, theirs), strict=True):
            path.write_text(text, encoding="utf-8", newline="")
        done = subprocess.run(  # noqa: S603
            ["git", "merge-file", "-p", "-L", "ours", "-L", "base", "-L", "theirs", *paths],  # noqa: S607
            capture_output=True,
            check=False,
        )
    return done.stdout.decode("utf-8"), done.returncode != 0
