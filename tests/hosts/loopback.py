"""A real sshd on the loopback address, which logs this user in by a key made for the test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PROGRAMS = (SSHD, "ssh", "ssh-keygen")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
NEEDED = "SPACEDSL_REQUIRE_SSH" in os.environ
"""Set where sshd must be there: tests that need it then fail instead of skipping."""

THERE = ("numpy", "numpy.libs", "onnxruntime", "ai_edge_litert", "flatbuffers")
"""What is installed on the machine at the other end, besides Python."""

SERVER = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
"""
CLIENT = """Host *
  IdentityFile {folder}/user
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


@dataclass(frozen=True)
class Loopback:
    """The server and what is in `folder`: `bin`, whose `ssh` knows the key, and `python`."""

    folder: Path
    port: int

    @property
    def where(self) -> str:
        """As `--on` names it."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{self.folder / 'python'}"

    @property
    def path(self) -> str:
        """PATH with the ssh that knows the key."""
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def python(self, before: str = "", code: str = "") -> None:
        """The Python there: it has what `THERE` names and nothing else; `before` is run by the
        shell, `code` by Python before what it is told."""
        packages = self.folder / "packages"
        run = f'exec {sys.executable} -s -S -u -c "{code}$3"'
        lines = ["#!/bin/sh", f"echo $$ > {self.folder}/runner", before]
        lines += [f"export PYTHONPATH={packages} PYTHONDONTWRITEBYTECODE=1", run]
        script = self.folder / "python"
        script.write_text("\n".join(lines) + "\n")
        script.chmod(0o755)

    @property
    def runner(self) -> int:
        """The process of the latest runner, which is alive: a number may be another's by now."""
        found = int((self.folder / "runner").read_text())
        environment = Path(f"/proc/{found}/environ").read_bytes()
        assert str(self.folder).encode() in environment, "the runner has ended"
        return found

    @property
    def connection(self) -> int:
        """The server's process that holds the latest runner's connection."""
        stat = Path(f"/proc/{self.runner}/stat").read_text()
        found = int(stat.rpartition(")")[2].split()[1])
        assert Path(f"/proc/{found}/comm").read_text().startswith("sshd")
        return found


def start(folder: Path) -> tuple[Loopback, subprocess.Popen[bytes]]:
    """The server, once it answers."""
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "sshd_config").write_text(SERVER.format(port=port, folder=folder))
    (folder / "ssh_config").write_text(CLIENT.format(folder=folder))
    (folder / "bin").mkdir()
    ssh = folder / "bin" / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    ssh.chmod(0o755)
    packages = folder / "packages"
    packages.mkdir()
    site = Path(sysconfig.get_paths()["purelib"])
    sites = [site, *(Path(p) for p in sys.path if p.endswith("site-packages"))]
    for name in THERE:
        for found in [p for s in sites for p in (s / name, *s.glob(f"{name}-*.dist-info"))]:
            link = packages / found.name
            if found.exists() and not link.exists():
                link.symlink_to(found)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen(
        [SSHD, "-D", "-f", str(folder / "sshd_config")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    made = Loopback(folder, port)
    made.python()
    return made, server
