"""Which hosts a service may speak to, so that nobody who may name a repository can make it ask its own network.

A host is refused when it is not on the list of allowed ones (where there is a list), when it is written as anything but a name or
a plain address, or when any address that its name stands for is not a public one. A name may stand for something else a moment
later, so what was checked is what must be connected to: `reach` returns the addresses, and git is told to use those
(`ingest.git.Git.reaching`). A proxy that the environment names looks names up itself and is the one that must refuse.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codequarry.errors import BadInput, GitError

if TYPE_CHECKING:
    from codequarry.settings import Settings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = {"https": 443, "ssh": 22}
"""The only port of each protocol: others belong to other services."""

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
_LOCAL_NAMES = re.compile(r"(.*\.)?(localhost|localdomain|local|internal|intranet|lan|home\.arpa)")

# Where clouds answer machines with their credentials; no setting opens these. Link-local ones are refused as such.
_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
_NAT64 = tuple(ipaddress.IPv6Network(prefix) for prefix in ("64:ff9b::/96", "64:ff9b:1::/96"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # IPv4 addresses as they were once written in IPv6


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be reached. Names may be globs: `*` stands for any text, so `*.example.com` for every host below it.

    `hosts`: the only ones; (): every public one. `private`: names and networks (`10.1.0.0/16`) that may be reached although
    they are not public; the names among them are allowed hosts too.
    """

    hosts: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        """Whether the list of allowed hosts has it, or there is none."""
        return not self.hosts or _listed(host, self.hosts) or _listed(host, self.private)

    def lists(self, host: str) -> bool:
        """Whether the host was named by whoever runs the service; without a list none is."""
        return bool(self.hosts) and self.allows(host)


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings hold.

    Raises:
        BadInput: an entry that is neither a name nor a network.
    """
    for entry in (*settings.allowed_hosts, *settings.private_hosts):
        _network(entry)
        if not re.fullmatch(r"[a-z0-9._*:/-]+", entry.lower()):
            raise BadInput(
                f"{entry!r} is no host and no network", hint="like git.example.com, *.example.com, 10.1.0.0/16"
            )
    return Rules(tuple(map(str.lower, settings.allowed_hosts)), tuple(map(str.lower, settings.private_hosts)))


def reach(
    host: str,
    port: int,
    rules: Rules,
    *,
    resolve: Callable[[str, int], Sequence[str]] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The addresses at which the host may be asked, () where a proxy looks them up.

    `resolve` gives the addresses of a name (the system's resolver).

    Raises:
        BadInput: the host may not be asked.
        GitError: it has no address; `retryable`.
    """
    if port not in PORTS.values():
        raise BadInput(
            f"{host}:{port}: a server speaks to the usual ports only.",
            hint="A forge is asked at 443 for https, at 22 for ssh: make it, or a proxy before it, answer there.",
        )
    name, literal = admit(host, rules)
    if literal is not None:
        return (str(literal),)
    if _proxy(port, os.environ if environment is None else environment):
        return ()
    addresses = [_plain(address) for address in (resolve or _addresses)(name, port)]
    if not addresses:
        raise GitError(f"{name} has no address", hint="Check its name.", retryable=True)
    for address in addresses:  # one that is not public is enough: which of them is taken is not ours to say
        _check(name, address, rules, private=_listed(name, rules.private))
    return tuple(dict.fromkeys(map(str, addresses)))


def admit(host: str, rules: Rules) -> tuple[str, IPAddress | None]:
    """The host's name in lower case, and its address where it is written as one. Nothing is looked up.

    Raises:
        BadInput: the host may not be asked, whatever its name stands for.
    """
    name = host.lower().removesuffix(".").strip("[]")
    literal = _literal(name)
    if literal is None and (not _HOST.fullmatch(name) or name.rpartition(".")[2].isdigit()):
        raise BadInput(f"{name[:100]!r} is no name of a host.", hint=_HINT)
    if not rules.allows(name):
        raise BadInput(f"{name} is not among the hosts that this service may ask.", hint=_LISTED)
    private = _listed(name, rules.private)
    if literal is not None:
        _check(name, literal, rules, private=private)
    elif _LOCAL_NAMES.fullmatch(name) and not private:
        raise _refused(name, "a name of this machine or its network")
    return name, literal


_HINT = "Give an address like https://host/org/name."
_LISTED = "The setting allowed_hosts names them (CODEQUARRY_ALLOWED_HOSTS)."
_PRIVATE = "If it is one of yours, name it in the setting private_hosts (CODEQUARRY_PRIVATE_HOSTS)."


def _refused(name: str, why: str) -> BadInput:
    return BadInput(f"{name} is {why}, which this service does not ask.", hint=_PRIVATE)


def _literal(name: str) -> IPAddress | None:
    """The address that a host is written as, None for a name.

    Raises:
        BadInput: it is one written as other programs would read it: 2130706433, 0x7f.1, 127.1, 0177.0.0.1.
    """
    if "%" in name:
        raise BadInput(f"{name[:100]!r} names a link of this machine.", hint=_HINT)
    try:
        return _plain(name)
    except ValueError:
        pass
    if _NUMBERS.fullmatch(name):
        raise BadInput(f"{name[:100]!r} is no plain address.", hint="Write it as four numbers, or better its name.")
    return None


def _plain(address: str) -> IPAddress:
    return ipaddress.ip_address(address.partition("%")[0])


def _check(name: str, address: IPAddress, rules: Rules, *, private: bool) -> None:
    """Whether the address may be asked, and every other one that it stands for.

    Raises:
        BadInput: it may not.
    """
    for meant in (address, *_within(address)):
        shown = name if name == str(meant) else f"{name} ({meant})"
        if meant in _METADATA or meant.is_link_local or meant.is_multicast or meant.is_unspecified:
            raise BadInput(f"{shown} is an address that no service asks.", hint=_HINT)
        if is_public(meant):
            continue
        networks = [network for entry in rules.private if (network := _network(entry)) is not None]
        if not private and not any(meant in network for network in networks if network.version == meant.version):
            raise _refused(shown, "not a public address")


def is_public(address: IPAddress) -> bool:
    """Whether an address belongs to the internet: not to this machine, a private network, a carrier's, or to nobody."""
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)


def _within(address: IPAddress) -> list[IPAddress]:
    """The IPv4 addresses that packets to an IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[IPAddress] = [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]
    found += address.teredo or ()
    if address in _COMPATIBLE or any(address in prefix for prefix in _NAT64):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return found


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that an entry of the settings is, None for a name.

    Raises:
        BadInput: it is neither.
    """
    if "/" not in entry:
        try:
            return ipaddress.ip_network(entry)
        except ValueError:
            return None
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise BadInput(f"{entry!r} is no network: {error}", hint="like 10.1.0.0/16") from error


def _listed(host: str, entries: Sequence[str]) -> bool:
    """Whether one of the entries is the host, or a glob that matches all of it."""
    return any(
        re.fullmatch(re.escape(entry).replace(r"\*", ".*"), host) is not None for entry in entries if "/" not in entry
    )


def _proxy(port: int, environment: Mapping[str, str]) -> bool:
    """Whether https goes through a proxy; ssh does not."""
    return port == PORTS["https"] and any(
        environment.get(name) for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    )


def _addresses(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError) as error:
        raise GitError(
            f"could not resolve {name}: {error}",
            hint="Check the address and the network, then try again.",
            retryable=True,
        ) from error
    return [str(address[0]) for *_, address in found]
