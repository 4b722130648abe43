"""A real client that starts `spacedsl lsp` and talks to it over standard input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from pygls.uris import from_fs_path

from tests.support import ROOT

T = TypeVar("T")
TIMEOUT_S = 60


class Editor:
    """`errors`: what the server said went wrong; empty where it is sound."""

    def __init__(self, folder: Path, encodings: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.client = LanguageClient("tests", "1")
        self.published: dict[tuple[str, int | None], list[types.Diagnostic]] = {}
        self.errors: list[str] = []
        self.versions: dict[str, int] = {}
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda p: self._note(p))  # noqa: PLW0108  pygls marks it
        self.client.feature(types.WINDOW_LOG_MESSAGE)(lambda p: self.errors.append(p.message))
        self.client.feature(types.WINDOW_SHOW_MESSAGE)(lambda p: self.errors.append(p.message))
        command = (sys.executable, "-m", "spacedsl", "lsp")
        self.wait(self.client.start_io(*command, cwd=str(ROOT)))
        self.capabilities = self._initialize(encodings)

    def _note(self, params: types.PublishDiagnosticsParams) -> None:
        self.published[params.uri, params.version] = list(params.diagnostics)

    def _initialize(self, encodings: tuple[str, ...]) -> types.ServerCapabilities:
        general = types.GeneralClientCapabilities(
            position_encodings=[types.PositionEncodingKind(e) for e in encodings] or None
        )
        edit = types.WorkspaceEditClientCapabilities(document_changes=True)
        params = types.InitializeParams(
            capabilities=types.ClientCapabilities(
                general=general,
                workspace=types.WorkspaceClientCapabilities(workspace_edit=edit),
            ),
            workspace_folders=[types.WorkspaceFolder(self.uri(""), "tests")],
        )
        result = self.wait(self.client.initialize_async(params))
        self.client.initialized(types.InitializedParams())
        return result.capabilities

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, TIMEOUT_S))

    def uri(self, name: str) -> str:
        return str(from_fs_path(str(self.folder / name)))

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(name))

    # ---- documents ------------------------------------------------------------------------------

    def open(self, name: str, text: str) -> list[types.Diagnostic]:
        """Open a page; its diagnostics."""
        self.versions[name] = 1
        item = types.TextDocumentItem(self.uri(name), "space", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return self.diagnostics(name)

    def change(self, name: str, *changes: Any, version: int | None = None) -> int:
        """Change a page, by texts (all of it) or by events; its new version."""
        self.versions[name] = version or self.versions[name] + 1
        events = [
            types.TextDocumentContentChangeWholeDocument(c) if isinstance(c, str) else c
            for c in changes
        ]
        identifier = types.VersionedTextDocumentIdentifier(
            version=self.versions[name], uri=self.uri(name)
        )
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, events))
        return self.versions[name]

    def type(self, name: str, text: str) -> list[types.Diagnostic]:
        """Put another text in; its diagnostics."""
        self.change(name, text)
        return self.diagnostics(name)

    def diagnostics(self, name: str) -> list[types.Diagnostic]:
        """Those of the page as it is now."""
        key = self.uri(name), self.versions[name]

        async def published() -> list[types.Diagnostic]:
            while key not in self.published:
                await asyncio.sleep(0.001)
            return self.published[key]

        return self.wait(published())

    def settled(self, name: str, version: int | None = None) -> list[types.Diagnostic]:
        """The next diagnostics that come for the page."""
        self.published.pop((self.uri(name), version or self.versions[name]), None)
        return self.diagnostics(name)

    # ---- requests -------------------------------------------------------------------------------

    def place(self, name: str, line: int, character: int) -> dict[str, Any]:
        position = types.Position(line, character)
        return {"text_document": self.document(name), "position": position}

    def hover(self, name: str, line: int, character: int) -> str:
        params = types.HoverParams(**self.place(name, line, character))
        found = self.wait(self.client.text_document_hover_async(params))
        if found is None:
            return ""
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    def complete(self, name: str, line: int, character: int) -> list[str]:
        params = types.CompletionParams(**self.place(name, line, character))
        found = self.wait(self.client.text_document_completion_async(params))
        assert isinstance(found, types.CompletionList)
        return [item.label for item in found.items]

    def definition(self, name: str, line: int, character: int) -> types.Location | None:
        params = types.DefinitionParams(**self.place(name, line, character))
        found = self.wait(self.client.text_document_definition_async(params))
        assert found is None or isinstance(found, types.Location)
        return found

    def rename(self, name: str, line: int, character: int, new: str) -> types.WorkspaceEdit | None:
        params = types.RenameParams(new_name=new, **self.place(name, line, character))
        return self.wait(self.client.text_document_rename_async(params))

    def format(self, name: str) -> list[types.TextEdit]:
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        params = types.DocumentFormattingParams(self.document(name), options)
        found = self.wait(self.client.text_document_formatting_async(params))
        return [*(found or ())]

    def actions(self, name: str, range: types.Range) -> list[types.CodeAction]:
        params = types.CodeActionParams(
            self.document(name), range, types.CodeActionContext(diagnostics=[])
        )
        found = self.wait(self.client.text_document_code_action_async(params)) or []
        return [a for a in found if isinstance(a, types.CodeAction)]

    # ---- the end --------------------------------------------------------------------------------

    def close(self, *, asked: bool = True) -> int | None:
        """End the server; its exit code."""
        server = self.client._server
        assert server is not None

        async def end() -> int:
            if asked:
                await self.client.shutdown_async(None)
            self.client.exit(None)
            return await server.wait()

        code = self.wait(end())
        self.wait(self.client.stop())  # type: ignore[no-untyped-call]
        self.loop.close()
        return code
