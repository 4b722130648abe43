"""The server: documents and requests of the protocol, answered by the functions beside it."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol.language_server import LanguageServerProtocol, lsp_method

from spacedsl.diagnostics import SpaceError
from spacedsl.lang.page import Page
from spacedsl.lsp import convert
from spacedsl.lsp.completion import complete
from spacedsl.lsp.definition import define
from spacedsl.lsp.findings import Finding, findings, within
from spacedsl.lsp.hover import hover
from spacedsl.lsp.layout import layout
from spacedsl.lsp.outline import folds, outline
from spacedsl.lsp.positions import Encoding, Lines, apply, clean
from spacedsl.lsp.project import Project
from spacedsl.lsp.rename import name_at, references, rename
from spacedsl.version import __version__

SOON_S = 0.005
"""Changes that come within this time are checked once."""
GARBAGE = 50_000
"""New objects after which garbage is looked for; reading a page makes as many."""
LATER_S = 0.15
"""When other open pages are checked, which may use the changed one."""

FAILED = types.LSPErrorCodes.RequestFailed.value
"""The code of a request that is refused, which is no defect."""


@dataclass
class Document:
    uri: str
    version: int | None


@dataclass
class Session:
    """What an editor has open, and what is still to be checked."""

    project: Project = field(default_factory=Project)
    documents: dict[Path, Document] = field(default_factory=dict)
    encoding: Encoding = Encoding.utf16
    ended: bool = False
    waiting: dict[Path, asyncio.TimerHandle] = field(default_factory=dict)

    @property
    def uris(self) -> dict[Path, str]:
        return {path: document.uri for path, document in self.documents.items()}

    def lines(self, page: Page) -> Lines:
        return Lines(page.source.text, self.encoding)

    def at(self, params: Any) -> tuple[Page, int]:
        """The page and the offset that a request is about."""
        page = self.page(params.text_document.uri)
        return page, self.lines(page).offset(convert.position_of(params.position))

    def page(self, uri: str) -> Page:
        """Raises a failed request where the page cannot be read."""
        try:
            return self.project.page(convert.path_of_uri(uri))
        except SpaceError as error:
            raise _failed(error) from None


class Protocol(LanguageServerProtocol):
    """As pygls', but that changes of documents are ours alone: pygls ends lines at more characters
    than the protocol does, and moves the positions of a change to fit."""

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(
        self, params: types.DidChangeTextDocumentParams
    ) -> Iterator[Any]:
        """Hand the change on."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None


class Server(LanguageServer):
    """A language server with a session."""

    def __init__(self) -> None:
        super().__init__("spacedsl", __version__, protocol_cls=Protocol)
        self.session = Session()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Defects and messages that make no sense go to the editor's log; nobody is bothered."""
        if isinstance(error, JsonRpcException) and error.code == FAILED:
            return
        text = f"spacedsl lsp: {type(error).__name__}: {error}"
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, text[:2000]))


def _failed(error: SpaceError) -> JsonRpcException:
    """A request that cannot be done, and why."""
    found = error.diagnostics[0]
    message = f"{found.message} ({found.help})" if found.help else found.message
    return JsonRpcException(message, FAILED)


logging.getLogger("pygls").addHandler(logging.NullHandler())  # defects go to the editor's log
logging.getLogger("pygls").propagate = False
server = Server()


# ---- documents -----------------------------------------------------------------------------------


@server.feature(types.INITIALIZE)
def initialize(ls: Server, params: types.InitializeParams) -> None:
    """Take over the folders and what positions count."""
    encoding = ls.workspace.position_encoding
    ls.session.encoding = Encoding(str(getattr(encoding, "value", encoding)))
    uris = [folder.uri for folder in params.workspace_folders or ()]
    uris = uris or ([params.root_uri] if params.root_uri else [])
    ls.session.project.roots = tuple(convert.path_of_uri(uri) for uri in uris)


@server.feature(types.SHUTDOWN)
def shutdown(ls: Server, params: None) -> None:
    """The end was asked for."""
    ls.session.ended = True


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    """A page is open: from now on the editor's text counts."""
    document = params.text_document
    path = convert.path_of_uri(document.uri)
    ls.session.documents[path] = Document(document.uri, document.version)
    ls.session.project.put(path, clean(document.text))
    _changed(ls, path)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    """A page has changed. A version older than the one that is known is left out."""
    path = convert.path_of_uri(params.text_document.uri)
    document, version = ls.session.documents.get(path), params.text_document.version
    if document is None or (document.version is not None and version < document.version):
        return
    document.version = version
    edits = [convert.edit_of(change) for change in params.content_changes]
    text = apply(ls.session.project.texts[path], edits, ls.session.encoding)
    ls.session.project.put(path, text)
    _changed(ls, path)


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
    """Something on the disk is new."""
    ls.session.project.forget()
    _changed(ls, convert.path_of_uri(params.text_document.uri))


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def did_change_files(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
    """Pages on the disk have changed."""
    ls.session.project.forget()
    _changed(ls, None)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    """The disk counts again; nothing is shown of the page."""
    path = convert.path_of_uri(params.text_document.uri)
    ls.session.documents.pop(path, None)
    ls.session.project.close(path)
    _publish(ls, params.text_document.uri, None, [])
    _changed(ls, None)


def _changed(ls: Server, path: Path | None) -> None:
    """Have the page checked soon, and the others that are open later."""
    for other in ls.session.documents:
        waiting = ls.session.waiting.pop(other, None)
        if waiting is not None:
            waiting.cancel()
        delay = SOON_S if other == path else LATER_S
        loop = asyncio.get_running_loop()
        ls.session.waiting[other] = loop.call_later(delay, _check, ls, other)


def _check(ls: Server, path: Path) -> None:
    ls.session.waiting.pop(path, None)
    document = ls.session.documents.get(path)
    if document is None:
        return
    try:
        page = ls.session.project.page(path)
        lines, uris = ls.session.lines(page), ls.session.uris
        project = ls.session.project
        found = [convert.diagnostic(f, lines, project, uris) for f in findings(page)]
    except Exception as error:  # a defect of ours must not end the server
        found = [_defect(error)]
        ls.report_server_error(error, JsonRpcException)
    _publish(ls, document.uri, document.version, found)


def _defect(error: Exception) -> types.Diagnostic:
    start = types.Position(0, 0)
    message = f"{type(error).__name__}: {error}\nthis is a defect of spacedsl; please report it"
    return types.Diagnostic(types.Range(start, start), message, code="internal", source="spacedsl")


def _publish(ls: Server, uri: str, version: int | None, found: list[types.Diagnostic]) -> None:
    params = types.PublishDiagnosticsParams(uri=uri, diagnostics=found, version=version)
    ls.text_document_publish_diagnostics(params)


# ---- requests ------------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_HOVER)
def on_hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    """What is known of a word."""
    page, offset = ls.session.at(params)
    found = hover(page, offset)
    if found is None:
        return None
    content = types.MarkupContent(types.MarkupKind.Markdown, found.text)
    return types.Hover(content, convert.range_of(ls.session.lines(page), found.span))


@server.feature(
    types.TEXT_DOCUMENT_COMPLETION,
    types.CompletionOptions(trigger_characters=[" ", '"', "/", ">", "("]),
)
def on_completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    """What may be written."""
    page, offset = ls.session.at(params)
    return convert.completion(complete(page, offset), ls.session.lines(page))


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def on_definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
    """Where it is defined."""
    page, offset = ls.session.at(params)
    found = define(page, offset)
    if found is None:
        return None
    there = Lines(found.text, ls.session.encoding)
    return convert.location(found.file, found.span, there, ls.session.uris)


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def on_references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    """Everywhere that a name is used."""
    page, offset = ls.session.at(params)
    found = name_at(page, offset)
    if found is None:
        return []
    return [
        convert.location(place.file, place.span, Lines(text, ls.session.encoding), ls.session.uris)
        for place, text in (
            (place, ls.session.project.page(place.file).source.text)
            for place in references(found[0], [page, *ls.session.project.pages()])
            if params.context.include_declaration or place.span != found[0].span
        )
    ]


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def on_prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.Range | None:
    """The word that would be renamed."""
    page, offset = ls.session.at(params)
    found = name_at(page, offset)
    return convert.range_of(ls.session.lines(page), found[1]) if found else None


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def on_rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
    """A name changed everywhere, or a failed request that says why not."""
    page, offset = ls.session.at(params)
    found = name_at(page, offset)
    if found is None:
        return None
    try:
        changes = rename(found[0], params.new_name, [page, *ls.session.project.pages()])
    except SpaceError as error:
        raise _failed(error) from None
    edits: dict[Path, list[types.TextEdit]] = {}
    for change in changes:
        lines = ls.session.lines(ls.session.project.page(change.place.file))
        edit = convert.text_edit(lines, change.place.span, change.text)
        edits.setdefault(change.place.file, []).append(edit)
    return _workspace_edit(ls, edits)


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def on_formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """What `spacedsl fmt` would change; nothing where the page does not parse."""
    page = ls.session.page(params.text_document.uri)
    try:
        found = layout(page.source)
    except SpaceError:
        return []
    return [convert.text_edit(ls.session.lines(page), *found)] if found else []


@server.feature(
    types.TEXT_DOCUMENT_CODE_ACTION,
    types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
)
def on_code_action(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The fixes of what is wrong there."""
    page = ls.session.page(params.text_document.uri)
    span = convert.span_of_range(ls.session.lines(page), params.range)
    return [
        action for finding in within(findings(page), span) for action in _actions(ls, page, finding)
    ]


def _actions(ls: Server, page: Page, finding: Finding) -> list[types.CodeAction]:
    lines, path = ls.session.lines(page), Path(page.source.name)
    shown = convert.diagnostic(finding, lines, ls.session.project, ls.session.uris)
    return [
        types.CodeAction(
            title=repair.title,
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[shown],
            is_preferred=len(finding.repairs) == 1,
            edit=_workspace_edit(ls, {path: [convert.text_edit(lines, repair.span, repair.text)]}),
        )
        for repair in finding.repairs
    ]


def _workspace_edit(ls: Server, edits: Mapping[Path, list[types.TextEdit]]) -> types.WorkspaceEdit:
    """Edits with the versions they are for, where the editor knows such edits."""
    uris = {path: ls.session.uris.get(path) or convert.uri_of(path) for path in edits}
    workspace = ls.client_capabilities.workspace
    edit = workspace.workspace_edit if workspace else None
    if edit is None or not edit.document_changes:
        return types.WorkspaceEdit(changes={uris[path]: found for path, found in edits.items()})
    documents = ls.session.documents
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(
                types.OptionalVersionedTextDocumentIdentifier(
                    uri=uris[path], version=documents[path].version if path in documents else None
                ),
                edits=[*found],
            )
            for path, found in edits.items()
        ]
    )


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def on_symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """The outline of a page."""
    page = ls.session.page(params.text_document.uri)
    lines = ls.session.lines(page)
    return [convert.symbol(found, lines) for found in outline(page)]


@server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
def on_folding(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    """The bodies of a page."""
    page = ls.session.page(params.text_document.uri)
    ranges = [ls.session.lines(page).range(span) for span in folds(page)]
    return [types.FoldingRange(a.line, b.line - 1) for a, b in ranges if b.line > a.line + 1]


def serve() -> bool:
    """Answer on standard input and output until it ends; whether it ended as agreed. Raises
    `EOFError` where it ends within a message."""
    gc.freeze()  # the protocol's hundreds of classes need not be looked through again and again
    gc.set_threshold(GARBAGE)
    server.start_io()
    return server.session.ended
