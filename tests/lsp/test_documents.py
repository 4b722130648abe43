"""Documents: errors while typing, versions, positions, files over files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from lsprotocol import types

from tests.lsp.editor import Editor
from tests.support import SPACES, read_page

HEAD = 'language 1\nuse "std/blocks.space"\n\n'
PAGE = HEAD + (
    "space s of tiny {\n"
    "  stage1 { fused  width 8, 16 }\n"
    "  stage2 { mbv2  width 24, 40 }\n"
    "  stage3 { mbvv2  widht 40, 48 }\n"
    "}\n"
)


def at(line: int, start: int, end: int) -> types.Range:
    return types.Range(types.Position(line, start), types.Position(line, end))


def codes(found: list[types.Diagnostic]) -> list[object]:
    return [d.code for d in found]


def test_every_error_with_a_tight_range(editor: Editor) -> None:
    page = PAGE.replace("widht", "width").replace("24, 40", "24, 40").replace("8, 16", "9..8")
    found = editor.open("errors.space", page)
    assert codes(found) == ["empty-range", "unknown-block"]
    assert [d.range for d in found] == [at(4, 24, 28), at(6, 11, 16)]
    assert all(d.source == "spacedsl" for d in found)
    assert all(d.code_description and d.code_description.href.endswith(".md") for d in found)


def test_a_mended_page_has_none(editor: Editor) -> None:
    assert codes(editor.open("mended.space", PAGE)) == ["unknown-key"]
    good = PAGE.replace("widht", "width").replace("mbvv2", "mbv2").replace("24, 40", "24, 32")
    assert editor.type("mended.space", good) == []


def test_warnings_and_errors_of_targets_are_shown_as_check_shows_them(editor: Editor) -> None:
    text = 'language 1\ntarget t {\n  device "Raspberry Pi 5, LiteRT"\n  latency profile\n'
    (found,) = editor.open("pi.space", text + "  limits 15ms\n}\n")
    assert (found.code, found.severity) == ("other-device", types.DiagnosticSeverity.Warning)
    assert found.range.start.line == 2
    (found,) = editor.open("types.space", text + "  limits 15ms\n  types u4w4\n}\n")
    assert (found.code, found.severity) == ("unknown-types", types.DiagnosticSeverity.Error)


def test_what_a_range_has_to_do_with_other_files(editor: Editor) -> None:
    text = PAGE.replace("mbvv2  widht", "mbv2  width")
    (found,) = editor.open("related.space", text)
    assert found.code == "not-a-member"
    (related,) = found.related_information or ()
    assert Path(related.location.uri.removeprefix("file://")) == (SPACES / "tiny.space").resolve()
    line = read_page("tiny").text.splitlines()[related.location.range.start.line]
    start, end = related.location.range.start.character, related.location.range.end.character
    assert line[start:end] == "window 2"
    assert related.message == "the window is here"


def test_what_is_superfluous_is_faded(editor: Editor) -> None:
    (found,) = editor.open("unused.space", "language 1\n\nblock b(k, e) {\n  conv k\n}\n")
    assert found.code == "unused-parameter"
    assert list(found.tags or ()) == [types.DiagnosticTag.Unnecessary]


def test_an_open_page_wins_over_the_disk(editor: Editor, folder: Path) -> None:
    block = "language 1\n\nblock {}(kernel) {{\n  conv kernel strided\n}}\n"
    (folder / "own.space").write_text(block.format("on-disk"))
    hyper = "hyperspace h {\n  input 3 x 32\n  blocks { typed { kernel 3 } }\n"
    hyper += (
        "  elastic stage1 { width 8, 24  window 2  stride 2 }\n  head { pool  linear -> 9 }\n}\n"
    )
    user = HEAD + 'use "own.space"\n\n' + hyper
    assert codes(editor.open("user.space", user)) == ["unknown-block"]
    editor.open("own.space", block.format("typed"))
    assert editor.settled("user.space") == []
    editor.type("own.space", block.format("other"))
    assert codes(editor.settled("user.space")) == ["unknown-block"]
    close = types.DidCloseTextDocumentParams(editor.document("own.space"))
    (folder / "own.space").write_text(block.format("typed"))
    editor.client.text_document_did_close(close)
    assert editor.settled("user.space") == []


def test_a_page_that_is_on_no_disk_can_be_used(editor: Editor) -> None:
    editor.open("unsaved.space", "language 1\n\nblock b {\n  conv 3x3\n}\n")
    assert editor.open("uses.space", 'language 1\nuse "unsaved.space"\n') == []


def test_errors_of_a_used_page_stand_at_its_use(editor: Editor, folder: Path) -> None:
    (folder / "broken.space").write_text("language 1\n\nblock b(k) {\n  conv kk\n}\n")
    text = 'language 1\nuse "broken.space"\n\nspace s of tiny {\n  stage1 { b }\n}\n'
    found = [d for d in editor.open("blame.space", text) if d.code == "unknown-name"]
    assert [d.range for d in found] == [at(1, 4, 18)]
    assert "broken.space has" in found[0].message
    (related,) = found[0].related_information or ()
    assert related.location == types.Location(editor.uri("broken.space"), at(3, 7, 9))


def test_old_versions_are_left_out(editor: Editor) -> None:
    editor.open("versions.space", "language 1\n")
    editor.change("versions.space", "language 1\nblock", version=7)
    editor.change("versions.space", "language 1\n}", version=3)
    editor.versions["versions.space"] = 7
    (found,) = editor.diagnostics("versions.space")
    assert found.range.start.line == 1
    assert "ends too early" in found.message


def test_only_the_last_of_many_changes_counts(editor: Editor) -> None:
    editor.open("fast.space", "language 1\n")
    for i in range(50):
        editor.change("fast.space", "language 1\n" + "}" * i)
    assert editor.type("fast.space", "language 1\n") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_parts_that_change_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    """The server's text is the editor's, and errors are where the editor sees them."""
    editor = Editor(tmp_path.resolve(), (encoding,))
    assert str(editor.capabilities.position_encoding) == encoding
    rng = random.Random(encoding)
    name, tail = "🙂漢é", 'n.space" use "none.space"\r\n'
    head = 'language 1\n# 🙂 \u2028 \x0c\r\nuse "'
    editor.open("random.space", head + name + tail)
    for _ in range(40):
        start = rng.randrange(len(name) + 1)
        end = rng.randrange(start, len(name) + 1)
        new = "".join(rng.choices("xé漢🙂\u2028\x0c", k=rng.randrange(4)))
        first, last = (5 + units(name[:i], encoding) for i in (start, end))
        change = types.TextDocumentContentChangePartial(text=new, range=at(2, first, last))
        editor.change("random.space", change)
        name = name[:start] + new + name[end:]
        missing, second = editor.diagnostics("random.space")
        assert missing.message.startswith(f"there is no page {name}n.space")
        close = 5 + units(f'{name}n.space"', encoding)
        assert missing.range == at(2, 4, close)
        assert second.range == at(2, close + 5, close + 17)
    assert editor.errors == []
    editor.close()


def units(text: str, encoding: str) -> int:
    return (
        len(text.encode(f"{encoding}-le" if encoding != "utf-8" else encoding))
        // {
            "utf-8": 1,
            "utf-16": 2,
            "utf-32": 4,
        }[encoding]
    )


@pytest.mark.parametrize("name", ["std/blocks", "vnni", "tiny", "models/tiny-a0", "targets/vnni"])
def test_every_prefix_of_a_page_has_an_answer(editor: Editor, name: str) -> None:
    """Typing a page from its start: after every character of short pages and many of long ones
    the server knows the page and answers what an editor asks."""
    text = read_page(name).text
    page = f"{name.replace('/', '-')}-typed.space"
    editor.open(page, "")
    step = max(1, len(text) // 150)
    for end in [*range(0, len(text), step), len(text)]:
        found = editor.type(page, text[:end])
        before = text[:end].split("\n")
        line, character = len(before) - 1, len(before[-1])
        assert all(d.range.start.line <= line for d in found)
        editor.complete(page, line, character)
        editor.hover(page, line, max(0, character - 1))
        assert editor.errors == []
    assert editor.diagnostics(page) == []


def test_half_a_character_does_no_harm(editor: Editor) -> None:
    assert editor.open("half.space", 'language 1\nuse "\ud83d.space"\n')[0].code == "missing-use"
    assert editor.format("half.space") == []
