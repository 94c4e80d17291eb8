"""Nobody who may name a repository makes the service ask its own network."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import BadInput, GitError
from codequarry.ingest import remote, repos
from codequarry.ingest.git import Git, Pinned
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.ingest.network import Rules, is_public, reach, rules_of
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Repository, Source

OPEN = Rules()
PUBLIC = "140.82.121.3"


def names(**table):
    """A resolver that knows these names, with `_` for a dot."""
    known = {name.replace("_", "."): list(addresses) for name, addresses in table.items()}
    asked = []

    def resolve(name, port):
        asked.append(name)
        return known[name]

    resolve.asked = asked
    return resolve


def ask(host, rules=OPEN, port=443, **options):
    options.setdefault("environment", {})
    return reach(host, port, rules, **options)


NOT_PUBLIC = """
    127.0.0.1 127.8.9.10 0.0.0.0 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 169.254.1.1 169.254.169.254
    100.64.0.1 100.127.255.255 100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.250 240.0.0.1 255.255.255.255
    ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fd20:ce::254 fec0::1 ff02::1 2001:db8::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1 ::127.0.0.1 ::7f00:1
    64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a9fe:a9fe:: 2001:0:7f00:1::
""".split()

WRITTEN_OTHERWISE = """
    2130706433 0x7f000001 0x7f.0.0.1 0x7f.1 017700000001 0177.0.0.1 0177.1 127.1 127.0.1 10.1 3232235521 2852039166
    0xa9fea9fe 0xA9FEA9FE 0xa9.0xfe.0xa9.0xfe 0251.0376.0251.0376 169.254.43518 0 0x 00000000177.0.0.1 127.0.0.01 134744072
    1.2.3.4.5 256.1.1.1 999 1.2.3 127.0.0.1.
""".split()


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_as_it_stands_and_behind_a_name(address):
    for host in {address, f"[{address}]" if ":" in address else address}:
        with pytest.raises(BadInput):
            ask(host)
    with pytest.raises(BadInput, match=r"^git\.example\.com"):
        ask("git.example.com", resolve=names(git_example_com=[address]))


@pytest.mark.parametrize("host", WRITTEN_OTHERWISE)
def test_an_address_that_is_written_in_another_way_is_refused_and_never_looked_up(host):
    resolve = names()
    with pytest.raises(BadInput):
        ask(host, resolve=resolve)
    assert resolve.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "x.lan",
        "x.home.arpa",
    ],
)
def test_a_name_of_this_machine_or_its_network_is_refused_before_it_is_looked_up(host):
    resolve = names()
    with pytest.raises(BadInput):
        ask(host, resolve=resolve)
    assert resolve.asked == []


@pytest.mark.parametrize(
    "host", ["", ".", "-a", "a..b", "a b", "a/b", "a@b", "a:b", "a\nb", "é.example", "a" * 254, "x.1", "[", "%41"]
)
def test_what_is_no_name_of_a_host_is_refused(host):
    with pytest.raises(BadInput):
        ask(host, resolve=names())


def test_one_address_that_is_not_public_is_enough():
    with pytest.raises(BadInput):
        ask("git.example.com", resolve=names(git_example_com=[PUBLIC, "10.0.0.1"]))
    found = ask("git.example.com", resolve=names(git_example_com=[PUBLIC, "2606:50c0:8000::154", PUBLIC]))
    assert found == (PUBLIC, "2606:50c0:8000::154")


def test_a_name_without_an_address_may_have_one_later():
    with pytest.raises(GitError) as raised:
        ask("git.example.com", resolve=lambda name, port: [])
    assert raised.value.retryable
    with pytest.raises(GitError) as raised:
        ask("no-such-host.invalid")
    assert raised.value.retryable


@pytest.mark.parametrize("port", [22, 443])
def test_the_usual_ports_are_allowed(port):
    assert ask(PUBLIC, port=port) == (PUBLIC,)


@pytest.mark.parametrize("port", [0, 21, 80, 6379, 8443, 9200, 65535])
def test_other_ports_are_refused(port):
    with pytest.raises(BadInput, match="usual ports"):
        ask(PUBLIC, port=port)


def test_with_a_list_only_its_hosts_are_asked():
    rules = Rules(hosts=("github.com", "*.example.com"))
    resolve = names(github_com=[PUBLIC], a_example_com=[PUBLIC], a_b_example_com=[PUBLIC])
    for host in ("github.com", "GitHub.com", "a.example.com", "a.b.example.com"):
        assert ask(host, rules, resolve=resolve) == (PUBLIC,)
        assert rules.lists(host.lower())
    for host in (
        "example.com",
        "gist.github.com",
        "github.com.evil.org",
        "a.example.com.evil.org",
        "xgithub.com",
        PUBLIC,
    ):
        with pytest.raises(BadInput, match="not among the hosts"):
            ask(host, rules, resolve=resolve)
        assert not rules.lists(host)
    with pytest.raises(BadInput, match="not a public address"):
        ask("github.com", rules, resolve=names(github_com=["10.0.0.1"]))


def test_a_host_of_ones_own_is_asked_when_it_is_named_and_metadata_never():
    for rules in (
        Rules(private=("git.corp.example",)),
        Rules(private=("10.0.0.0/8",)),
        Rules(private=("10.0.0.7", "fd00::/8")),
    ):
        assert ask("git.corp.example", rules, resolve=names(git_corp_example=["10.0.0.7"])) == ("10.0.0.7",)
    everything = Rules(hosts=("*",), private=("*", "0.0.0.0/0", "::/0"))
    for address in (
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "168.63.129.16",
        "100.100.100.200",
        "0.0.0.0",
    ):
        with pytest.raises(BadInput, match="no service asks"):
            ask("git.corp.example", everything, resolve=names(git_corp_example=[address]))
    rules = Rules(hosts=("github.com",), private=("git.corp.example",))
    assert ask("git.corp.example", rules, resolve=names(git_corp_example=["10.0.0.7"])) == ("10.0.0.7",)
    assert not OPEN.lists("github.com")  # without a list nobody has named it


def test_a_proxy_looks_names_up_itself_and_gets_no_addresses():
    proxy = {"https_proxy": "http://proxy.corp.example:3128"}
    assert ask("git.example.com", resolve=names(), environment=proxy) == ()
    for host in ("127.0.0.1", "localhost", "0x7f.1"):
        with pytest.raises(BadInput):
            ask(host, resolve=names(), environment=proxy)
    assert ask("git.example.com", port=22, resolve=names(git_example_com=[PUBLIC]), environment=proxy) == (PUBLIC,)


@given(st.integers(0, 2**32 - 1))
def test_no_address_gets_by_in_the_clothes_of_ipv6(number):
    address = ipaddress.IPv4Address(number)
    clothes = [
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"::{address}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ]
    for worn in clothes:
        try:
            found = ask("git.example.com", resolve=names(git_example_com=[worn]))
        except BadInput:
            continue
        assert is_public(address), worn
        assert found == (str(ipaddress.ip_address(worn)),)


@given(st.integers(0, 2**32 - 1))
def test_every_number_that_a_resolver_would_take_for_an_address_is_refused(number):
    bytes_of = number.to_bytes(4, "big")
    for host in (
        str(number),
        hex(number),
        f"0{number:o}",
        ".".join(hex(byte) for byte in bytes_of),
        f"{bytes_of[0]}.{number & 0xFFFFFF}",
    ):
        if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", host):
            continue
        assert socket.inet_aton(host)
        with pytest.raises(BadInput):
            ask(host, resolve=names())


def test_the_settings_make_the_rules_and_what_is_no_host_is_an_error(tmp_path):
    settings = Settings(tmp_path, allowed_hosts=("GitHub.com",), private_hosts=("10.0.0.0/8", "*.corp.example"))
    assert rules_of(settings) == Rules(("github.com",), ("10.0.0.0/8", "*.corp.example"))
    for wrong in ("https://github.com", "10.0.0.0/99", "a b", "10.0.0.1/8"):
        with pytest.raises(BadInput):
            rules_of(Settings(tmp_path, private_hosts=(wrong,)))


# ---------------------------------------------------------------------------------------------------------------- with git


class Listening:
    """A server that writes down the first bytes of whoever connects, and hangs up."""

    def __init__(self, address="127.0.0.1"):
        self.heard = []
        self._server = socket.create_server((address, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self.heard.append(connection.recv(4096))

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def listening(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    server = Listening()
    yield server
    server.close()


HOSTILE = [
    f"https://{host}/org/name"
    for host in [
        *(f"[{one}]" if ":" in one else one for one in NOT_PUBLIC),
        *WRITTEN_OTHERWISE,
        "localhost",
        "x.internal",
    ]
] + [f"ssh://git@{host}/org/name" for host in ("127.0.0.1", "10.0.0.1", "localhost", "2130706433", "[::1]")]


@pytest.mark.parametrize("url", HOSTILE)
def test_git_asks_no_address_of_ours_and_none_can_be_registered(url, tmp_path, monkeypatch):
    log = tmp_path / "asked"
    git = tmp_path / "git"
    git.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexit 1\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for attempt in (
        lambda: remote.look(url, "server"),
        lambda: repos.trees(url, mirrors=tmp_path, profile="server"),
        lambda: describe(url, Settings(tmp_path)),
    ):
        with pytest.raises(BadInput):
            attempt()
    assert not log.exists()


def test_git_of_a_server_is_told_the_addresses_that_were_checked_and_asks_nobody_again(listening):
    # The name stands for nothing here, so it can only come from us; the port is free to choose below `reaching`.
    git = Git("server", pinned=Pinned("git.example.com", 443, ("127.0.0.1",)))
    setting = f"http.curloptResolve=git.example.com:{listening.port}:127.0.0.1"
    assert git._resolved() == [setting.replace(f":{listening.port}:", ":443:")]
    url = f"https://git.example.com:{listening.port}/org/name"
    with pytest.raises(GitError):
        git.run(("-c", setting, "ls-remote", "--", url), network=True)
    assert b"git.example.com" in listening.heard[0]  # what TLS says first has the name that it wants to speak to


def test_ssh_of_a_server_connects_to_what_was_checked_and_knows_it_by_its_name():
    git = Git("server", pinned=Pinned("git.example.com", 22, (PUBLIC, "2606:50c0:8000::154")))
    command = git._environment(None)["GIT_SSH_COMMAND"]
    assert command.endswith(f" -oHostName={PUBLIC} -oHostKeyAlias=git.example.com")
    assert (
        "-oHostName"
        not in Git("server", pinned=Pinned("git.example.com", 443, (PUBLIC,)))._environment(None)["GIT_SSH_COMMAND"]
    )


def test_git_of_a_server_speaks_to_nobody_before_the_host_was_checked():
    with pytest.raises(AssertionError, match="checked hosts only"):
        Git("server").run(("ls-remote", "--", "https://git.example.com/org/name"), network=True)


def test_git_of_a_person_is_not_restricted(listening):
    git = Git("local").reaching("http", "127.0.0.1")
    assert git.pinned is None
    with pytest.raises(GitError):
        git.run(("ls-remote", "--", f"http://127.0.0.1:{listening.port}/org/name"), network=True)
    assert listening.heard[0].startswith(b"GET /org/name/info/refs")


def test_a_job_of_a_host_that_may_not_be_asked_fails_with_what_to_do(tmp_path):
    settings = Settings(tmp_path, store=str(tmp_path / "index"), model="hash:64")
    ledger = open_ledger(settings.store, settings)
    ledger.register(Repository("git.corp.example/org/name", "https://10.0.0.7/org/name"))
    source = Source("git.corp.example/org/name", "")
    ledger.want(source)
    store = open_store(settings.store, create=True)
    Runner(store, ledger, LocalQueue(), settings).run_one(source)
    job = ledger.job(source)
    assert (job.state, "10.0.0.7 is not a public address" in job.error) == ("failed", True)
    assert "private_hosts" in job.hint
    store.close()
    ledger.close()
