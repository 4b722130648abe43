"""Pages: files read, names resolved (`use`, `of`), items lowered on demand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from spacedsl.diagnostics import Diagnostic, SpaceError, fault, place, suggest
from spacedsl.ir.item import Item
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.items import Items, check_language, check_repeated, collect_items
from spacedsl.lang.library import SUFFIX, in_library, library, read_source, shown_path
from spacedsl.lang.lower import lower_item
from spacedsl.lang.memo import Dependency, Memo
from spacedsl.lang.report import Abandon, Report, Seen
from spacedsl.lang.scope import Budget
from spacedsl.lang.uses import missing_page, missing_use, said_path, unused_pages
from spacedsl.syntax.parser import parse_any
from spacedsl.syntax.tree import Node, Token, leaves
from spacedsl.text import Source

MAX_CHAIN = 16
MAX_USES = 256


@dataclass
class Page:
    """One parsed page, which is the scope of its items. Items are lowered when asked for and kept.

    `errors`: what is wrong with the page itself. Items that are broken are not lowered; where a
    page is not `whole`, none of its names is unknown. `fits`: whether the bodies of its spaces are
    known to fit, as those of a page are that another one found in the library."""

    source: Source
    folder: Path
    tree: Node
    loader: Loader
    found: Items
    uses: tuple[Page, ...] = ()
    use_path: str = ""
    fits: bool = False
    errors: tuple[Diagnostic, ...] = ()
    whole: bool = True
    _lowered: dict[str, Item] = field(default_factory=dict)
    _failed: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict)
    _active: list[str] = field(default_factory=list)
    _depends: list[list[Dependency]] = field(default_factory=list)
    _unknown: Seen = field(default_factory=dict)

    @property
    def items(self) -> Mapping[str, Node]:
        """The syntax tree of every item, by name."""
        return self.found.named

    @property
    def broken(self) -> frozenset[str]:
        """The items that hold a syntax error."""
        return self.found.broken

    @property
    def budget(self) -> Budget:
        """The loader's."""
        return self.loader.budget

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.items)

    def all_errors(self) -> tuple[Diagnostic, ...]:
        """What is wrong with this page and the pages it uses, their items aside."""
        return (*self.errors, *(e for p in self.uses for e in p.all_errors()))

    def knows_block(self, name: str) -> bool:
        """Whether this page or one that it uses defines block `name`."""
        known = self._defines_block(name)
        if not known and self._depends:
            self._depends[-1].append(Dependency("block", name, None))
        return known

    def _defines_block(self, name: str) -> bool:
        return any(name in p.items and p.items[name].rule == "block" for p in (self, *self.uses))

    def kind(self, name: str) -> str:
        """`block`, `hyperspace`, `space`, `model` or `target`."""
        node = self.items[name]
        return str(node.tokens()[0].text)

    def get(self, name: str) -> Item:
        """The item `name` of this page, lowered. Raises `SpaceError`."""
        if name in self.broken:
            raise SpaceError(self.errors)
        if name in self._failed:
            raise SpaceError(self._failed[name])
        if name not in self._lowered:
            if name in self._active:
                node = self.items[name]
                raise self._error("cycle", f"`{name}` is defined by itself", node.token("NAME"))
            self.loader.enter(self.source, self.items[name])
            self._active.append(name)
            try:
                self._lowered[name] = self._lower(name)
            except SpaceError as error:
                self._failed[name] = error.diagnostics
                raise
            finally:
                self._active.remove(name)
                self.loader.leave()
        return self._lowered[name]

    def _lower(self, name: str) -> Item:
        """The item, lowered afresh where the loader's memo does not have it."""
        memo = self.loader.memo
        if memo is None:
            return self._lower_afresh(name)
        words = (self.use_path, str(self.fits), *(t.text for t in leaves(self.items[name])))
        kept = memo.get(words)
        if kept is not None and all(map(self._is_still, kept[1])):
            return kept[0]
        self._depends.append([])
        try:
            item = self._lower_afresh(name)
            memo.put(words, item, tuple(self._depends[-1]))
        finally:
            self._depends.pop()
        return item

    def _is_still(self, found: Dependency) -> bool:
        """Whether a name means here what it meant then."""
        if found.item is None:
            return not self._defines_block(found.name)
        try:
            pages = self.holders(found.name, found.rule)
            return len(pages) == 1 and pages[0].get(found.name) is found.item
        except SpaceError:
            return False

    def _lower_afresh(self, name: str) -> Item:
        return lower_item(self.items[name], self, Report(self.source, self._unknown))

    def find(
        self, name: Token, what: str, rule: str, report: Report, offered: Sequence[str] = ()
    ) -> Item:
        """The block, space, ... called `name`: in this page, in a used page, else (but for
        blocks) in `NAME.space` beside this page or in the library. `offered`: the names that would
        do there, where not all do, for the error."""
        page = self._holder(name, what, rule, report, offered)
        try:
            item = page.get(name.text)
        except SpaceError as error:
            raise report.depends(error.diagnostics) from None
        if self._depends:
            self._depends[-1].append(Dependency(rule, name.text, item))
        return item

    def _holder(
        self, name: Token, what: str, rule: str, report: Report, offered: Sequence[str]
    ) -> Page:
        """The page that `find` finds the name in."""
        pages = self.holders(name.text, rule)
        if len(pages) > 1:
            found = " and ".join(p.source.name for p in pages)
            raise report.fail("ambiguous", f"`{name.text}` is in {found}", name)
        if pages:
            return pages[0]
        known = (self, *self.uses)
        if not all(p.whole for p in known) or any(p.found.repeats(name.text, rule) for p in known):
            raise report.depends(self.all_errors())
        if offered:
            raise report.unknown(what, name, offered)
        if rule == "block":
            self._check_unused_pages(name, report)
        raise report.unknown(what, name, self._known(name.text, rule))

    def _check_unused_pages(self, name: Token, report: Report) -> None:
        """Raises `Abandon` where a block that is not known is one of a page of the library which
        this page does not use: one error for all of its blocks."""
        for wanted, path in unused_pages({p.use_path for p in self.uses}):
            try:
                there = self.loader.open(path, f"<library>/{wanted}", wanted)
            except SpaceError:
                continue
            if name.text in there.items:
                error = missing_use(name, wanted, self.source, self.tree)
                raise report.once(("use", wanted), error)

    def _known(self, name: str, rule: str) -> Iterator[str]:
        """What `name` may have been meant to be. Lazy: only some are asked for."""
        for page in (self, *self.uses):
            yield from (n for n, node in page.items.items() if node.rule == rule)
        near = None if rule == "block" else suggest(name, self.names_beside())
        if near is not None:
            yield near

    def holders(self, name: str, rule: str) -> list[Page]:
        """The pages that `name` may mean an item of: this one, else used ones, else (but for
        blocks) one beside it."""
        if self._has(name, rule):
            return [self]
        pages = [p for p in self.uses if p._has(name, rule)]
        if pages or rule == "block":
            return pages
        found = self.loader.beside(self, name)
        return next(([page] for page in found if page._has(name, rule)), [])

    def names_beside(self) -> list[str]:
        """The names of the pages beside this one and in the library."""
        return [p.stem for base in _bases(self) for p in base.glob(f"*{SUFFIX}")]

    def find_file(self, said: str) -> Path | None:
        """A file that this page names by its path: beside it, else in the library."""
        paths = (base / said for base in (self.folder, library()))
        return next((path for path in paths if self.loader.is_file(path)), None)

    def _has(self, name: str, rule: str) -> bool:
        return name in self.broken or (name in self.items and self.items[name].rule == rule)

    def _error(self, code: str, message: str, at: Node | Token) -> SpaceError:
        return SpaceError(Diagnostic(code, message, place(self.source, at.span)))


class Loader:
    """Reads pages once and knows which are being read, so that a cycle of `use` is found.

    `texts`: what stands in files instead of what the disk says (open in an editor), by resolved
    path. `memo`: kept between loaders by who reads the same pages again and again."""

    def __init__(self, texts: Mapping[Path, str] | None = None, memo: Memo | None = None) -> None:
        self.memo = memo
        self.budget = Budget()
        self._texts = texts or {}
        self._pages: dict[tuple[Path, str, bool], Page] = {}
        self._loading: list[Path] = []
        self._lowering = 0  # items that wait for others, over all pages
        self._too_deep: Diagnostic | None = None

    def enter(self, source: Source, node: Node) -> None:
        """Begin to lower an item. Raises `SpaceError` where too many wait for others already: one
        error for all of them."""
        if self._lowering >= MAX_CHAIN:
            message = f"spaces of each other more than {MAX_CHAIN} deep"
            found = Diagnostic("too-deep", message, place(source, node.span))
            self._too_deep = self._too_deep or found
            raise SpaceError(self._too_deep)
        self._lowering += 1

    def leave(self) -> None:
        """End what `enter` began."""
        self._lowering -= 1

    def load(self, path: Path, name: str | None = None) -> Page:
        """The page at `path`, without errors of its own. Raises `SpaceError`."""
        return _sound(self.open(path, name))

    def parse(self, source: Source, folder: Path) -> Page:
        """As `load`, from text; `folder` is where its `use` and `of` look first."""
        return _sound(self.open_source(source, folder))

    def open(
        self, path: Path, name: str | None = None, use_path: str = "", fits: bool = False
    ) -> Page:
        """The page at `path`, with its errors. Raises `SpaceError` where it cannot be read."""
        try:
            key = path.resolve()
        except (OSError, RuntimeError):
            raise fault("cannot-read", f"cannot read {path}: a loop of links") from None
        if (key, use_path, fits) not in self._pages:
            text = self._texts.get(key)
            source = read_source(path, name) if text is None else Source(name or str(path), text)
            page = self.open_source(source, path.parent, key, use_path, fits)
            self._pages[key, use_path, fits] = page
        return self._pages[key, use_path, fits]

    def open_source(
        self,
        source: Source,
        folder: Path,
        key: Path | None = None,
        use_path: str = "",
        fits: bool = False,
    ) -> Page:
        """A page from text, with its errors."""
        parsed = parse_any(source) if self.memo is None else self.memo.parse(source)
        report = Report(source)
        report.found += parsed.errors
        items = collect_items(parsed)
        page = Page(source, folder, parsed.tree, self, items, (), use_path, fits, whole=items.whole)
        check_language(page.tree, items, report)
        check_repeated(page.tree, items, report)
        if len(self._loading) >= MAX_CHAIN:
            report.error("too-deep", f"pages use each other more than {MAX_CHAIN} deep", page.tree)
        else:
            self._load_uses(page, key or folder, report)
        page.errors = tuple(report.found)
        return page

    def _load_uses(self, page: Page, key: Path, report: Report) -> None:
        uses: list[Page] = []
        nodes = page.tree.all("use")
        if len(nodes) > MAX_USES:
            page.whole = False
            message = f"a page uses at most {MAX_USES} others"
            report.error("too-large", message, nodes[MAX_USES])
        self._loading.append(key)
        for node in nodes[:MAX_USES]:
            if node.span.start in page.found.broken_at:
                continue
            try:
                used = self._use(page, node.token("STRING"), report)
            except Abandon:
                page.whole = False
                continue
            if used not in uses:
                uses.append(used)
        self._loading.pop()
        page.uses = tuple(uses)

    def _use(self, page: Page, token: Token, report: Report) -> Page:
        wanted = said_path(token, report)
        path = page.find_file(wanted)
        if path is not None:
            if path.resolve() in self._loading:
                message = f"{wanted} uses this page, directly or not"
                raise report.fail("use-cycle", message, token)
            try:
                return self.open(path, _shown(path, page), wanted)
            except SpaceError as error:
                raise report.depends(error.diagnostics) from None
        raise missing_page(token, page.folder, report)

    def beside(self, page: Page, name: str) -> Iterator[Page]:
        """The pages NAME.space beside `page`, then in the library."""
        for base in _bases(page):
            if not self._texts and not os.path.isfile(f"{base}/{name}{SUFFIX}"):
                continue  # soon known, which a page of thousands of unknown names needs
            path = base / f"{name}{SUFFIX}"
            if self.is_file(path) and (file := path.resolve()) not in self._loading:
                fits = not self._texts and in_library(file)
                yield self.open(path, _shown(path, page), fits=fits)

    def is_file(self, path: Path) -> bool:
        """Whether there is such a file, or such a text of an editor."""
        try:
            return path.is_file() or (bool(self._texts) and path.resolve() in self._texts)
        except (OSError, RuntimeError):  # a name longer than the file system takes, a loop of links
            return False


def _bases(page: Page) -> tuple[Path, ...]:
    """Where what a page names is looked for, in order."""
    return page.folder, library(), library() / "baselines", library() / "benchmarks"


def _shown(path: Path, page: Page) -> str:
    """How to name a page found from another."""
    return shown_path(path, page.folder, in_library=page.source.name.startswith("<library>"))


def _sound(page: Page) -> Page:
    errors = page.all_errors()
    if errors:
        raise SpaceError(errors)
    return page


def main_item(page: Page, kinds: Iterable[str] = ("hyperspace", "space", "model", "target")) -> str:
    """The name of the page's only item of these kinds, or of its only model where the others are
    what that is of. Raises `SpaceError` where there is none or there are several."""
    kinds = tuple(kinds)
    names = [n for n in page.names if page.kind(n) in kinds]
    if len(names) == 1:
        return names[0]
    models = [n for n in names if page.kind(n) == "model"]
    if len(models) == 1 and {*names} == {*models, *_spaces_of(page.get(models[0]))}:
        return models[0]
    if not names:
        message = f"{page.source.name} has no {' or '.join(kinds)}"
        raise fault("no-item", message)
    message = f"{page.source.name} has several: {', '.join(names)}"
    raise fault("several-items", message, help=f"name one: {page.source.name}#{names[-1]}")


def _spaces_of(item: Item) -> Iterator[str]:
    """The names of the space that a model is of, of its hyperspace, and so on."""
    above = item.of if isinstance(item, Subnet | Space) else None
    while above is not None:
        yield above.name
        above = above.of
