"""Pages: files read, names resolved (`use`, `of`), items lowered on demand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath

from spacedsl.diagnostics import Diagnostic, SpaceError, fault, place, suggest
from spacedsl.ir.block import Block
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.ir.target import Target
from spacedsl.lang.blocks import lower_block
from spacedsl.lang.report import Abandon, Report
from spacedsl.syntax.parser import MAX_CHARACTERS, parse
from spacedsl.syntax.tree import Node, Token
from spacedsl.text import Source, Span

LANGUAGE = 1
MAX_CHAIN = 16
SUFFIX = ".space"

Item = Block | Space | Subnet | Target


def library() -> Path:
    """The pages that come with spacedsl: inside the installed package, or beside it in a
    checkout."""
    installed = Path(str(resources.files("spacedsl") / "spaces"))
    return installed if installed.is_dir() else Path(__file__).parents[2] / "spaces"


def read_source(path: Path, name: str | None = None) -> Source:
    """A page's text. Raises `SpaceError` where it cannot be read, is not UTF-8 or too large."""
    shown = name or str(path)
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 1)
    except OSError as error:
        raise fault("cannot-read", f"cannot read {shown}: {error.strerror or error}") from None
    if len(data) > 4 * MAX_CHARACTERS:
        raise fault("too-large", f"{shown} is larger than {4 * MAX_CHARACTERS:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{shown} is not text: byte {error.start} is not UTF-8"
        raise fault("not-text", message, help="a page is a UTF-8 text file") from None
    return Source(shown, text)


@dataclass
class Page:
    """One parsed page. Items are lowered when asked for and kept."""

    source: Source
    folder: Path
    tree: Node
    loader: Loader
    items: dict[str, Node] = field(default_factory=dict)
    uses: tuple[Page, ...] = ()
    use_path: str = ""
    _lowered: dict[str, Item] = field(default_factory=dict)
    _active: list[str] = field(default_factory=list)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.items)

    def knows_block(self, name: str) -> bool:
        """Whether this page or one that it uses defines block `name`."""
        return any(name in p.items and p.items[name].rule == "block" for p in (self, *self.uses))

    def kind(self, name: str) -> str:
        """`block`, `hyperspace`, `space`, `model` or `target`."""
        node = self.items[name]
        return str(node.tokens()[0].text)

    def get(self, name: str) -> Item:
        """The item `name` of this page, lowered. Raises `SpaceError`."""
        if name not in self._lowered:
            if name in self._active:
                raise self._error("cycle", f"`{name}` is defined by itself", self.items[name])
            if len(self._active) >= MAX_CHAIN:
                message = f"spaces of each other more than {MAX_CHAIN} deep"
                raise self._error("too-deep", message, self.items[name])
            self._active.append(name)
            try:
                self._lowered[name] = self._lower(name)
            finally:
                self._active.remove(name)
        return self._lowered[name]

    def _lower(self, name: str) -> Item:
        from spacedsl.lang.models import lower_model
        from spacedsl.lang.spaces import lower_space
        from spacedsl.lang.targets import lower_target

        node, report = self.items[name], Report(self.source)
        try:
            item: Item
            if node.rule == "block":
                item = lower_block(node, self.use_path, report)
            elif node.rule == "space":
                item = lower_space(node, self, report)
            elif node.rule == "model":
                item = lower_model(node, self, report)
            else:
                item = lower_target(node, report)
        except Abandon:
            report.raise_if_any()
            raise
        report.raise_if_any()
        return item

    def find(
        self, name: Token, what: str, rule: str, report: Report, also: Iterable[str] = ()
    ) -> Item:
        """The block, space, ... called `name`: in this page, in a used page, else (but for
        blocks) in `NAME.space` beside this page or in the library. `also`: other names that would
        do there, for the error."""
        own = self.items.get(name.text)
        if own is not None and own.rule == rule:
            return self.get(name.text)
        pages = [p for p in self.uses if name.text in p.items and p.items[name.text].rule == rule]
        if len(pages) > 1:
            found = " and ".join(p.source.name for p in pages)
            raise report.fail("ambiguous", f"`{name.text}` is in {found}", name)
        if pages:
            return pages[0].get(name.text)
        page = None if rule == "block" else self.loader.beside(self, name.text)
        if page is not None and name.text in page.items and page.items[name.text].rule == rule:
            return page.get(name.text)
        known = [n for p in (self, *self.uses) for n, node in p.items.items() if node.rule == rule]
        others = [n for n in known if n not in self._active]
        near = None if rule == "block" else suggest(name.text, self.loader.names_beside(self))
        raise report.unknown(what, name, [*others, *also, *([near] if near else [])])

    def _error(self, code: str, message: str, node: Node) -> SpaceError:
        return SpaceError(Diagnostic(code, message, place(self.source, node.span)))


class Loader:
    """Reads pages once and knows which are being read, so that a cycle of `use` is found."""

    def __init__(self) -> None:
        self._pages: dict[tuple[Path, str], Page] = {}
        self._loading: list[Path] = []

    def load(self, path: Path, name: str | None = None, use_path: str = "") -> Page:
        """The page at `path`. Raises `SpaceError`."""
        key = path.resolve()
        if (key, use_path) in self._pages:
            return self._pages[key, use_path]
        page = self.parse(read_source(path, name), path.parent, key, use_path)
        self._pages[key, use_path] = page
        return page

    def parse(
        self, source: Source, folder: Path, key: Path | None = None, use_path: str = ""
    ) -> Page:
        """A page from text; `folder` is where its `use` and `of` look first."""
        tree = parse(source)
        page = Page(source, folder, tree, self, use_path=use_path)
        report = Report(source)
        _check_language(tree, report)
        for node in tree.all("block", "space", "model", "target"):
            name = node.token("NAME")
            if name.text in page.items:
                report.error("duplicate-name", f"`{name.text}` is defined twice in this page", name)
            page.items.setdefault(name.text, node)
        if len(self._loading) >= MAX_CHAIN:
            report.error("too-deep", f"pages use each other more than {MAX_CHAIN} deep", tree)
        report.raise_if_any()
        self._loading.append(key or folder)
        try:
            page.uses = tuple(self._use(page, node) for node in tree.all("use"))
        finally:
            self._loading.pop()
        return page

    def _use(self, page: Page, node: Node) -> Page:
        token = node.token("STRING")
        wanted = token.text[1:-1]
        report = Report(page.source)
        pure = PurePosixPath(wanted)
        if pure.is_absolute() or pure.suffix != SUFFIX or "\\" in wanted or "\0" in wanted:
            report.error("bad-use", f"`use` takes a relative path that ends in {SUFFIX}", token)
            report.raise_if_any()
        for base in (page.folder, library()):
            path = base / wanted
            if _is_file(path):
                if path.resolve() in self._loading:
                    report.error("use-cycle", f"{wanted} uses this page, directly or not", token)
                    report.raise_if_any()
                return self.load(path, _shown(path, page), wanted)
        report.error(
            "missing-use",
            f"there is no page {wanted}",
            token,
            "looked beside this page and in the library",
        )
        report.raise_if_any()
        raise AssertionError

    def beside(self, page: Page, name: str) -> Page | None:
        """The page NAME.space beside `page`, else in the library, or None."""
        for base in _bases(page):
            path = base / f"{name}{SUFFIX}"
            if _is_file(path) and path.resolve() not in self._loading:
                return self.load(path, _shown(path, page))
        return None

    def names_beside(self, page: Page) -> list[str]:
        """What `beside` would find."""
        return [p.stem for base in _bases(page) for p in base.glob(f"*{SUFFIX}")]


def _bases(page: Page) -> tuple[Path, ...]:
    """Where what a page names is looked for, in order."""
    return page.folder, library(), library() / "baselines"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system takes
        return False


def _shown(path: Path, page: Page) -> str:
    """How to name a page found from another: as the user would write it from where they are."""
    root = library()
    if path.is_relative_to(root) and not page.folder.is_relative_to(root):
        return f"<library>/{path.relative_to(root).as_posix()}"
    return str(path)


def _check_language(tree: Node, report: Report) -> None:
    nodes = tree.all("language")
    if not nodes:
        empty = Node("start", (), Span(0, 0))
        message = "an empty page" if not tree.all() else "the page does not say its language"
        report.error("no-language", message, empty, f"begin with `language {LANGUAGE}`")
    for node in nodes:
        version = node.token("INT")
        if version.text != str(LANGUAGE):
            message = f"language {version.text[:12]} is not known to this spacedsl"
            report.error("language-version", message, version, f"write `language {LANGUAGE}`")
    for node in nodes[1:]:
        report.error("duplicate-key", "the language is said twice", node)
    if nodes and tree.all()[0] is not nodes[0]:
        report.error("misplaced", "`language` comes first", nodes[0])


def main_item(page: Page, kinds: Iterable[str] = ("hyperspace", "space", "model", "target")) -> str:
    """The name of the page's only item of these kinds, or the last of several that the others
    lead up to. Raises `SpaceError` where there is none or the choice is open."""
    kinds = tuple(kinds)
    names = [n for n in page.names if page.kind(n) in kinds]
    if len(names) == 1:
        return names[0]
    if not names:
        message = f"{page.source.name} has no {' or '.join(kinds)}"
        raise fault("no-item", message)
    message = f"{page.source.name} has several: {', '.join(names)}"
    raise fault("several-items", message, help=f"name one: {page.source.name}#{names[-1]}")
