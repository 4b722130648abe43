"""Random command lines over random files: python scripts/fuzz_commands.py [SECONDS] [--first SEED].

Every line follows from its seed: a command or a word that is none, options right and wrong, and
files that are valid, mutated, binary, empty, huge, folders, loops of links or not there. Each runs
in a process of its own. Wrong is a traceback, `error[internal]`, an exit code other than 0, 1 and
2, a signal, or more than LIMIT seconds of processor time; such a seed is printed with its line and
output, kept in --failures, and run again by `--seed SEED`."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from enum import EnumType
from pathlib import Path
from typing import Any

import spacedsl
import spacedsl_runtime

SPACES = Path(__file__).parents[1] / "spaces"
LIMIT = 20
GIGABYTES = 8

COSTLY = {
    "train": ("--steps", "1", "--batch", "4"),
    "distill": ("--steps", "1", "--batch", "4", "--samples", "1"),
    "search": ("--rounds", "0", "--population", "4", "--images", "4"),
    "plan": ("--bkd-steps", "1", "--samples", "1"),
    "evolve": ("--cycles", "5", "--population", "2", "--sample", "1", "--samples", "20"),
    "optimum": ("--minutes", "0", "--jobs", "1", "--samples", "20"),
    "score": ("--samples", "20"),
    "bench": ("--seconds", "0.1"),
    "analyze": ("--budget", "1s"),
    "sample": ("-n", "2"),
    "target verify": ("--count", "3", "--seconds", "1"),
}
"""What keeps a command short, in place of what else a line says of it."""

SELDOM = {"train", "target", "distill", "search", "plan", "lsp", "bench", "analyze", "optimum"}
"""They load much."""

WORDS = {
    "--target": ("vnni", "pixel4", "toaster", "vnni-large", "", "{}"),  # others measure minutes
    "--hyper": ("tiny", "onnxw", "hyper", "vnni", "tiny-a"),
    "--data": (
        "digits",
        "mnist",
        "imagefolder:",
        "imagefolder:{}",
        "photos:{}",
        "fashion-mnist:{}",
    ),
    "--teacher": ("lite9", "checkpoint:{}", "timm:{}", "timm:resnet:{}"),
    "--limits": ("8,10ms", "1", "0ms", "nan", "1e9", "5s,5ms", ","),
    "--quality": ("onnxw", "{}", "none"),
    "--scorer": ("model", "rows:{}", "rows:", "x"),
    "--ray": ("nowhere:1",),
    "--combine": ("sum", "worst"),
    "--budget": ("1s", "0s", "x"),
}
TEXTS = (
    "",
    "-",
    "--",
    "x",
    "a b",
    "\u00e9\u4e2d",
    "\udcff",
    "x\ny",
    "#",
    "tiny#",
    "tiny#x",
    "-1",
    "0",
)
TEXTS += ("A" * 300, "tiny-a#tiny-a", "spaces", "d2222", "{}", "null")
KNOWN = ("tiny", "tiny-a", "tiny-a0", "vnni", "onnxw", "onnxw-151122-023231", "seqnet-vnni-a0")
NUMBERS = ("0", "1", "2", "-1", "7", "1e3", "0.5", "nan", "inf", "-inf", "x", "", "1" * 40)


class Zoo:
    """Files of all kinds below `root`, made once; the same for everybody."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.exists():
            root.mkdir(parents=True)
            self._make(random.Random(0))
        self.files = sorted(p for p in root.rglob("*") if not p.is_dir() or p.is_symlink())
        self.folders = [p for p in sorted(root.iterdir()) if p.is_dir()]

    def _make(self, rng: random.Random) -> None:
        root = self.root
        pages = sorted(SPACES.rglob("*.space"))
        for page in (*pages[:3], *rng.sample(pages, 12)):
            shutil.copy(page, root / page.name)
        plain = {
            "empty.space": b"",
            "binary.onnx": rng.randbytes(5000),
            "binary.npz": rng.randbytes(5000),
            "nul.space": b"language 1\n\0",
            "deep.json": b"[" * 100_000,
            "list.json": b"[1, 2]",
            "number.json": b"1" * 5000,
            "object.json": b'{"format": 1, "version": 1, "hash": null, "plan": {}}',
            "lines.jsonl": b'{"a": 1}\n' * 50,
            "half.yml": b"a: [1, 2\n",
            "x.csv": b"a,b\n1,2\n",
            "huge.space": b"language 1\n" + b"x " * 5_000_000,
            "huge.json": b" " * 70_000_000,
            " spaces in it.space": b"language 1\n",
            "a#b.space": b"language 1\n",
            "-x.space": b"language 1\n",
        }
        for name, data in plain.items():
            (root / name).write_bytes(data)
        Path(os.fsdecode(os.fsencode(str(root)) + b"/no\xff\xfetext.space")).write_bytes(
            b"language 1"
        )
        (root / "loop.space").symlink_to("loop.space")
        (root / "dangling.space").symlink_to("nowhere.space")
        (root / "folder.space").mkdir()
        folder = root / "folder"
        for place in ("train/a", "train/b", "val/a", "val/b", "jobs"):
            (folder / place).mkdir(parents=True)
            (folder / place / "1.png").write_bytes(rng.randbytes(50))
        (folder / "run.json").write_bytes(b'{"settings": {}}')
        (folder / "stage1_mbv2_1.csv").write_bytes(b"x\n")
        (root / "shut").mkdir(mode=0o500)
        self._artifacts()

    def _artifacts(self) -> None:
        """Files that the commands themselves write."""
        model = str(SPACES / "models" / "seqnet-vnni-a0.space")
        run_quietly("sample", "tiny-a", "--out", str(self.root / "drawn"))
        drawn = next(iter(sorted((self.root / "drawn").glob("*.space"))), None)
        for line in (
            ("compile", "tiny-a", "--out", str(self.root / "plans"), "--target", "vnni"),
            ("compile", model, "--out", str(self.root / "plans"), "--target", "vnni"),
            ("export", str(drawn), "--out", str(self.root / "net.onnx")),
            ("export", str(drawn), "--out", str(self.root / "net.tflite")),
            ("show", model, "--format", "json"),
            (*("evolve", "--hyper", "onnxw", "--target", "vnni", *COSTLY["evolve"]),
             *("--journal", str(self.root / "evolve.journal"))),
            (*("train", "tiny-a", "--data", "digits", "--steps", "2", "--batch", "8"),
             *("--out", str(self.root / "run"))),
        ):  # fmt: skip
            run_quietly(*line)

    def path(self, rng: random.Random, scratch: Path) -> str:
        """A file as it is, one like it with a few bytes changed, a folder, or none."""
        kind = rng.random()
        if kind < 0.35:
            return str(rng.choice(self.files))
        if kind < 0.7:
            return str(mutated(rng.choice(self.files), rng, scratch))
        if kind < 0.8:
            return str(rng.choice(self.folders))
        if kind < 0.85:
            return rng.choice(("/dev/null", "/dev/zero", "/proc/self/mem", "/", ".", "/proc/x"))
        return str(scratch / rng.choice(("new.space", "no/such/new.json", "new", "x" * 300)))


def mutated(path: Path, rng: random.Random, scratch: Path) -> Path:
    """A copy of the same name with bytes changed, left out, doubled or cut off."""
    try:
        data = bytearray(path.read_bytes()[: 1 << 20])
    except OSError:
        return path
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, long = rng.randrange(len(data) + 1), rng.choice((1, 1, 4, 64))
        match rng.randrange(5):
            case 0:
                data[at : at + long] = rng.randbytes(long)
            case 1:
                del data[at : at + long]
            case 2:
                data[at:at] = data[at : at + long] * rng.choice((1, 2, 50))
            case 3:
                del data[at:]
            case _:
                words = (b"0", b"-1", b"1e999", b"null", b"{", b"}", b'"', b"999999999999999999999")
                data[at:at] = rng.choice(words)
    found = scratch / path.name
    found.write_bytes(bytes(data))
    return found


def leaves(group: Any, prefix: str = "") -> dict[str, Any]:
    """All commands by their words."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        words = f"{prefix}{name}"
        found |= leaves(command, f"{words} ") if hasattr(command, "commands") else {words: command}
    return found


def value(rng: random.Random, zoo: Zoo, scratch: Path, name: str, kind: Any) -> str:
    """A word for an option or argument, often one that could be meant."""
    choices = [str(c.value) for c in kind] if isinstance(kind, EnumType) else []
    likely = WORDS.get(name)
    if likely and rng.random() < 0.8:
        return rng.choice(likely).replace("{}", zoo.path(rng, scratch))
    if choices and rng.random() < 0.9:
        return rng.choice(choices)
    if kind in (int, float):
        return rng.choice(NUMBERS[1:3] if rng.random() < 0.7 else NUMBERS)
    if rng.random() < 0.3:
        return rng.choice(KNOWN)
    return zoo.path(rng, scratch) if rng.random() < 0.8 else rng.choice(TEXTS)


def command_line(seed: int, commands: dict[str, Any], zoo: Zoo, scratch: Path) -> list[str]:
    """The line of a seed; files that it mutates are written below `scratch`."""
    rng = random.Random(seed)
    if rng.random() < 0.02:
        return [rng.choice((*TEXTS, "--help", "--version", "git", "tables", "target"))]
    names = sorted(commands)
    name = rng.choice(names)
    if name.partition(" ")[0] in SELDOM and rng.random() < 0.8:
        name = rng.choice(names)
    words = name.split()
    for param in commands[name].params:
        needed = param.required or param.param_type_name == "argument"
        if "--help" in param.opts or rng.random() > (0.98 if needed else 0.12):
            continue
        kind = param.type_descriptor.annotation if param.name != "help" else bool
        times = rng.choice((1, 1, 1, 2, 3)) if getattr(param, "multiple", False) else 1
        for _ in range(times):
            if param.param_type_name == "argument":
                words.append(value(rng, zoo, scratch, param.name, kind))
            else:
                words.append(rng.choice(param.opts))
                if not param.is_flag:
                    words.append(value(rng, zoo, scratch, words[-1], kind))
    if rng.random() < 0.3:
        words += ["--format", rng.choice(("json", "json", "text", "x"))]
    if rng.random() < 0.05:
        words.insert(rng.randrange(len(words)), rng.choice(TEXTS))
    costly = COSTLY.get(name, ())
    return [*_without(words, costly[::2]), *costly]


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """A line without some options and what each takes, of which it would take no second one."""
    taken = {i for i, word in enumerate(words) if word in options}
    return [w for i, w in enumerate(words) if i not in taken and i - 1 not in taken]


def forked(words: Sequence[str], folder: Path, limit: float) -> tuple[int, str]:
    """Exit code (negative: a signal) and output of a line, run in a fork of this process."""
    output = folder / "output"
    child = os.fork()
    if child == 0:
        _child(words, folder, output)
    end = time.monotonic() + 10 * limit  # of the wall's clock: for what waits for ever
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    text = output.read_bytes().decode(errors="replace") if output.exists() else ""
    return os.waitstatus_to_exitcode(found[1]), text


def _child(words: Sequence[str], folder: Path, output: Path) -> None:
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(source, target)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 1))
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    os.chdir(folder)
    sys.argv = ["spacedsl", *words]
    code = 99
    try:
        from spacedsl.cli.app import main

        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def run_quietly(*words: str) -> None:
    """A command in a process of its own, whatever comes of it."""
    command = [sys.executable, "-m", "spacedsl", *words]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, check=False, timeout=300)


def wrong(code: int, output: str) -> str:
    """What is wrong with how a line ended, "" for nothing."""
    if code < 0:
        return f"signal {-code}"
    if code not in (0, 1, 2):
        return f"exit code {code}"
    said = ("Traceback (most recent call last)", "error[internal]", '"code": "internal"')
    return next((f"says {text!r}" for text in said if text in output), "")


def import_all() -> None:
    """Before forks, which then need not."""
    for package in (spacedsl, spacedsl_runtime):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def sandbox(root: Path) -> None:
    """What commands keep for their user is kept below `root`."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ[name] = str(root / "home")
    os.environ |= {"GIT_CEILING_DIRECTORIES": str(root), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    (root / "home").mkdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=int, nargs="?", default=600)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--seed", type=int, default=None, help="Run this one and show it.")
    parser.add_argument("--zoo", type=Path, default=None, help="Keep the files there.")
    parser.add_argument("--failures", type=Path, default=None, help="Add failing seeds to it.")
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="spacedsl-fuzz-"))
    sandbox(root)
    zoo = Zoo((asked.zoo or root / "zoo").absolute())
    from typer.main import get_command

    from spacedsl.cli.app import app

    import_all()
    commands = leaves(get_command(app))
    count: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    end, seed = time.monotonic() + asked.seconds, asked.first
    one = asked.seed is not None
    while one or time.monotonic() < end:
        number = asked.seed if one else seed
        failed = try_one(number, commands, zoo, root, codes, show=one)
        count["lines"] += 1
        if failed:
            count["wrong"] += 1
            print(failed, flush=True)
            if asked.failures:
                with asked.failures.open("a") as file:
                    file.write(f"{number}\n")
        if one:
            break
        seed += 1
    ended = ", ".join(f"{n:,} with {code}" for code, n in sorted(codes.items()))
    print(
        f"{count['lines']:,} command lines from seed {asked.first}, {count['wrong']} wrong: {ended}"
    )
    shutil.rmtree(root, ignore_errors=True)
    sys.exit(bool(count["wrong"]))


def try_one(
    seed: int, commands: dict[str, Any], zoo: Zoo, root: Path, codes: Counter[int], *, show: bool
) -> str:
    """Run the line of a seed; returns what is wrong with it, "" for nothing."""
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        words = command_line(seed, commands, zoo, folder)
        if any("\0" in word for word in words):
            return ""
        code, output = forked(words, folder, LIMIT)
        codes[code] += 1
        why = wrong(code, output)
        line = shlex.join(words).encode(errors="backslashreplace").decode()
        if show or why:
            return f"seed {seed}: {why or 'fine'} ({code})\n  spacedsl {line}\n{output[-3000:]}"
        return ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
