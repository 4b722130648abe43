"""Machines that the OpenSSH client reaches."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from spacedsl.diagnostics import fault
from spacedsl.hosts.bundle import bundle, start_line
from spacedsl.hosts.remote import Remote

SCHEME = "ssh"
FORM = "ssh://USER@HOST[:PORT][/path/to/python3]"
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:%-]*")
"""A user's or a host's name, which must not look like an option."""

OPTIONS = {
    "BatchMode": "yes",  # never ask
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "RequestTTY": "no",
}
"""A connection that is silent for 15 seconds is lost."""


def open_ssh(where: str) -> Remote:
    """The machine at `ssh://USER@HOST[:PORT]`, by the user's own keys and configuration; a path
    after it names the Python there. Raises `SpaceError` where it is not reached."""
    try:
        url = urlsplit(where)
        host, port = url.hostname or "", url.port
    except ValueError:
        host, port = "", None
    user = url.username or ""
    names = [name for name in (user, host) if name or name is host]
    if not all(WORD.fullmatch(name) for name in names) or url.query or url.fragment or url.password:
        raise fault("bad-option", f"{where} is no device", f"write {FORM}")
    options = [word for key, value in OPTIONS.items() for word in ("-o", f"{key}={value}")]
    port_words = ["-p", str(port)] if port else []
    destination = f"{user}@{host}" if user else host
    python = url.path if len(url.path) > 1 else "python3"
    line = start_line(python, len(bundle()))
    return Remote(where, ["ssh", *options, *port_words, "--", destination, line])
