"""From our values to the protocol's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.uris import from_fs_path, to_fs_path

from spacedsl.diagnostics import Place, SpaceError
from spacedsl.lang.explanations import explained, explanation_path
from spacedsl.lsp.completion import Completion
from spacedsl.lsp.findings import Finding, span_of
from spacedsl.lsp.outline import Symbol
from spacedsl.lsp.positions import Edit, Encoding, Lines, Position
from spacedsl.lsp.project import Project, shown_path
from spacedsl.text import Span

SYMBOLS = {
    "block": types.SymbolKind.Class,
    "hyperspace": types.SymbolKind.Namespace,
    "space": types.SymbolKind.Namespace,
    "model": types.SymbolKind.Object,
    "target": types.SymbolKind.Constant,
    "stage": types.SymbolKind.Field,
    "let": types.SymbolKind.Variable,
}
KINDS = {
    "keyword": types.CompletionItemKind.Keyword,
    "block": types.CompletionItemKind.Class,
    "space": types.CompletionItemKind.Module,
    "stage": types.CompletionItemKind.Field,
    "parameter": types.CompletionItemKind.Variable,
    "value": types.CompletionItemKind.Value,
    "activation": types.CompletionItemKind.Function,
    "flag": types.CompletionItemKind.EnumMember,
    "path": types.CompletionItemKind.File,
}


_SEVERITIES = (types.DiagnosticSeverity.Error, types.DiagnosticSeverity.Warning)


def path_of_uri(uri: str) -> Path:
    """Where a document is; one that is no file counts as one of the working folder."""
    found = to_fs_path(uri)
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in uri)
    return (Path(found) if found else Path.cwd() / name).resolve()


def uri_of(path: Path) -> str:
    return str(from_fs_path(str(path)))


def edit_of(change: Any) -> Edit:
    """A change of a document, of a part or of all of it."""
    if getattr(change, "range", None) is None:
        return Edit(change.text)
    start, end = change.range.start, change.range.end
    return Edit(change.text, position_of(start), position_of(end))


def position_of(position: types.Position) -> Position:
    return Position(max(0, position.line), max(0, position.character))


def span_of_range(lines: Lines, range: types.Range) -> Span:
    start, end = lines.offset(position_of(range.start)), lines.offset(position_of(range.end))
    return Span(start, max(start, end))


def range_of(lines: Lines, span: Span) -> types.Range:
    start, end = lines.range(span)
    return types.Range(types.Position(*start), types.Position(*end))


def text_edit(lines: Lines, span: Span, text: str) -> types.TextEdit:
    return types.TextEdit(range=range_of(lines, span), new_text=text)


def diagnostic(
    finding: Finding, lines: Lines, project: Project, uris: dict[Path, str]
) -> types.Diagnostic:
    """A finding; `uris`: how the editor names what it has open."""
    related = [
        types.DiagnosticRelatedInformation(location=found, message=item.message)
        for item in finding.related
        if (found := _location(item.place, lines.encoding, project, uris)) is not None
    ]
    known = finding.code in explained()
    link = types.CodeDescription(href=uri_of(explanation_path(finding.code))) if known else None
    return types.Diagnostic(
        range=range_of(lines, finding.span),
        message=finding.message,
        severity=_SEVERITIES[finding.warning],
        code=finding.code,
        code_description=link,
        source="spacedsl",
        tags=[types.DiagnosticTag.Unnecessary] if finding.unnecessary else None,
        related_information=related or None,
    )


def _location(
    place: Place, encoding: Encoding, project: Project, uris: dict[Path, str]
) -> types.Location | None:
    path = shown_path(place.file)
    try:
        source = project.page(path).source
    except SpaceError:
        return None
    return location(path, span_of(place, source), Lines(source.text, encoding), uris)


def location(path: Path, span: Span, lines: Lines, uris: dict[Path, str]) -> types.Location:
    return types.Location(uri=uris.get(path) or uri_of(path), range=range_of(lines, span))


def symbol(found: Symbol, lines: Lines) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        name=found.name,
        kind=SYMBOLS[found.kind],
        detail=" ".join(filter(None, (found.kind, found.detail))),
        range=range_of(lines, found.span),
        selection_range=range_of(lines, found.name_span),
        children=[symbol(child, lines) for child in found.children],
    )


def completion(found: Completion, lines: Lines) -> types.CompletionList:
    """In the order in which they were found."""
    items = [
        types.CompletionItem(
            label=choice.text,
            kind=KINDS[choice.kind],
            detail=choice.detail or None,
            sort_text=f"{index:04}",
            text_edit=text_edit(lines, found.span, choice.text),
        )
        for index, choice in enumerate(found.choices)
    ]
    return types.CompletionList(is_incomplete=False, items=items)
