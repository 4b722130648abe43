"""What was wrong without a word: refused, or right."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from spacedsl import api
from spacedsl.bridges.timm import read_stacks
from spacedsl.bridges.timm_network import Frame, network
from spacedsl.checksum import unsealed
from spacedsl.cli.app import app
from spacedsl.cli.boundary import guarded
from spacedsl.cli.front import print_front
from spacedsl.figures import count
from spacedsl.flows.deployment import Deployment, Searched
from spacedsl.passes.cost import SCALES_PER_CONV, subnet_cost
from spacedsl.passes.network import subnet_identity
from spacedsl.tables.files import table_path
from spacedsl.text import Source
from tests.support import item_of, library_model


def run(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


def written(folder: Path, text: str, name: str = "page.space") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"language 1\n{text}", encoding="utf-8")
    return str(path)


STEM = "stem { conv 3x3 relu strided  width 16  stride 2 }"
HEADLESS = f"space s {{ input 3 x 32\n{STEM} }}\nmodel net of s at 32 {{ stem {{ 16 }} }}\n"
WHOLE = f"space s {{ input 3 x 32\n{STEM}\nhead {{ pool  linear -> 10 }} }}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("export", "#net", "--format", "onnx", "--out", "net.onnx"),
        ("export", "#net", "--format", "tflite", "--fp32", "--out", "net.tflite"),
        ("compile", "#net", "--out", "plans"),
        ("compile", "#s", "--out", "plans"),
    ],
)
def test_no_file_is_written_of_a_network_without_a_head(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = written(tmp_path, HEADLESS)
    result = run(*(page + word if word[0] == "#" else word for word in words))
    assert result.exit_code == 2
    assert "error[no-head]" in result.stderr
    assert "16 x 16 x 16" in result.stderr
    assert not list(tmp_path.glob("net.*"))


TARGET = 'target t {{ device "{}" {} limits 15ms }}\n'
PLAIN = "a CPU, ONNX Runtime"
REFUSED = [
    (WHOLE.replace("input", 'quality "nowhere"\ninput'), "table-missing", '"nowhere"'),
    (TARGET.format(PLAIN, 'runtime "tensorrt" latency "onnxw"'), "unknown-runtime", "runtime"),
    (TARGET.format("an abacus", 'latency "onnxw"'), "unknown-runtime", "device"),
    (TARGET.format(PLAIN, 'types fp16 latency "onnxw"'), "unknown-types", "types"),
    (TARGET.format(PLAIN, 'rules fast latency "onnxw"'), "unknown-rule", "rules"),
    (
        WHOLE.replace("space s {", "hyperspace s { limit params 10").replace(
            "head", "elastic a { conv 1x1  width 8, 16  window 1 }\nhead"
        ),
        "over-limit",
        "limit",
    ),
    (
        WHOLE.replace("strided", "s2").replace("stride 2", "stride 8"),
        "bad-body",
        "conv 3x3 relu s2",
    ),
    (
        "block b(k) { dwconv k strided  conv 1x1 }\n"
        + WHOLE.replace("head", "a { b { k 33 }  width 8 }\nhead"),
        "bad-value",
        "33",
    ),
]


@pytest.mark.parametrize(("text", "code", "at"), REFUSED)
def test_check_refuses_what_could_not_work(text: str, code: str, at: str, tmp_path: Path) -> None:
    page = written(tmp_path, text)
    result = run("check", page, "--format", "json")
    assert result.exit_code == 2
    (found,) = json.loads(result.stdout)["diagnostics"]
    assert found["code"] == code
    line = f"language 1\n{text}".splitlines()[found["place"]["line"] - 1]
    assert line[found["place"]["column"] - 1 :].startswith(at)


def test_check_warns_of_what_ends_in_a_map(tmp_path: Path) -> None:
    """`export` and `train` refuse it, so `check` says so; taps say that maps are meant."""
    space = "space s {{ input 3 x 32  {}stem {{ conv 3x3  width 8 }}  {}}}\n"
    page = written(tmp_path, space.format("", "") + "model n of s at 32 { stem { 8 } }\n")
    result = run("check", page)
    assert result.exit_code == 0
    assert f"{page}:2:7: warning[no-head]: `s` ends in a map of 8 x 32 x 32" in result.stderr
    assert f"{page}:3:7: warning[no-head]: `n`" in result.stderr
    for taps, head in (("taps stride 1  ", ""), ("", "head { pool  linear -> 10 }  ")):
        page = written(tmp_path, space.format(taps, head))
        assert "warning" not in run("check", page).stderr


def test_check_warns_of_latencies_of_another_device(tmp_path: Path) -> None:
    page = written(tmp_path, TARGET.format("Raspberry Pi 5, ONNX Runtime", "latency profile"))
    result = run("check", page)
    assert result.exit_code == 0
    assert f"{page}:2:12: warning[other-device]: target `t`" in result.stderr
    (warning,) = json.loads(run("check", page, "--format", "json").stdout)["warnings"]
    assert (warning["code"], warning["severity"]) == ("other-device", "warning")
    assert "::warning " in run("check", page, "--format", "github").stdout
    sarif = json.loads(run("check", page, "--format", "sarif").stdout)
    assert [r["level"] for r in sarif["runs"][0]["results"]] == ["warning"]
    here = written(tmp_path, TARGET.format("this machine, ONNX Runtime", "latency profile"))
    assert run("check", here).stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("score", "tiny-a", "--target"),
        ("show", "tiny-a0", "--target"),
        ("evolve", "--hyper", "onnxw", "--out", "found.space", "--target"),
        ("optimum", "--hyper", "onnxw", "--out", "found.space", "--target"),
        ("target", "profile"),
        ("target", "show"),
        ("target", "verify"),
        ("analyze", "--out", "analysis", "--target"),
        ("check", "tiny-a0", "--max-latency", "15ms", "--target"),
    ],
)
def test_another_device_is_never_measured_here(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    page = written(tmp_path, TARGET.format("Raspberry Pi 5, ONNX Runtime", "latency profile"))
    result = run(*words, page)
    assert result.exit_code == 2, result.output
    assert "error[other-device]" in result.stderr
    assert not (tmp_path / "cache").exists()


def test_a_limit_that_no_space_keeps_is_a_warning_where_it_stands(tmp_path: Path) -> None:
    text = WHOLE.replace("space s {", "hyperspace s { limit params 600").replace(
        "head", "elastic a { conv 1x1  width 1..40  window 32 }\nhead"
    )
    page = written(tmp_path, text)
    result = run("check", page)
    assert result.exit_code == 0, result.stderr
    assert f"{page}:2:16: warning[over-limit]: every space of `s`" in result.stderr
    search = run("evolve", "--hyper", page, "--target", "vnni", "--out", str(tmp_path / "o.space"))
    assert search.exit_code == 2


def test_folders_standard_input_and_odd_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "d#1"
    page = written(folder, WHOLE, "deep/e.space")
    written(folder, "nonsense", ".hidden/f.space")
    result = run("check", str(folder), "--format", "json")
    assert [file["file"] for file in json.loads(result.stdout)["files"]] == [page]
    written(folder, "nonsense", "g.space")
    assert run("check", str(folder)).exit_code == 2
    monkeypatch.setattr("spacedsl.cli.pages.MOST_FILES", 2)
    result = run("check", str(folder))
    assert result.exit_code == 2
    assert "error[too-large]" in result.stderr
    assert run("show", page).stdout == run("show", f"{page}#s").stdout
    assert "error[no-item]" in run("show", f"{page}#t").stderr
    assert run("check", "-", stdin=f"language 1\n{WHOLE}").stdout == "-: ok (space s)\n"
    assert "-:2:1: error[syntax]" in run("check", "-", stdin="language 1\nnonsense").stderr


def test_counts_of_any_length(tmp_path: Path) -> None:
    assert [count(n) for n in (999_999_999, 10**9, 1234567 * 10**41)] == [
        "999,999,999",
        "1.000e+09",
        "1.235e+47",
    ]
    stage = "elastic s{} {{ dw {{ k 3, 5  f 0, 1 }}  width 1..8  depth 1..64 }}"
    stages = "\n".join(stage.format(i) for i in range(60))
    block = "block dw(k, f) { optional f { dwconv k }  conv 1x1 }\n"
    page = written(tmp_path, block + WHOLE.replace("head", f"{stages}\nhead"))
    exact = math.prod([sum(24**d for d in range(1, 65))] * 60)
    found = run("show", page, "--format", "json").stdout
    digits = found.partition('"subnets": ')[2].partition(",")[0]
    assert len(digits) > sys.get_int_max_str_digits()
    assert count(exact).endswith(f"e+{len(digits) - 1}")
    sys.set_int_max_str_digits(0)
    try:
        assert int(digits) == exact
    finally:
        sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)


def test_parameters_both_ways() -> None:
    model = library_model("models/tiny-a0")
    facts = json.loads(run("show", "tiny-a0", "--format", "json").stdout)
    cost = subnet_cost(model)
    assert (facts["params"], facts["weights"]) == (cost.params, cost.weights)
    assert facts["weights"] < facts["params"]
    assert (facts["params"] - facts["weights"]) % SCALES_PER_CONV == 0
    space = json.loads(run("show", "tiny-a", "--format", "json").stdout)
    assert space["weights"]["min"] < space["params"]["min"]
    assert space["weights"]["min"] <= facts["weights"] <= space["weights"]["max"]
    shown = run("show", "tiny-a0").stdout
    assert "three LSQ+ scalars per convolution" in shown
    assert "weights  28.25K (of the deployed network)" in shown


def test_many_samples_are_one_page() -> None:
    result = run("sample", "tiny-a", "-n", "3")
    models = result.stdout.count("\nmodel ")
    assert (result.exit_code, models, result.stdout.count("language 1")) == (0, 3, 1)
    assert run("check", "-", stdin=result.stdout).exit_code == 0
    assert run("fmt", "--check", "-", stdin=result.stdout).exit_code == 0


SETTINGS = [
    '{"ks": 7, "e": 0.35, "d": 2, "w": 0, "r": 224}',
    '{"ks": 3, "e": 4, "d": 2, "w": 1, "r": 224}',
    '{"ks": 3, "e": 4, "d": 2, "wid": 1, "r": 224}',
    '{"ks": 3, "e": 4, "d": 2, "r": 224, "image_size": 192}',
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_key_of_a_setting_is_dropped(setting: str) -> None:
    of = "resnet50" if "0.35" in setting else "mobilenetv3"
    result = run("import", setting, "--of", of)
    assert result.exit_code == 2
    assert "error[bad-import]" in result.stderr


def test_a_setting_of_once_for_all_as_it_is_written() -> None:
    said = '{"wid": null, "ks": 3, "e": 4, "d": 2, "r": 224, "image_size": 224}'
    assert run("import", said, "--of", "mobilenetv3").exit_code == 0


@pytest.mark.parametrize(
    ("key", "meant"),
    [("resolution", "image_size"), ("kernel_size", "ks"), ("expand_ratio", "e"), ("depth", "d")],
)
def test_a_key_that_says_the_same_is_named(key: str, meant: str) -> None:
    result = run("import", json.dumps({"ks": 3, "e": 4, "d": 2, key: 4}), "--of", "mobilenetv3")
    assert result.exit_code == 2
    assert f"did you mean `{meant}`?" in result.stderr


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("ofa_mbv3_d0_e3_k3_w1.0", "depth 0 is not a whole number from 1"),
        ("ofa_mbv3_d2.5_e3_k3_w1.0", "depth 2.5 is not a whole number"),
        ("ofa_mbv3_d2_e0_k3_w1.0", "expansion 0 is not a number from 0.1"),
        ("ofa_resnet50_d012_e0.2_w0.0", "width 0 is not a number"),
        ("ofa_mbv3_d2_e3_k4_w1.0", "kernel 4 is even"),
        ("[['ir_r1_k4_s1_e3_c24']]", "kernel 4 is even"),
        (json.dumps({"ks": [3] * 20, "e": [3] * 20, "d": 0, "r": 224}), "at least one block"),
    ],
)
def test_what_is_imported_passes_check(said: str, message: str, tmp_path: Path) -> None:
    result = run("import", said, "--out", str(tmp_path / "page.space"))
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert "error[internal]" not in result.stderr
    assert not list(tmp_path.iterdir())


FBNET_V3 = """
[['ds_r2_k3_s1_e1_c16'],
 ['ir_r1_k5_s2_e4_c24', 'ir_r3_k5_s1_e2_c24'],
 ['ir_r1_k5_s2_e5_c40_se0.25', 'ir_r4_k5_s1_e3_c40_se0.25'],
 ['ir_r1_k5_s2_e5_c72', 'ir_r4_k3_s1_e3_c72'],
 ['ir_r1_k3_s1_e5_c120_se0.25', 'ir_r5_k5_s1_e3_c120_se0.25'],
 ['ir_r1_k3_s2_e6_c184_se0.25', 'ir_r5_k5_s1_e4_c184_se0.25', 'ir_r1_k5_s1_e6_c224_se0.25'],
 ['cn_r1_k1_s1_c1344']]
"""


def test_se_of_fbnet_is_of_the_input(tmp_path: Path) -> None:
    """8.6 million parameters, as the network is published."""
    net = network(read_stacks(Source("arch", FBNET_V3)), Frame(head=1984, se="input"), "net")
    assert subnet_cost(net).params == pytest.approx(8.6e6, rel=0.005)
    arch = tmp_path / "arch.txt"
    arch.write_text(FBNET_V3)
    asked = ["import", str(arch), "--name", "net", "--head", "1984"]
    result = run(*asked, "--se", "input")
    found = item_of(result.stdout, "net")
    assert subnet_identity(found) == subnet_identity(net)  # type: ignore[arg-type]
    assert "--se input" in run(*asked).stderr


def flipped(path: Path, at: str) -> None:
    """One digit of a file is another one."""
    text = path.read_text()
    place = next(i for i in range(text.index(at), len(text)) if text[i].isdecimal())
    path.write_text(text[:place] + str(int(text[place]) ^ 1) + text[place + 1 :])


def test_a_flipped_digit_of_a_table_is_seen(tmp_path: Path) -> None:
    table = tmp_path / "mine.json"
    table.write_text(table_path("onnxw").read_text())
    words = ("score", "vnni", "--target", "vnni", "--quality", str(table))
    assert run(*words).exit_code == 0
    flipped(table, '"level_a"')
    result = run(*words)
    assert result.exit_code == 2
    assert "error[table-file]" in result.stderr
    assert "is damaged: its checksum is not that of what it holds" in result.stderr


@pytest.mark.parametrize("kind", ["network", "int8", "subnet"])
def test_compiled_plans_are_sealed(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "plans"
    assert run("compile", "tiny-a0", "--target", "vnni", "--out", str(out)).exit_code == 0
    path = out / f"tiny-a0.{kind}.json"
    written = json.loads(path.read_text())
    assert unsealed(written, path, ValueError).keys() == written.keys() - {"checksum"}
    flipped(path, '"format"')
    with pytest.raises(ValueError, match="is damaged"):
        unsealed(json.loads(path.read_text()), path, ValueError)


def test_no_words_at_all() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spacedsl"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "spacedsl --help" in done.stdout + done.stderr


LITTLE_MEMORY = """
import resource, sys
import numpy, onnx
from spacedsl.cli.app import main
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (100 << 20),) * 2)
main()
"""


def test_a_lack_of_memory_is_no_defect(tmp_path: Path) -> None:
    words = ("export", "seqnet-vnni-a4", "--fp32", "--out", str(tmp_path / "net.onnx"))
    command = [sys.executable, "-c", LITTLE_MEMORY, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error[no-memory]: the memory does not suffice" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has", "1.50 GiB more"),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 32 bytes", "32 bytes"),
        ("DefaultCPUAllocator: not enough memory", ""),
    ],
)
def test_what_pytorch_says_of_memory(said: str, wanted: str) -> None:
    def command(batch: int) -> None:
        raise RuntimeError(said)

    app = typer.Typer()
    app.command()(guarded(command))
    result = CliRunner().invoke(app, ["4"])
    assert result.exit_code == 2
    assert "error[no-memory]" in result.stderr
    assert wanted in result.stderr
    assert "a smaller --batch needs less" in result.stderr


def test_check_reads_the_tables_beside_a_page(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"version": 1, ')
    path = tmp_path / "phone.space"
    path.write_text(
        'language 1\ntarget phone {\n  device "my phone, LiteRT"\n  latency "t.json"\n'
        "  limits 15ms\n}\n"
    )
    result = run("check", str(path))
    assert result.exit_code == 2
    assert "4:11: error[table-file]" in result.stderr


def test_of_an_option_that_stands_twice_the_last_counts(tmp_path: Path) -> None:
    page = written(tmp_path, WHOLE)
    twice = run("show", page, "--target", "vnni", "--target", "pixel4")
    assert twice.exit_code == 0
    assert twice.stderr == "warning: `--target` stands twice, and the last one counts\n"
    assert twice.stdout == run("show", page, "--target", "pixel4").stdout
    assert run("diff", page, page, "--target", "vnni", "--target", "pixel4").stderr == ""


def test_samples_of_a_hyperspace_keep_its_limit(tmp_path: Path) -> None:
    text = WHOLE.replace("space s", "hyperspace s").replace(
        "head", "elastic a { conv 3x3  width 8..64 step 8  window 8  depth 1..3 }\nhead"
    )
    free = written(tmp_path, text)
    limited = written(tmp_path, text.replace("input", "limit flops 2M\ninput"), "limited.space")
    drawn = {p: run("sample", p, "-n", "20", "--format", "json").stdout for p in (free, limited)}
    flops = {p: [m["flops"] for m in json.loads(found)["models"]] for p, found in drawn.items()}
    assert max(flops[free]) > 2_000_000 >= max(flops[limited])
    assert len(flops[limited]) == 20


def test_one_network_within_several_limits_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def deployed(name: str, limit_ms: float, hash: str) -> Deployment:
        return Deployment(
            name, limit_ms, 5.0, 32, 1000, hash, 0.5, 0.5, 0.5, 100, "p.space", "f.onnx", "w.npz"
        )

    space, target = api.load_space("vnni"), api.load_target("vnni")
    models = (deployed("a", 8.0, "one"), deployed("b", 10.0, "one"), deployed("c", 15.0, "two"))
    print_front(Searched(space, target, "digits", Path(), {}, models, ()))
    assert "one network is the best that was found within 8, 10 ms" in capsys.readouterr().out
