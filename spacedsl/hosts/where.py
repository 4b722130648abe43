"""From what `--on` says to the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spacedsl.diagnostics import fault
from spacedsl.hosts import adb, ssh
from spacedsl.hosts.host import HERE, Host

FORMS = (ssh.FORM, adb.FORM)


@contextmanager
def host_at(where: str | None) -> Iterator[Host]:
    """The machine at `where`, which None is this one. Raises `SpaceError` where there is none."""
    if where is None:
        yield HERE
        return
    scheme = where.partition(":")[0]
    if scheme == ssh.SCHEME:
        remote = ssh.open_ssh(where)
        try:
            yield remote
        finally:
            remote.close()
    elif scheme == adb.SCHEME:
        with adb.open_adb(where) as device:
            yield device
    else:
        raise fault("bad-option", f"--on {where} is no device", f"write {' or '.join(FORMS)}")
