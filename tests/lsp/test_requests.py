"""What an editor asks: hover, completion, definition, rename, outline, layout, fixes."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from spacedsl.lang.blocks import SHORTCUTS as KNOWN_SHORTCUTS
from spacedsl.lsp.glossary import MODIFIERS, SHORTCUTS, WORDS
from spacedsl.operators.operators import FLAGS
from spacedsl.syntax.printer import format_text
from spacedsl.syntax.words import keywords
from spacedsl.text import Source
from tests.lsp.editor import Editor
from tests.support import SPACES, read_page

BLOCKS = """language 1

# A convolution, then its gate.
block gated(kernel, expand, act = relu) {
  mid = round8(cin * expand)
  conv kernel -> mid act strided
  se round8(mid / 4)
  conv 1x1
}
"""
PAGE = """language 1
use "blocks.space"

# 🙂 everything
hyperspace h {
  input 3 x 32
  blocks {
    gated { kernel 3, 5  expand 1..3 }
  }
  elastic stage1 { width 8..32 step 8  window 2  depth 1..2  stride 2 }
  head { pool  linear -> 10 }
}

space s of h {
  stage1 { gated  width 16, 24 }
}

model m of s at 32 {
  stage1 { 16 k3 e1 }
}
"""


@pytest.fixture(scope="module", autouse=True)
def pages(editor: Editor) -> None:
    (editor.folder / "blocks.space").write_text(BLOCKS)
    (editor.folder / "page.space").write_text(PAGE)
    assert editor.open("page.space", PAGE) == []


def spot(text: str, word: str, nth: int = 0) -> tuple[int, int]:
    """Line and UTF-16 character of the nth occurrence of `word`."""
    offset = -1
    for _ in range(nth + 1):
        offset = text.index(word, offset + 1)
    before = text[:offset]
    line = before.count("\n")
    return line, len(before[before.rfind("\n") + 1 :].encode("utf-16-le")) // 2


def test_the_glossary_is_of_the_language() -> None:
    assert set(WORDS) == set(keywords().values())
    assert set(MODIFIERS) == {word for word, flag in FLAGS.items() if not flag.takes}
    assert set(SHORTCUTS) == set(KNOWN_SHORTCUTS)


# ---- hover ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "nth", "expected"),
    [
        ("window", 0, ["neighbouring widths", "3 windows of 2 widths: 8, 16 | 16, 24 | 24, 32"]),
        (
            "stage1",
            0,
            ["gated { kernel 3, 5  expand 1..3  act relu }", "widths 8..32 step 8", "subnets"],
        ),
        ("h {", 0, ["hyperspace h", "subnets", "3 spaces", "FLOPs", "🙂 everything"]),
        ("s of", 0, ["space s of h", "subnets", "FLOPs"]),
        ("m of", 0, ["model m of s at 32", "32 x 32, 2 blocks", "FLOPs", "parameters"]),
        ("gated", 1, ["block gated(kernel, expand, act = relu)", "se round8", "its gate"]),
        ("8..32", 0, ["4 values: 8, 16, 24, 32"]),
        ("expand", 0, ["3 values: 1, 2, 3"]),
        ("k3", 0, ["kernel"]),
        ("depth", 0, ["How many blocks"]),
    ],
)
def test_hover(editor: Editor, word: str, nth: int, expected: list[str]) -> None:
    found = editor.hover("page.space", *spot(PAGE, word, nth))
    assert [text for text in expected if text not in found] == [], found


def test_hover_in_a_body(editor: Editor) -> None:
    editor.open("blocks.space", BLOCKS)
    assert "round8(cin * expand)" in editor.hover("blocks.space", *spot(BLOCKS, "mid act"))
    assert "come into the block" in editor.hover("blocks.space", *spot(BLOCKS, "cin"))
    assert "stride of the stage" in editor.hover("blocks.space", *spot(BLOCKS, "strided"))
    assert "max(x, 0)" in editor.hover("blocks.space", *spot(BLOCKS, "relu"))


# ---- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "has", "lacks"),
    [
        ("", ["block", "hyperspace", "model"], ["language", "width", "conv"]),
        ("space t of ", ["h", "s", "tiny", "vnni"], ["m", "gated", "width"]),
        ("space t of h {\n  ", ["stage1", "head", "input", "elastic"], ["conv", "gated"]),
        ("space t of h {\n  stage1 { ", ["gated", "width", "depth"], ["mbv2", "stage1"]),
        ("space t of h {\n  stage1 { width 8, 16  ", ["gated", "depth"], ["width"]),
        ("space t of h {\n  stage1 { width ", ["8, 16", "16, 24", "24, 32"], ["gated"]),
        ("space t of h {\n  stage1 { gated { ", ["kernel", "expand", "act"], ["mbv2"]),
        ("space t of h {\n  stage1 { gated { kernel 3  ", ["expand", "act"], ["kernel"]),
        ("space t of h {\n  stage1 { gated { act ", ["relu", "hswish"], ["kernel"]),
        ("space t of h {\n  stage1 { gated { act relu, ", ["hswish"], ["relu", "kernel"]),
        ("space t of h {\n  stage1 { gated { act relu ", ["kernel", "expand"], ["relu", "act"]),
        ("space t of h {\n  stage1 { gated  shared ", ["kernel", "expand", "width"], ["depth"]),
        ("block b(k) {\n  conv k ", ["strided", "elide", "relu", "k"], ["stacked", "cin"]),
        ("block b(k) {\n  dwconv k st", ["stacked", "strided"], ["split"]),
        ("block b(k) {\n  conv k -> ", ["cin", "cout", "k"], ["strided", "relu"]),
        ("block b(k) {\n  conv 1x1\n  shortcut ", ["identity", "projected", "none"], ["relu"]),
        ("block b(k, act = ", ["relu", "swish"], ["k"]),
        ("model n of s at 32 {\n  ", ["stage1", "head"], ["gated"]),
        ("model n of s at 32 {\n  stage1 { ", ["16", "24"], ["8"]),
        ("model n of s at 32 {\n  stage1 { 16 ", ["k3", "k5", "e1"], ["k7"]),
        ("model n of s at 32 {\n  stage1 { 16 kernel=", ["3", "5"], ["16", "k3"]),
        ("target t {\n  reference ", ["s", "h"], ["m"]),
        ('use "', ["std/blocks.space", "blocks.space", "vnni.space"], ["page.space"]),
        ("# a comment ", [], ["block"]),
    ],
)
def test_completion(editor: Editor, text: str, has: list[str], lacks: list[str]) -> None:
    page = PAGE + "\n" + text
    editor.type("page.space", page)
    lines = page.split("\n")
    found = editor.complete("page.space", len(lines) - 1, len(lines[-1]))
    assert [w for w in has if w not in found] == [], found
    assert [w for w in lacks if w in found] == [], found
    editor.type("page.space", PAGE)


def test_completion_in_the_middle_of_a_page(editor: Editor) -> None:
    line, character = spot(PAGE, "gated  width")
    found = editor.complete("page.space", line, character + 2)
    assert "gated" in found


# ---- definition ----------------------------------------------------------------------------------


def range_at(text: str, word: str, nth: int = 0) -> types.Range:
    line, character = spot(text, word, nth)
    width = len(word.encode("utf-16-le")) // 2
    return types.Range(types.Position(line, character), types.Position(line, character + width))


@pytest.mark.parametrize(
    ("word", "nth", "file", "there", "there_nth"),
    [
        ("gated", 1, "blocks.space", "gated", 0),
        ("h {", 1, "page.space", "h", 6),
        ("s at", 0, "page.space", "s", 0),
        ("stage1", 2, "page.space", "stage1", 0),
        ("kernel", 0, "blocks.space", "kernel", 0),
        ("k3", 0, "blocks.space", "kernel", 0),
    ],
)
def test_definition(
    editor: Editor, word: str, nth: int, file: str, there: str, there_nth: int
) -> None:
    found = editor.definition("page.space", *spot(PAGE, word, nth))
    assert found is not None
    assert found.uri == editor.uri(file)
    text = {"blocks.space": BLOCKS, "page.space": PAGE}[file]
    start, end = found.range.start, found.range.end
    line = text.split("\n")[start.line].encode("utf-16-le")
    word = line[2 * start.character : 2 * end.character].decode("utf-16-le")
    assert word == there
    assert text.split("\n")[start.line].split()[0] in (
        "block",
        "hyperspace",
        "space",
        "elastic",
        "model",
    )


def test_definition_in_the_library(editor: Editor) -> None:
    text = 'language 1\nuse "std/blocks.space"\n\nspace t of tiny {\n  stage1 { mbv2 }\n}\n'
    editor.open("far.space", text)
    expected = {
        "std": ("std/blocks.space", 0),
        "tiny": ("tiny.space", None),
        "mbv2": ("std/blocks.space", None),
        "stage1": ("tiny.space", None),
    }
    for word, (file, line) in expected.items():
        found = editor.definition("far.space", *spot(text, word))
        assert found is not None, word
        path = Path(found.uri.removeprefix("file://"))
        assert path == (SPACES / file).resolve()
        if line is None:
            said = path.read_text().splitlines()[found.range.start.line]
            assert word in said.replace("(", " ").split()
        else:
            assert found.range.start.line == line


# ---- rename --------------------------------------------------------------------------------------


def renamed(editor: Editor, name: str, place: tuple[int, int], new: str) -> dict[str, str]:
    """The texts of the files that change."""
    found = editor.rename(name, *place, new)
    assert found is not None
    texts = {}
    for change in found.document_changes or ():
        assert isinstance(change, types.TextDocumentEdit)
        path = Path(change.text_document.uri.removeprefix("file://"))
        lines = path.read_text().split("\n")
        for edit in sorted(
            change.edits, key=lambda e: (e.range.start.line, e.range.start.character)
        )[::-1]:
            assert isinstance(edit, types.TextEdit)
            line = lines[edit.range.start.line].encode("utf-16-le")
            start, end = edit.range.start.character * 2, edit.range.end.character * 2
            changed = line[:start] + edit.new_text.encode("utf-16-le") + line[end:]
            lines[edit.range.start.line] = changed.decode("utf-16-le")
        texts[path.name] = "\n".join(lines)
    return texts


def test_rename_a_block_everywhere(editor: Editor) -> None:
    texts = renamed(editor, "page.space", spot(PAGE, "gated", 1), "door")
    assert texts == {
        "blocks.space": BLOCKS.replace("gated(", "door("),
        "page.space": PAGE.replace("gated", "door"),
    }


def test_rename_a_space(editor: Editor) -> None:
    texts = renamed(editor, "page.space", spot(PAGE, "s at"), "narrow")
    assert texts == {
        "page.space": PAGE.replace("space s of", "space narrow of").replace(
            "of s at", "of narrow at"
        )
    }


def test_rename_a_let(editor: Editor) -> None:
    texts = renamed(editor, "blocks.space", spot(BLOCKS, "mid act"), "inner")
    assert texts == {"blocks.space": BLOCKS.replace("mid", "inner")}


def test_rename_a_parameter_and_its_short_settings(editor: Editor) -> None:
    texts = renamed(editor, "blocks.space", spot(BLOCKS, "kernel"), "side")
    assert texts == {
        "blocks.space": BLOCKS.replace("kernel", "side"),
        "page.space": PAGE.replace("kernel", "side").replace("k3", "side=3"),
    }


@pytest.mark.parametrize(
    ("page", "word", "new", "reason"),
    [
        ("page.space", "gated", "width", "cannot be a name"),
        ("page.space", "gated", "2x", "cannot be a name"),
        ("page.space", "s at", "h", "already means something"),
        ("blocks.space", "mid", "kernel", "already means something"),
        ("blocks.space", "mid", "cout", "already means something"),
        ("far.space", "mbv2", "mine", "defined in the library"),
        ("far.space", "tiny", "mine", "defined in the library"),
    ],
)
def test_a_rename_that_is_refused(
    editor: Editor, page: str, word: str, new: str, reason: str
) -> None:
    texts = {"page.space": PAGE, "blocks.space": BLOCKS}
    far = 'language 1\nuse "std/blocks.space"\n\nspace t of tiny {\n  stage1 { mbv2 }\n}\n'
    text = texts.get(page, far)
    if page == "far.space":
        editor.open(page, far)
    with pytest.raises(JsonRpcException) as refused:
        editor.rename(page, *spot(text, word, 1 if word == "gated" else 0), new)
    assert reason in refused.value.message
    assert refused.value.code == types.LSPErrorCodes.RequestFailed.value


def test_a_renamed_space_that_others_find_by_its_file(editor: Editor) -> None:
    text = "language 1\n\nspace found of tiny {\n  stage1 { fused  width 8, 16 }\n"
    text += "  stage2 { fused  width 16, 24 }\n  stage3 { fused  width 32, 40 }\n}\n"
    editor.open("found.space", text)
    editor.open("finder.space", "language 1\n\nmodel mm of found at 32 {\n  stage1 { 8 }\n}\n")
    with pytest.raises(JsonRpcException, match="by the name of its file"):
        editor.rename("found.space", *spot(text, "found"), "lost")
    for name in ("found.space", "finder.space"):
        editor.client.text_document_did_close(
            types.DidCloseTextDocumentParams(editor.document(name))
        )


def test_references(editor: Editor) -> None:
    place = editor.place("page.space", *spot(PAGE, "gated", 1))
    context = types.ReferenceContext(include_declaration=False)
    found = editor.wait(
        editor.client.text_document_references_async(types.ReferenceParams(context, **place))
    )
    assert found is not None
    assert [(loc.uri, loc.range.start.line) for loc in found] == [
        (editor.uri("page.space"), 7),
        (editor.uri("page.space"), 14),
    ]


# ---- layout, outline, fixes ----------------------------------------------------------------------


def test_formatting_is_fmt(editor: Editor) -> None:
    loose = PAGE.replace("  stage1 { gated  width 16, 24 }", "stage1{gated width 24,16 # 🙂\n}")
    editor.open("loose.space", loose)
    (edit,) = editor.format("loose.space")
    lines = loose.splitlines(keepends=True)
    start, end = edit.range.start, edit.range.end
    assert (start.character, end.character) == (0, 0)
    text = "".join([*lines[: start.line], edit.new_text, *lines[end.line :]])
    assert text == format_text(Source("", loose))
    assert end.line - start.line <= 3  # what stays is not touched
    assert editor.type("loose.space", text) == []
    assert editor.format("loose.space") == []
    editor.type("loose.space", "language 1\n{")
    assert editor.format("loose.space") == []


def test_outline(editor: Editor) -> None:
    params = types.DocumentSymbolParams(editor.document("page.space"))
    found = editor.wait(editor.client.text_document_document_symbol_async(params))
    assert found is not None
    items = [s for s in found if isinstance(s, types.DocumentSymbol)]
    assert [(s.name, s.detail) for s in items] == [
        ("h", "hyperspace"),
        ("s", "space of h"),
        ("m", "model of s"),
    ]
    assert [c.name for c in items[0].children or ()] == ["stage1", "head"]
    assert items[0].selection_range.start == range_at(PAGE, "h {").start
    assert items[0].range.end == types.Position(11, 1)


def test_folding(editor: Editor) -> None:
    params = types.FoldingRangeParams(editor.document("page.space"))
    found = editor.wait(editor.client.text_document_folding_range_async(params))
    assert {(f.start_line, f.end_line) for f in found or ()} == {
        (4, 10),
        (6, 7),
        (13, 14),
        (17, 18),
    }


def test_a_fix_mends(editor: Editor) -> None:
    wrong = PAGE.replace("  stage1 { gated  width", "  stage1 { gatd  widht")
    diagnostics = editor.open("wrong.space", wrong)
    (action,) = editor.actions("wrong.space", diagnostics[0].range)
    assert action.title == "write `width`"
    assert action.is_preferred
    edit = action.edit
    assert edit is not None
    assert edit.document_changes
    change = edit.document_changes[0]
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 1
    assert [e.new_text for e in change.edits if isinstance(e, types.TextEdit)] == ["width"]
    assert list(action.diagnostics or ()) == [diagnostics[0]]
    mended = editor.type("wrong.space", wrong.replace("widht", "width"))
    (action,) = editor.actions("wrong.space", mended[0].range)
    assert action.title == "write `gated`"
    assert editor.actions("wrong.space", range_at(wrong, "language")) == []


def test_a_page_of_the_library_opens(editor: Editor) -> None:
    name = (SPACES / "vnni.space").as_posix()
    assert editor.open(name, read_page("vnni").text) == []
    assert "width windows" not in editor.hover(name, 3, 7)
    assert "subnets" in editor.hover(name, 3, 7)
