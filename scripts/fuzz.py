"""Coverage-guided fuzzing of parse, check and fmt: python scripts/fuzz.py [SECONDS].

Needs atheris (pip install atheris). The library's pages are the first inputs; what follows is
mutated bytes and words of the language. It stops at the first input that raises, that takes more
than a second of processor time, that formats to something unstable, or that takes more than 200 MB.
Inputs found worth keeping go to --corpus (a folder, kept between runs), a failing one beside it."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["spacedsl"]):
    from spacedsl.diagnostics import SpaceError, render
    from spacedsl.lang.check import check_page
    from spacedsl.lang.library import decode
    from spacedsl.lang.page import Loader
    from spacedsl.syntax.lexer import BLANK, lex
    from spacedsl.syntax.printer import format_text

SPACES = Path(__file__).parents[1] / "spaces"
PAGES = sorted(SPACES.rglob("*.space"))
MAX_SECONDS = 1.0
MAX_MEGABYTES = 200
LOADER = Loader()
"""One for all inputs: it reads each page of the library once."""


def one_input(data: bytes) -> None:
    """Raises whatever a page made of these bytes makes the language raise."""
    start = time.process_time()
    try:
        source = decode(data, "page.space")
        for found in check_page(LOADER.open_source(source, SPACES / "models")):
            render(found.to_json())
        text = format_text(source)
    except SpaceError as error:
        for diagnostic in error.diagnostics:
            render(diagnostic.to_json())
    else:
        again = format_text(decode(text.encode(), "page.space"))
        if again != text:
            raise RuntimeError("formatting twice is not formatting once")
    seconds = time.process_time() - start
    if seconds > MAX_SECONDS:
        raise RuntimeError(f"{seconds:.2f} s")


def write_dictionary(path: Path) -> None:
    """Every word of the library's pages, as libFuzzer reads them."""
    texts = [p.read_text(encoding="utf-8") for p in PAGES]
    words = sorted({t.text for text in texts for t in lex(text) if t.type not in BLANK})
    lines = [f"w{i}={_quoted(word)}" for i, word in enumerate(words)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", type=int, nargs="?", default=600)
    parser.add_argument("--corpus", type=Path, default=None)
    asked = parser.parse_args()
    corpus = asked.corpus or Path(tempfile.mkdtemp(prefix="spacedsl-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        name = page.relative_to(SPACES).as_posix().replace("/", "-")
        (corpus / name).write_bytes(page.read_bytes())
    dictionary = corpus.with_name(corpus.name + ".dict")
    write_dictionary(dictionary)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    options = [
        f"-max_total_time={asked.seconds}",
        f"-rss_limit_mb={used + MAX_MEGABYTES}",
        "-timeout=20",  # of the wall's clock: for what never ends
        "-max_len=16384",
        "-len_control=0",
        "-print_final_stats=1",
        f"-dict={dictionary}",
        f"-artifact_prefix={corpus}.",
        str(corpus),
    ]
    print(f"inputs kept in {corpus}; {used} MB before the first")
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
