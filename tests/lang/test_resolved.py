"""Flat pages say the same as the pages they come from; origins point at what was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from spacedsl import api
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.check import check_page
from spacedsl.lang.origin import origins
from spacedsl.lang.page import Loader
from spacedsl.lang.resolve import resolved_text
from spacedsl.passes.network import subnet_identity
from spacedsl.text import Source
from tests.laws.strategies import hyperspaces
from tests.support import PAGES, library_item, page_id

NETWORKS = [p for p in PAGES if p.parent.name not in ("std", "targets")]


def check_flat(item: Space | Subnet, folder: Path) -> None:
    """The flat page of `item` checks where nothing can be found, and has its hash."""
    text = resolved_text(item)
    assert "use " not in text
    page = Loader().open_source(Source("flat.space", text), folder)
    assert check_page(page) == ()
    again = page.get(item.name)
    if isinstance(item, Subnet):
        assert isinstance(again, Subnet)
        assert subnet_identity(again) == subnet_identity(item)
        assert space_identity(again.of) == space_identity(item.of)
    else:
        assert isinstance(again, Space)
        assert again.of is None
        assert space_identity(again) == space_identity(item)


@pytest.mark.parametrize("path", NETWORKS, ids=page_id)
def test_library_pages_flat(path: Path, tmp_path: Path) -> None:
    item = library_item(page_id(path))
    assert isinstance(item, Space | Subnet)
    check_flat(item, tmp_path)


@pytest.mark.slow
@given(hyperspaces())
def test_any_hyperspace_flat(space: Space) -> None:
    check_flat(space, Path("/nowhere"))


def test_two_blocks_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    page = tmp_path / "p.space"
    page.write_text(
        'language 1\nuse "std/blocks.space"\n\nblock mbv2x(kernel) {\n  conv kernel strided\n}\n'
        "hyperspace h {\n  input 3 x 32\n"
        "  stage1 { mbv2x { kernel 3 }  width 8 }\n  head { pool  linear -> 10 }\n}\n"
    )
    item = api.load_space(page)
    stage = item.stages[0]
    other = stage.choices[0].block.model_copy(update={"ops": (*stage.choices[0].block.ops * 2,)})
    choice = stage.choices[0].model_copy(update={"block": other})
    both = item.model_copy(
        update={"stages": (stage, stage.model_copy(update={"name": "s2", "choices": (choice,)}))}
    )
    text = resolved_text(both)
    assert "block mbv2x(" in text
    assert "block mbv2x-2(" in text


@pytest.mark.parametrize("path", NETWORKS, ids=page_id)
def test_origins_point_at_what_was_written(path: Path) -> None:
    page = Loader().load(path)
    for name in page.names:
        for said in origins(page, name):
            assert said.key.split()[0] in said.text or said.key in ("block", "blocks")
            line = said.place.source_line
            first = said.text.split()[0]
            assert line[said.place.column - 1 :].startswith(first)


def test_origins_of_a_space_name_every_page() -> None:
    page, _ = api.open_page("vnni")
    found = {(o.stage, o.key): o for o in origins(page, "vnni")}
    assert found["stage1", "width"].place.file == "<library>/vnni.space"
    assert found["stage1", "depth"].place.file == "<library>/onnxw.space"
    assert found["stage1", "kernel"].text == "kernel 3, 5"
    assert found["", "input"].text == "input 3 x 160..224 step 16"
