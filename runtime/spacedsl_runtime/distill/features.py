"""The teacher's maps of training steps, computed by one job and kept on disk for the others.

All jobs of a distillation see the same views at the same resolution in the same step, so the maps
of a step are the same for all of them, and what is read back is what was computed, to the bit:
each file has checksums. Evaluation's maps are kept too. The steps that fit into the limit are kept,
from the first on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spacedsl.checksum import checksum
from spacedsl_runtime.checkpoint import tensor_bytes
from spacedsl_runtime.errors import RunError
from spacedsl_runtime.files import write_atomic

Maps = list[Tensor]
"""One per boundary of the teacher, (N, C, H, W) each."""


@dataclass(frozen=True)
class FeatureCache:
    """Files in `folder`, of at most `limit` bytes in all. `used`: the teacher's boundaries that any
    job needs. Where the disk is full, nothing more is kept."""

    folder: Path
    limit: int
    used: tuple[int, ...]

    def load(self, name: str, wanted: Sequence[int]) -> Maps | None:
        """The maps at boundaries `wanted`, None where they are not kept or are damaged."""
        path = self._path(name)
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                tensors = {str(i): file.get_tensor(str(i)) for i in wanted}
                known = file.metadata() or {}
        except (SafetensorError, OSError):
            return None
        intact = all(known.get(name) == check for name, check in _checksums(tensors).items())
        return list(tensors.values()) if intact else None

    def get(self, name: str, wanted: Sequence[int], compute: Callable[[], Maps]) -> Maps:
        """The maps at boundaries `wanted`: read, or computed and kept."""
        found = self.load(name, wanted)
        if found is None:
            maps = compute()
            self.keep(name, maps)
            found = [maps[i] for i in wanted]
        return found

    def keep(self, name: str, maps: Maps) -> None:
        """Keep the maps (all of the teacher's) where there is room."""
        tensors = {str(i): maps[i].cpu().contiguous() for i in self.used}
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._held() + size <= self.limit:
                data = save(tensors, _checksums(tensors))
                write_atomic(self._path(name), lambda file: file.write(data), RunError)
        except (OSError, RunError):  # a full disk: it is a cache
            return

    def _held(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def clear(self) -> None:
        """Remove everything."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


def _checksums(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: checksum(tensor_bytes({name: t})) for name, t in tensors.items()}
