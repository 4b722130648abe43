"""Whatever a person hands over, recognised and read: codes, names, settings, block strings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spacedsl.bridges import attentivenas, config, ofa
from spacedsl.bridges.benchmarks import benchmark_of, benchmark_subnet
from spacedsl.bridges.model_json import model_of
from spacedsl.bridges.timm import read_stacks
from spacedsl.bridges.timm_network import Frame, network
from spacedsl.diagnostics import fault
from spacedsl.files import read_bounded
from spacedsl.ir.identity import space_identity
from spacedsl.ir.space import Space
from spacedsl.ir.subnet import Subnet
from spacedsl.lang.codes import is_model_code, is_space_code
from spacedsl.lang.library import decode
from spacedsl.text import Source

Kind = Literal["code", "ofa", "attentivenas", "timm", "json", "benchmark"]
MAX_BYTES = 4 << 20
BLOCK_STRING = re.compile(r"[a-z]+_(?:[a-z]+[0-9.]+_?)+")


@dataclass(frozen=True, slots=True)
class Given:
    """What was handed over: its text, the file's item asked for ("" for none), and whether it was
    a file."""

    source: Source
    item: str
    is_file: bool

    @property
    def suffix(self) -> str:
        return Path(self.source.name).suffix if self.is_file else ""


def given(text: str) -> Given:
    """A path, PATH#ITEM, or the thing itself. Raises `SpaceError`."""
    where, _, item = text.rpartition("#") if "#" in text else (text, "", "")
    for path, name in ((text, ""), (where, item)):
        if _is_file(path):
            return Given(decode(read_bounded(Path(path), MAX_BYTES), path), name, True)
    if where.endswith((".json", ".yml", ".yaml", ".txt")):
        read_bounded(Path(where), MAX_BYTES)  # says why it cannot be read
    return Given(Source("<argument>", text), "", False)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than the file system takes, or no name at all
        return False


def recognised(found: Given) -> Kind:
    """What this is, from its form. Raises `SpaceError`."""
    text = found.source.text.strip()
    if is_model_code(text) or is_space_code(text):
        return "code"
    if benchmark_of(text) is not None:
        return "benchmark"
    if found.suffix in (".yml", ".yaml"):
        return "attentivenas"
    if text.startswith("{"):
        return _json_kind(found.source)
    if ofa.is_id(text):
        return "ofa"
    if text.startswith(("[", "#")) or BLOCK_STRING.match(text):
        return "timm"
    help = "e.g. onnxw-151122-023231, or d1#1_k3#3_w16#16_e0#1_r160; --from says what it is"
    if text.isidentifier():
        help = f"a network of timm is `timm:{text[:80]}`; pages have their names without `import`"
    raise fault("bad-code", f"{text[:80]} is neither a space's code nor a model's", help)


def _json_kind(source: Source) -> Kind:
    table = config.read_json(source).table()
    if "format" in table:
        return "json"
    return "ofa" if "e" in table or "ks" in table else "attentivenas"


def read(
    found: Given, kind: Kind, space: Space | None, frame: Frame, name: str, *, at: int | None
) -> Space | Subnet:
    """The item of anything but an authors' code. `space`: what a setting is of, where it is said;
    `frame`: what block strings do not say; `at`: a resolution in pixels. Raises `SpaceError`."""
    source = found.source
    if kind == "timm":
        return network(read_stacks(source), frame, name)
    if kind == "benchmark":
        return benchmark_subnet(source.text.strip(), space, name)
    if kind == "json":
        return model_of(source.text, source.name)
    if kind == "ofa":
        if not source.text.lstrip().startswith("{"):
            return ofa.space_of_id(source.text.strip(), name)
        return ofa.setting_subnet(config.read_json(source), space, at, name)
    return _attentivenas(found, space, name)


def _attentivenas(found: Given, space: Space | None, name: str) -> Space | Subnet:
    is_json = found.source.text.lstrip().startswith("{")
    entry = config.read_json(found.source) if is_json else config.read_yaml(found.source)
    table = entry.table()
    if found.item:
        models = entry.need("pareto_models").table()
        if found.item not in models:
            known = [key for key, model in models.items() if isinstance(model.value, dict)]
            message = f"{found.source.name} has no model `{found.item}`"
            raise fault("no-item", message, f"it has: {', '.join(known)}")
        return attentivenas.setting_subnet(models[found.item], _of(entry, space), name)
    if "supernet_config" in table or "first_conv" in table:
        return attentivenas.supernet_space(entry, name)
    return attentivenas.setting_subnet(entry, _of(entry, space), name)


def _of(config_entry: config.Entry, space: Space | None) -> Space:
    """What a setting is of: as asked, else the library's space. A file that says another one is to
    be imported first."""
    if space is not None:
        return space
    known = ofa.baseline("attentivenas")
    if "supernet_config" in config_entry.table():
        own = attentivenas.supernet_space(config_entry, known.name)
        if space_identity(own) != space_identity(known):
            help = "import the file without #, then name that page: --of PAGE"
            message = f"{config_entry.path or 'the file'} says another space than AttentiveNAS'"
            raise fault("missing-option", message, help)
    return known
