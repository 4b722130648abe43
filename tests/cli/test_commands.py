"""The commands: exit codes, JSON fields, messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spacedsl.cli.app import app
from spacedsl.lang.library import library

VNNI = str(library() / "vnni.space")
LARGE = str(library() / "vnni-large.space")
A0 = str(library() / "models" / "seqnet-vnni-a0.space")


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=stdin)


def run_json(*args: str, code: int = 0) -> dict[str, Any]:
    result = run(*args, "--format", "json")
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    assert isinstance(found["diagnostics"], list)
    return found


def test_check_says_what_is_in_every_page() -> None:
    result = run("check", VNNI, A0)
    assert result.exit_code == 0
    assert f"{VNNI}: ok (space vnni)" in result.stdout
    assert "model seqnet-vnni-a0" in result.stdout


def test_check_reports_every_bad_page_and_exits_2(tmp_path: Path) -> None:
    first, second = tmp_path / "a.space", tmp_path / "b.space"
    first.write_text("language 1\nspace a of onnxw { stage1 { mbv2 width 32, 40 } }\n")
    second.write_text("language 7\n")
    result = run("check", str(first), str(second))
    assert result.exit_code == 2
    assert f"{first}:2:" in result.stderr
    assert f"{second}:1:10: error[language-version]" in result.stderr
    found = run_json("check", str(second), code=2)
    assert found["diagnostics"][0]["place"]["line"] == 1


def test_show_space_json_has_the_contract_fields() -> None:
    found = run_json("show", VNNI)
    assert found["subnets"] == 829460353688731289991825749266071552000
    assert found["flops"] == {"min": 163479488, "max": 5843586944}
    assert len(found["hash"]) == 64
    assert found["code"] == "onnxw-151122-023231"


def test_show_model_json_counts_multiply_accumulates() -> None:
    found = run_json("show", A0)
    assert found["flops"] == 163479488
    assert found["subnets"] == 1
    assert found["params"] == 7795422


def test_show_code_gives_the_authors_code_back() -> None:
    assert run("show", VNNI, "--code").stdout == "onnxw-151122-023231\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("show", "nowhere"), "neither a file nor a page"),
        (("show", "nowhere.space"), "No such file"),
        (("show", f"{VNNI}#nothing"), "has no `nothing`"),
        (("show", str(library() / "std" / "blocks.space")), "has no hyperspace"),
        (("import", "onnxw-951122-023231"), "there is no 9"),
        (("import", "onnxw-15112-023231"), "6 digits"),
        (("import", "zip"), "neither a space's code nor a model's"),
        (("import", "d1_k3_w16_e0_r160"), "does not say its space"),
        (("diff", VNNI, A0), "not two spaces"),
        (("score", VNNI, "--target", "toaster"), "unknown target `toaster`"),
        (("score", VNNI, "--target", "vnni", "--limits", "8,,9"), "not a list of latency limits"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_error(args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    found = run_json(*args, code=2)
    assert message in found["diagnostics"][0]["message"]


def test_import_and_show_code_are_inverse(tmp_path: Path) -> None:
    page = tmp_path / "p.space"
    assert run("import", "mobilew-332160-134200", "--out", str(page)).exit_code == 0
    assert run("show", str(page), "--code").stdout == "mobilew-332160-134200\n"
    assert run("diff", str(page), str(library() / "pixel4-tiny.space")).exit_code == 0


def test_diff_says_what_changed_by_stage() -> None:
    result = run("diff", VNNI, LARGE)
    assert result.exit_code == 1
    assert (
        "  stage2\n    block: fused -> mbv3\n    width: 64, 80 -> 80, 96  (- 64  + 96)\n"
        in result.stdout
    )
    found = run_json("diff", VNNI, LARGE, code=1)
    assert {
        "stage": "stage1",
        "key": "width",
        "before": [32, 48],
        "after": [48, 64],
        "removed": [32],
        "added": [64],
    } in found["changes"]
    assert run_json("diff", VNNI, VNNI)["equal"] is True


def test_diff_of_models_goes_block_by_block() -> None:
    result = run("diff", A0, str(library() / "models" / "seqnet-vnni-a1.space"))
    assert result.exit_code == 1
    assert "block 2: 64 k3 e1 -> 80 k3 e1" in result.stdout


def test_covers_gives_a_witness() -> None:
    assert run("covers", "onnxw", VNNI).exit_code == 0
    found = run_json("covers", VNNI, LARGE, code=1)
    assert found["covers"] is False
    assert "model witness of vnni-large" in found["witness"]


def test_sample_is_the_same_for_the_same_seed_and_its_models_check(tmp_path: Path) -> None:
    first = run("sample", VNNI, "-n", "3", "--seed", "5")
    again = run("sample", VNNI, "-n", "3", "--seed", "5")
    assert first.stdout == again.stdout
    assert first.stdout != run("sample", VNNI, "-n", "3", "--seed", "6").stdout
    page = tmp_path / "models.space"
    page.write_text(first.stdout)
    assert run("check", str(page)).exit_code == 0
    assert run("sample", VNNI, "-n", "2", "--out", str(tmp_path / "out")).exit_code == 0
    assert run("check", *map(str, (tmp_path / "out").iterdir())).exit_code == 0


def test_fmt_check_diff_and_write(tmp_path: Path) -> None:
    page = tmp_path / "p.space"
    text = "language 1\nspace v of onnxw{stage1{mbv2 width 32,48}} # kept\n"
    page.write_text(text)
    page.chmod(0o640)
    assert run("fmt", "--check", str(page)).exit_code == 1
    shown = run("fmt", "--diff", str(page))
    assert shown.exit_code == 1
    assert "+  stage1 { mbv2  width 32, 48 }" in shown.stdout
    assert page.read_text() == text
    assert run("fmt", str(page)).exit_code == 0
    assert "}  # kept" in page.read_text()
    assert page.stat().st_mode & 0o777 == 0o640
    assert run("fmt", "--check", str(page)).exit_code == 0
    assert run("fmt", "-", stdin=text).stdout == page.read_text()


def test_fmt_writes_nothing_if_one_of_the_pages_is_wrong(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.space", tmp_path / "b.space"
    good.write_text("language   1\n")
    bad.write_text("language 1 block {")
    assert run("fmt", str(good), str(bad)).exit_code == 2
    assert good.read_text() == "language   1\n"


def test_a_found_page_checks_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "deep" / "found.space"
    page.parent.mkdir()
    page.write_text(Path(VNNI).read_text())
    monkeypatch.chdir(tmp_path)
    assert run("check", "deep/found.space").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evolve tiny --target vnni", "Missing option '--hyper'. Write `--hyper tiny`."),
        ("evolve --target vnni", "Missing option '--hyper'. A hyperspace: a page or a"),
        ("tables fit", "Missing option '--hyper'. The hyperspace"),
        ("sample tiny --seed abc", "Invalid value for '--seed'"),
        ("diff tiny", "Missing argument 'b'"),
        ("sample tiny -n ten", "it is no whole number."),
        ("sample tiny -n 0", "it must be 1 or more."),
        ("train tiny-a --data digits --out r --lr x", "it is no number."),
        ("train tiny-a --data digits --out r --device gpu", "'gpu' is not one of 'cpu', 'cuda'."),
        ("init --target vnni --image 32 --classes 1", "it must be 2 or more."),
    ],
)
def test_a_wrong_command_line_says_what_to_type(words: str, said: str) -> None:
    found = run(*words.split())
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.split())
    if not words.startswith("init"):  # it prints no JSON
        assert said in run_json(*words.split(), code=2)["diagnostics"][0]["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("check ~/a.space", f"write {Path.home()}/a.space"),
        ("show ~nobody-here/a.space", "write the whole path"),
        ("export tiny-a0 --out ~/a.onnx", f"write {Path.home()}/a.onnx"),
        ("show https://example.org/a.space", "nothing is fetched from elsewhere"),
        ("eval https://example.org/a.onnx --data digits", "nothing is fetched from elsewhere"),
        ("export tiny-a0 --out nowhere/a.onnx", "make its folder first: nowhere"),
        ("show vnni.space", "the library has `vnni`: write its name alone"),
        ("show ./tiny-a0", "the library has `tiny-a0`: write its name alone"),
        ("check vnni --target vnni --max-latency 90 ms", "one word: `15ms`"),
    ],
)
def test_paths_that_cannot_be_meant(words: str, said: str) -> None:
    found = run(*words.split())
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.split())


def test_a_folder_of_the_same_name_hides_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("show", "tiny-a0").exit_code == 0
    assert run_json("show", "tiny")["name"] == "tiny"
