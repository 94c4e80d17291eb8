"""Addresses of git repositories: taken apart, checked, and turned into an identity.

Nothing that may be a secret is in what comes out, but in `Address.credential`, and nothing that git would take for an option or a
program to run comes out at all.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from typing import NamedTuple

from codequarry.errors import BadInput
from codequarry.ingest.failures import scrub
from codequarry.ingest.git import Credential, Profile


class Address(NamedTuple):
    """An address of git, taken apart. `url` holds no credentials and is what git is given."""

    scheme: str  # https, http, ssh or file
    host: str  # lower case; "" for file
    port: int | None
    url: str
    identity: str
    web: str
    credential: Credential | None = None


# Hosts that answer for another name, so that port 443 can be used for ssh.
_SAME_HOST = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "www.github.com": "github.com",
}
_FORGES = frozenset("github gitlab bitbucket codeberg gitea forgejo".split())
_USUAL_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP = re.compile(r"(?:(?P<user>[^@/:\[\]]+)@)?(?P<host>\[[^\]/]+\]|[^@/:\[\]]+):(?P<path>.+)", re.DOTALL)


def parse_address(spec: str) -> Address | None:
    """The address in `spec`, None when it is a path.

    Raises:
        BadInput: it looks like an address, and is none that can be used.
    """
    shown = _unspoken(spec)
    if not spec or any(ord(character) < 32 or ord(character) == 127 for character in spec):
        raise BadInput(
            f"{shown!r} is no path and no address.", hint="Give a folder, or an address like https://host/org/name."
        )
    if spec.startswith("-"):
        raise BadInput(f"{shown!r} begins with a dash.", hint="For a folder of that name write ./ before it.")
    if "://" not in spec:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", spec):
            raise BadInput(f"{shown!r} asks git to run a program as transport, which is never done.", hint=_SCHEMES)
        match = _SCP.fullmatch(spec)
        if match is None or os.path.lexists(spec):
            return None
        host, _, port = match["host"].strip("[]").partition(":")
        return _address("ssh", host, int(port) if port.isdigit() else None, match["path"], url=spec, shown=shown)
    parts = urllib.parse.urlsplit(spec)
    scheme = {"git+ssh": "ssh", "ssh+git": "ssh"}.get(parts.scheme, parts.scheme)
    if scheme == "file":
        path = urllib.parse.unquote(parts.path, errors="surrogateescape")
        if parts.netloc not in ("", "localhost") or not path.startswith("/"):
            raise BadInput(f"{shown!r} is no file address.", hint="Write file:///absolute/path.")
        path = os.path.realpath(path)
        return Address("file", "", None, f"file://{path}", f"local{path}", "")
    if scheme not in _USUAL_PORTS:
        raise BadInput(f"{shown!r}: {scheme}:// cannot be used.", hint=_SCHEMES)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadInput(f"{shown!r} has no readable host and port.", hint=_SCHEMES) from None
    if parts.query or parts.fragment:
        raise BadInput(
            f"{shown.split('?')[0].split('#')[0]!r}: an address of a repository has no ? and no #.", hint=_SCHEMES
        )
    user = urllib.parse.unquote(parts.username or "")
    site = f"{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    credential = None
    if scheme == "ssh":
        site = f"{user}@{site}" if user else site
    elif user or parts.password:
        password = None if parts.password is None else urllib.parse.unquote(parts.password)
        credential = Credential(f"{scheme}://{site}", user, password)
    address = _address(scheme, host, port, parts.path, url=f"{scheme}://{site}{parts.path}", shown=shown)
    return address._replace(credential=credential)


_SCHEMES = "Use https://host/org/name, ssh://git@host/org/name, git@host:org/name, file:///path, or a path."


def _address(scheme: str, host: str, port: int | None, path: str, *, url: str, shown: str) -> Address:
    host = host.lower()
    plain = urllib.parse.unquote(path, errors="surrogateescape").strip("/").removesuffix(".git").rstrip("/")
    parts = plain.split("/")
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|[0-9a-f:]+", host):
        raise BadInput(f"{shown!r} has no host that could be asked.", hint=_SCHEMES)
    if not plain or any(part in ("", ".", "..") for part in parts) or re.search(r"[\x00-\x1f\x7f]", plain):
        raise BadInput(f"{shown!r} names no repository on {host}.", hint=_SCHEMES)
    if parts[0].startswith("-"):
        raise BadInput(f"{shown!r}: the path begins with a dash.", hint=_SCHEMES)
    same = _SAME_HOST.get(host, host)
    if same != host or port == _USUAL_PORTS[scheme]:
        port = None
    identity = f"{same}:{port}/{plain}" if port else f"{same}/{plain}"
    web = ""
    if not _FORGES.isdisjoint(same.split(".")):
        at = f":{port}" if port and scheme != "ssh" else ""
        web = f"{'http' if scheme == 'http' else 'https'}://{same}{at}/{urllib.parse.quote(plain, errors='surrogateescape')}"
    return Address(scheme, host, port, url, identity, web)


def _unspoken(spec: str) -> str:
    """The spec for messages: whatever may be a credential is left out, also in an address that cannot be read."""
    return re.sub(r"://.*@", "://***@", scrub(spec), flags=re.DOTALL)[:300]


def check_allowed(address: Address, profile: Profile) -> None:
    """Whether the profile may speak to that address.

    Raises:
        BadInput: it may not: another protocol, an unusual port, or credentials in the address.
    """
    if profile == "local":
        return
    if address.scheme not in ("https", "ssh"):
        raise BadInput(f"A server takes no {address.scheme}:// address.", hint="Give an https or ssh address.")
    if address.port not in (None, 443 if address.scheme == "https" else 22):
        raise BadInput(
            f"{address.identity}: a server speaks to the usual ports only.",
            hint="A forge is asked at 443 for https, at 22 for ssh: make it, or a proxy before it, answer there.",
        )
    if address.credential:
        raise BadInput(
            f"{address.identity}: an address given to a server holds no user name and password.", hint=_SCHEMES
        )
