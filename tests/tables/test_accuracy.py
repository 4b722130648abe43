"""Accuracies of trained networks as a quality table."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacedsl import api
from spacedsl.cli.app import app
from spacedsl.diagnostics import SpaceError
from spacedsl.files import write_atomic
from spacedsl.ir.identity import space_identity
from spacedsl.lang.write import write
from spacedsl.search.exact.task_log import TaskLog
from spacedsl.search.protocols import QualityModel
from spacedsl.tables.accuracy import FittedAccuracy, interpolated
from spacedsl.tables.files import load_quality, load_table
from spacedsl.tables.fit_accuracy import fit_accuracy
from spacedsl.tables.fit_networks import doubt, verify_accuracies
from spacedsl.tables.network_sums import network_losses, network_values
from spacedsl.tables.networks import Network, read_accuracies
from spacedsl.tables.schema import AccuracyData
from tests.support import SHARED, library_space, needs_shared
from tests.tables.accuracy_rows import CEILING, accuracy_csv, random_codes, worth, write_csv

ACCURACIES = SHARED / "data" / "accuracies"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, ...]:
    path = accuracy_csv(tmp_path_factory.mktemp("rows") / "rows.csv", random_codes(400))
    return read_accuracies(path, library_space("benchmarks/mnasnet"))


@pytest.fixture(scope="module")
def data(rows: tuple[Network, ...]) -> AccuracyData:
    return fit_accuracy(rows, library_space("benchmarks/mnasnet"))


@pytest.mark.slow
def test_networks_that_were_not_fitted_are_predicted(data: AccuracyData, tmp_path: Path) -> None:
    space = library_space("benchmarks/mnasnet")
    fresh = accuracy_csv(tmp_path / "fresh.csv", random_codes(300, seed=1), noise=0.0)
    report = verify_accuracies(read_accuracies(fresh, space), FittedAccuracy(data))
    assert report.rows == 301
    assert report.r2 is not None
    assert report.tau is not None
    assert report.r2 > 0.98
    assert report.tau > 0.93
    assert report.sd < 0.25
    assert abs(data.ceiling - CEILING) < 5
    # the figures of held-out rows are what rows never seen give
    assert abs(data.r2 - report.r2) < 0.02
    assert abs(data.sd - (report.sd**2 + 0.1**2) ** 0.5) < 0.1
    assert (data.networks, data.repeated) == (400, 1)


def test_stage_losses_are_positive_and_their_sum_is_worth_the_accuracy(
    data: AccuracyData,
) -> None:
    space, model = library_space("benchmarks/mnasnet"), FittedAccuracy(data)
    networks = api.sample(space, 50)
    losses = network_losses(networks, model)
    values = network_values(networks, model)
    assert np.allclose(values, data.ceiling - np.exp(losses - data.shift))
    assert model.valuation.unit == "top-1"
    order = np.argsort(losses)
    assert (np.diff(values[order]) <= 0).all()
    sd = model.valuation.sd(losses, 224)
    assert sd is not None
    assert (sd > 0).all()
    for number, at in enumerate(space.elastic, 1):
        for choice in space.stages[at].choices:
            loss = model.stage(number, choice)
            assert loss is not None
            for depth in space.stages[at].depths:
                least = loss.base(224, depth, np.array([8]))
                for position in range(depth):
                    terms = [
                        loss.terms(
                            224,
                            depth,
                            position,
                            np.array([8]),
                            np.array(space.stages[at].widths),
                            {"kernel": np.array([kernel]), "expand": np.array([expand])},
                        )
                        for kernel in (3.0, 5.0)
                        for expand in (1.0, 4.0, 6.0)
                    ]
                    least = least + np.min(terms)
                assert least[0] > 0


def test_the_order_of_rows_does_not_matter(rows: tuple[Network, ...], data: AccuracyData) -> None:
    shuffled = random.Random(0).sample(rows, len(rows))
    assert fit_accuracy(shuffled, library_space("benchmarks/mnasnet")) == data


def test_what_was_never_seen_is_not_covered(tmp_path: Path) -> None:
    space = library_space("benchmarks/mnasnet")
    codes = [code for code in random_codes(900) if not code.startswith(("s", "ie6"))][:250]
    path = accuracy_csv(tmp_path / "rows.csv", codes)
    model = FittedAccuracy(fit_accuracy(read_accuracies(path, space), space))
    without, with_se = space.stages[space.elastic[0]].choices
    assert model.stage(1, with_se) is None
    loss = model.stage(1, without)
    assert loss is not None
    three, widths = np.full(3, 3.0), np.full(3, 16)
    expands = {"kernel": three, "expand": np.array([1.0, 4.0, 6.0])}
    terms = loss.terms(224, 1, 0, np.full(3, 32), widths, expands)
    assert np.isnan(terms).tolist() == [False, False, True]
    unseen = write_csv(tmp_path / "t.csv", ("code", "top1"), [(random_codes(1, 7)[0], 60)])
    rest = "-".join(unseen.read_text().splitlines()[1].split(",")[0].split("-")[1:])
    unseen = write_csv(tmp_path / "t.csv", ("code", "top1"), [(f"se1k3d1-{rest}", 60)])
    with pytest.raises(SpaceError, match="does not cover 1 of 1 networks, first se1k3d1-"):
        verify_accuracies(read_accuracies(unseen, space), model)


def test_blocks_that_are_the_same_network_are_worth_the_same() -> None:
    """In macro a position that is not used has a kernel all the same."""
    space, rng = library_space("benchmarks/macro"), random.Random(0)
    networks = [Network(i, s, 50 + rng.random()) for i, s in enumerate(api.sample(space, 300))]
    model = FittedAccuracy(fit_accuracy(networks, space))
    at = space.elastic[1]
    loss = model.stage(2, space.stages[at].choices[0])
    assert loss is not None
    kernels = {"used": np.array([0.0, 0.0, 1.0, 1.0]), "kernel": np.array([3.0, 5.0, 3.0, 5.0])}
    terms = loss.terms(32, 1, 0, np.full(4, 64), np.full(4, 64), kernels)
    assert terms[0] == terms[1]
    assert terms[2] != terms[3]


def test_between_seen_values_is_interpolated() -> None:
    grid = np.array([[0.0, 1.0, 4.0], [10.0, 11.0, 14.0]])
    given = [np.array([1.0, 2.0, 3.0, 1.5, 0.9]), np.array([5.0, 3.0, 4.0, 7.0, 5.0])]
    found = interpolated(grid, ((1, 3), (3, 5, 7)), given)
    assert found[:4].tolist() == [1.0, 5.0, 10.5, 6.5]
    assert np.isnan(found[4])


WRONG = [
    ("top1\n", "line 1: the first column is `top1`"),
    ("code,acc\n", "line 1: there is no column `top1`"),
    ("code,top1\n{0},0.61\n{1},0.62\n", "line 2: 0.61 is no accuracy in percent; write 61?"),
    ("code,top1\n{0},61\n{1},abc\n", "line 3: 'abc' is not a number"),
    ("code,top1\n{0},61\n{1}\n", "line 3: the number of cells is 1, not 2"),
    ("code,top1\n{0},61\nhello,62\n", "line 3: 'hello' is no code"),
    ("code,top1\n\n{0},61\nse9k3d1,62\n", "line 4: the code has 1 stages"),
    ("code,top1\nie1k7d1-{rest},62\n", "line 2: .*stage1: kernel 7 is not one of 3, 5"),
    ("page,top1\nseqnet-vnni-a0,74.7\n", "line 2: seqnet-vnni-a0 is not one of mnasnet's"),
    ("page,top1\nno-such-page,74.7\n", "line 2: there is neither a file nor a page"),
    ("page,top1\nmnasnet,74.7\n", "line 2: mnasnet is no model"),
    ("code,top1\n{0},120\n", "line 2: 120 is no accuracy in percent"),
    ("code,top1\n", "has no rows"),
    ("code,top1,top1\n{0},61,62\n", "line 1: there are several columns `top1`"),
    ("code;top1\n{0};61\n", "line 1: the first column is `code;top1`(.|\n)*not semicolons"),
    ("Page\ttop1\n", r"line 1: the first column is `Page\ttop1`(.|\n)*not tabs"),
    ("Code,top1\n{0},61\n", "line 1: the first column is `Code`(.|\n)*write `code`"),
    (",code,top1\n0,{0},61\n", "the first column is ``(.|\n)*move the column `code` to the front"),
    ("", "line 1: it is empty(.|\n)*commas separate"),
    ("code,top-1\n{0},61\n", "no column `top1`(.|\n)*`top-1`. Then say --column top-1"),
    ("code,acc\n{0},61\n", "no column `top1`(.|\n)*`code` or `acc`: say --column and"),
    ("code,top1\n{0},61%\n{1},62\n", "line 2: '61%' is not a number; write 61.$"),
    ('code,top1\n{0},"61,5"\n', "line 2: '61,5' is not a number; write 61.5.$"),
    ("code,top1\n{0},61\n{1},\n", "line 3: the cell is empty; leave out the row"),
    ("code,top1\n,61\n", "line 2: there is no code: its cell is empty"),
    ("code,top1\r{0},61\r{1},x\r", "line 3: 'x' is not a number"),
    ("code,top1\n{0},0\n", "line 2: 0 is no accuracy in percent$"),
    ("{{}}\n", "no journal of valued subnets"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_file_gives_one_message_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    first, second = random_codes(2)
    rest = first.partition("-")[2]
    path = tmp_path / "rows.csv"
    path.write_text(text.format(first, second, rest=rest))
    command = ["tables", "fit", "--accuracies", str(path), "--hyper", "mnasnet"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "o"), "--format", "json"])
    found = json.loads(result.stdout)["diagnostics"]
    assert result.exit_code == 2
    assert [d["code"] for d in found] == ["table-row"]
    with pytest.raises(SpaceError, match=said):
        read_accuracies(path, library_space("benchmarks/mnasnet"))
    assert not (tmp_path / "o").exists()


def test_a_page_that_cannot_be_read_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "torn.space").write_text("language 1\nmodel torn of vnni at {\n")
    path = write_csv(tmp_path / "rows.csv", ("page", "top1"), [("torn.space", 61), ("a\nb", 62)])
    why = r"line 2: \S*torn.space:2: .*\n.*line 4: there is neither a file nor a page of .* a b$"
    with pytest.raises(SpaceError, match=why):
        read_accuracies(path, library_space("benchmarks/mnasnet"))


def test_trainings_far_apart_are_an_error(tmp_path: Path) -> None:
    codes = random_codes(120)
    rows = [(code, worth(code)) for code in codes]
    rows.append((codes[4], worth(codes[4]) + 3.5))
    path = write_csv(tmp_path / "rows.csv", ("code", "top1"), rows)
    with pytest.raises(SpaceError, match="lines 6, 122"):
        fit_accuracy(
            read_accuracies(path, library_space("benchmarks/mnasnet")),
            library_space("benchmarks/mnasnet"),
        )


def test_too_few_rows_say_how_many_would_do(rows: tuple[Network, ...]) -> None:
    with pytest.raises(SpaceError, match=r"few-rows.*29 different.*\n.*88 networks would do"):
        fit_accuracy(rows[:29], library_space("benchmarks/mnasnet"))


def test_equal_accuracies_are_an_error_and_no_nan(tmp_path: Path) -> None:
    """Nothing can be learnt from them; and JSON has no word for a figure that there is not."""
    path = write_csv(tmp_path / "same.csv", ("code", "top1"), [(c, 60) for c in random_codes(100)])
    fit = ["tables", "fit", "--accuracies", str(path), "--hyper", "mnasnet"]
    result = CliRunner().invoke(app, [*fit, "--out", str(tmp_path / "o.json")])
    assert result.exit_code == 2
    assert "all networks have the same accuracy, 60 %" in result.output
    one = write_csv(tmp_path / "one.csv", ("code", "top1"), [(random_codes(1)[0], 60)])
    verify = ["tables", "verify", "--accuracies", str(one), "--hyper", "mnasnet"]
    said = CliRunner().invoke(app, [*verify, "--format", "json"]).stdout
    assert "NaN" not in said
    report = json.loads(said)["accuracy"]
    assert (report["rows"], report["r2"], report["tau"]) == (1, None, None)
    assert "R2 unknown" in CliRunner().invoke(app, verify).stdout


def test_errors_in_place_of_accuracies_are_doubted(tmp_path: Path) -> None:
    """A table of them would be fitted, and a search find the worst networks."""
    space, drawn = library_space("benchmarks/macro"), np.random.default_rng(0)
    codes = ["".join(map(str, digits)) for digits in drawn.integers(0, 3, (60, 8)).tolist()]
    good = [(code, 60 + 2 * sum(map(int, code))) for code in codes]
    path = write_csv(tmp_path / "rows.csv", ("code", "top1"), good)
    assert doubt(read_accuracies(path, space)) is None
    write_csv(path, ("code", "top1"), [(code, 100 - top1) for code, top1 in good])
    fit = ["tables", "fit", "--accuracies", str(path), "--hyper", "macro"]
    result = CliRunner().invoke(app, [*fit, "--out", str(tmp_path / "o.json")])
    assert result.exit_code == 0
    assert "networks with more FLOPs have lower accuracies here (Kendall's tau -0." in result.stderr


def test_weights_count(tmp_path: Path) -> None:
    """A repeat of weight 3 draws the mean to itself."""
    codes = random_codes(100)
    lines = [(code, 50.0, 1) for code in codes] + [(codes[0], 52.0, 3)]
    path = write_csv(tmp_path / "rows.csv", ("code", "acc", "w"), lines)
    space = library_space("benchmarks/mnasnet")
    found = read_accuracies(path, space, "acc", "w")
    assert found[-1].weight == 3
    from spacedsl.tables.designs import network_states
    from spacedsl.tables.fit_accuracy import merged

    joined, repeated = merged(found, network_states(found, space))
    assert repeated == 1
    assert sorted({n.value for n in joined}) == [50.0, 51.5]
    with pytest.raises(SpaceError, match="line 2: 0 is no weight"):
        read_accuracies(
            write_csv(tmp_path / "w.csv", ("code", "top1", "w"), [(codes[0], 50, 0)]),
            space,
            weights="w",
        )


def test_pages_of_a_space_count_as_networks_of_its_hyperspace(tmp_path: Path) -> None:
    hyper = library_space("tiny")
    space = library_space("tiny-a")
    for i, model in enumerate(api.sample(space, 3)):
        write_atomic(tmp_path / f"m{i}.space", write(model))
    path = write_csv(
        tmp_path / "rows.csv", ("page", "top1"), [(f"m{i}.space", 50) for i in range(3)]
    )
    for network, model in zip(read_accuracies(path, hyper), api.sample(space, 3), strict=True):
        assert network.subnet.of == hyper
        for at, stage in enumerate(network.subnet.stages):
            assert network.subnet.choice(at).block == model.choice(at).block
            assert [b.width for b in stage.blocks] == [b.width for b in model.stages[at].blocks]


def test_valued_subnets_of_a_search_are_a_source(tmp_path: Path) -> None:
    from spacedsl.flows.valuing import key_of

    space = library_space("tiny-a")
    models = api.sample(space, 39)
    path = tmp_path / "search.jsonl"
    with TaskLog(path, {"images": 50}, False, "subnets") as log:
        for i, model in enumerate(models):
            log.append(key_of(model), 0.62 + i / 100)
    found = read_accuracies(path, space)
    assert [n.subnet.stages for n in found] == [m.stages for m in models]
    # the last one got all images right, which counts as half an image worse
    assert [n.value for n in found] == pytest.approx([62.0 + i for i in range(38)] + [99.0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])  # torn
    assert read_accuracies(path, space) == found[:-1]
    path.write_bytes(whole.replace(b",0.65,", b",0.66,"))
    with pytest.raises(SpaceError, match="line 5: its checksum is wrong"):
        read_accuracies(path, space)
    path.write_bytes(whole)
    with pytest.raises(SpaceError, match=r"line 2: .*name the space that was trained"):
        read_accuracies(path, library_space("tiny"))


@pytest.mark.slow
def test_commands_fit_and_verify(tmp_path: Path) -> None:
    rows = accuracy_csv(tmp_path / "rows.csv", random_codes(150))
    out = tmp_path / "quality.json"
    command = ["--accuracies", str(rows), "--hyper", "mnasnet"]
    fit = CliRunner().invoke(app, ["tables", "fit", *command, "--out", str(out)])
    assert fit.exit_code == 0, fit.output
    assert "held out  R2 0.9" in fit.stdout
    before = out.read_bytes()
    CliRunner().invoke(app, ["tables", "fit", *command, "--out", str(out)])
    assert out.read_bytes() == before
    verify = ["tables", "verify", *command, "--quality", str(out), "--format", "json"]
    result = CliRunner().invoke(app, verify)
    report = json.loads(result.stdout)["accuracy"]
    assert set(report) == {"rows", "r2", "tau", "sd"}
    assert report["rows"] == 151
    assert report["r2"] > 0.95
    model: QualityModel = load_quality(str(out))
    assert model.resolutions == (224,)
    assert load_table(out).source.rows == 151


def test_one_source_is_said(tmp_path: Path) -> None:
    for command in (["fit", "--out", "o"], ["verify"]):
        result = CliRunner().invoke(app, ["tables", *command, "--hyper", "tiny"])
        assert result.exit_code == 2
        assert "say one source" in result.output


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize(
    ("name", "file", "r2", "tau"),
    [("mnasnet", "mnasnet_imagenet", 0.94, 0.875), ("macro", "macro_cifar10", 0.88, 0.86)],
)
def test_held_out_rows_of_the_benchmarks(name: str, file: str, r2: float, tau: float) -> None:
    space = library_space(f"benchmarks/{name}")
    rows = read_accuracies(ACCURACIES / f"{file}.csv", space)
    order = np.random.default_rng(0).permutation(len(rows))
    seen, rest = order[: len(rows) * 4 // 5], order[len(rows) * 4 // 5 :]
    model = FittedAccuracy(fit_accuracy([rows[i] for i in seen], space))
    report = verify_accuracies([rows[i] for i in rest], model)
    assert report.r2 is not None
    assert report.tau is not None
    assert report.r2 >= r2
    assert report.tau >= tau


def test_the_shipped_table_is_small_attributed_and_of_its_page() -> None:
    table, space = load_table("mnasnet"), library_space("benchmarks/mnasnet")
    assert table.source.hyperspace_hash == space_identity(space)
    assert "Accel-NASBench" in table.source.provenance
    assert table.source.licence == "Apache-2.0"
    model = load_quality("mnasnet")
    values = network_values(api.sample(space, 200), model)
    assert 42 < values.min() < values.max() < 68
