"""API keys: how they are made and read, what they open, and where a service without any may be reached."""

from __future__ import annotations

import hashlib
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import BadInput, Denied, SettingsError
from codequarry.service.gate import OPEN, Rate
from codequarry.service.security import ANYONE, SCOPES, Keys, check_bind, check_origin, is_loopback, new_key, read_keys

SCOPE_SETS = st.sets(st.sampled_from(sorted(SCOPES)), min_size=1)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,20}", fullmatch=True), SCOPE_SETS, st.text())
def test_a_key_opens_with_its_entry_and_nothing_else_does(name, scopes, other):
    key, entry = new_key(name, scopes)
    keys = read_keys([entry, new_key("other", ["read"])[1]])
    caller = keys.find(key).caller
    assert (caller.id, caller.scopes) == (name, scopes)
    assert keys.find(other) is None
    assert keys.find(key + " ") is None
    assert key not in entry
    assert key.rpartition("_")[2] not in repr(keys.keys)


def test_an_entry_is_id_sha256_and_scopes():
    key, entry = new_key("ci", ["search", "read"])
    assert entry == f"ci:{hashlib.sha256(key.encode()).hexdigest()}:search+read"
    assert re.fullmatch(r"cq_ci_[A-Za-z0-9]{43}", key)
    assert new_key("ci", ["search"])[0] != new_key("ci", ["search"])[0]


def test_two_keys_of_one_id_are_both_taken_while_they_are_exchanged():
    (old, first), (new, second) = new_key("ci", ["search"]), new_key("ci", ["search"])
    keys = read_keys([first, second])
    assert keys.find(old).caller.id == keys.find(new).caller.id == "ci"


@given(st.one_of(st.text(), st.from_regex(r"[a-z]*:[0-9a-f]{0,70}:[a-z+]*(:[a-z]*)*")))
def test_what_is_no_entry_is_refused_and_not_repeated(entry):
    try:
        read_keys([entry])
    except SettingsError as error:
        assert len(entry) < 12 or entry not in f"{error.message} {error.hint}"
    else:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*:[0-9a-fA-F]{64}:[a-z+]+(:.*)?", entry, re.S)


def test_scopes_and_names_that_do_not_exist_are_refused():
    for name, scopes, groups in (("a b", ["read"], []), ("a", ["write"], []), ("a", [], []), ("a", ["read"], ["x+y"])):
        with pytest.raises(BadInput):
            new_key(name, scopes, groups)


def test_a_key_sees_its_groups_and_one_of_its_own_and_administrators_see_all():
    key, entry = new_key("kim", ["search"], ["staff", "web"])
    assert read_keys([entry]).find(key).caller.access == ("key:kim", "staff", "web")
    key, entry = new_key("ops", ["admin"])
    assert read_keys([entry]).find(key).caller.access is None
    assert ANYONE.access is None


# ---------------------------------------------------------------------------------------------------------------- routes


def operations(running):
    """Every route of the application: method, a path that fits, and the scope that the document says it needs."""
    document = running.app.openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scopes = [scope for one in operation.get("security", ()) for names in one.values() for scope in names]
            yield method.upper(), re.sub(r"\{\w+\}", "example.org/acme/shop", path), scopes


def test_every_route_is_open_or_has_one_scope(keyed):
    listed = list(operations(keyed))
    assert len(listed) >= 15
    for method, path, scopes in listed:
        if path.startswith("/v1/webhooks/"):
            continue  # a delivery proves itself
        assert len(scopes) == (0 if path in OPEN else 1), (method, path)


def test_every_route_needs_a_key_and_its_scope(keyed):
    """Also with arguments that do not fit: whoever may not ask learns nothing of how one would."""
    tried = 0
    for method, path, scopes in [*operations(keyed), ("GET", "/metrics", ["read"])]:
        if not scopes:
            continue
        body = {} if method in ("POST", "PATCH") else None
        assert keyed.ask(method, path, body).status == 401
        assert keyed.ask(method, path, body, key="cq_ops_wrong").status == 401
        for name in SCOPES:
            status = keyed.ask(method, path, body, key=keyed.keys[name]).status
            assert (status == 403) == (name not in scopes), (method, path, name, status)
            tried += 1
        assert keyed.ask(method, path, body, key=keyed.keys["ops"]).status not in (401, 403)
    assert tried > 50


def test_what_is_no_route_needs_a_key_too(keyed):
    assert keyed.ask("GET", "/v1/nothing").status == 401
    assert keyed.ask("GET", "/").status == 401
    assert keyed.ask("GET", "/v1/nothing", key=keyed.keys["read"]).status == 404


def test_open_paths_say_nothing_of_what_is_indexed(keyed):
    for path in OPEN:
        reply = keyed.ask("GET", path)
        assert reply.status == 200
        assert b"acme/vault" not in reply.body
    assert all(part["says"] == "" for part in keyed.ask("GET", "/v1/ready").json["parts"])
    assert any(part["says"] for part in keyed.ask("GET", "/v1/ready", key=keyed.keys["read"]).json["parts"])


def test_a_key_goes_into_either_header(keyed):
    key = keyed.keys["read"]
    assert keyed.ask("GET", "/v1/repositories", headers={"X-Api-Key": key}).status == 200
    assert keyed.ask("GET", "/v1/repositories", headers={"Authorization": f"bearer {key}"}).status == 200
    assert keyed.ask("GET", "/v1/repositories", headers={"Authorization": f"Basic {key}"}).status == 401
    reply = keyed.ask("GET", "/v1/repositories")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert reply.json["code"] == "no_key"


# -------------------------------------------------------------------------------------------------------------- browsers


def test_without_keys_only_this_machine_and_no_other_site_is_answered(service):
    for headers in (
        {"Host": "evil.example"},
        {"Host": "evil.example:8765"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        reply = service.ask("GET", "/v1/repositories", headers=headers)
        assert reply.status == 403, headers
    for headers in ({"Host": "localhost"}, {"Host": "127.0.0.1:1"}, {"Host": "[::1]:80"}):
        assert service.ask("GET", "/v1/repositories", headers=headers).status == 200, headers
    own = {"Host": "localhost:80", "Origin": "http://localhost:80"}
    assert service.ask("GET", "/v1/repositories", headers=own).status == 200


def test_a_body_that_a_form_can_send_is_not_read(service):
    reply = service.ask("POST", "/v1/search", raw=b'{"query": "x"}', headers={"Content-Type": "text/plain"})
    assert reply.status == 400


@given(st.text(), st.text())
def test_only_names_of_this_machine_are_answered(host, origin):
    try:
        check_origin({"host": host, "origin": origin}, only_local=True)
    except Denied:
        return
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    assert name.lower() in ("localhost", "127.0.0.1", "[::1]") or is_loopback(name)
    assert origin.partition("://")[2] == host


# ------------------------------------------------------------------------------------------------------------- listening


def test_without_keys_it_listens_on_this_machine_alone():
    none, some = Keys([]), read_keys([new_key("a", ["read"])[1]])
    for host in ("127.0.0.1", "localhost", "::1", "127.8.0.1"):
        check_bind(host, none, allow_anonymous=False)
    for host in ("0.0.0.0", "::", "10.0.0.1", "search.internal", ""):
        with pytest.raises(SettingsError) as refused:
            check_bind(host, none, allow_anonymous=False)
        assert "--allow-anonymous" in refused.value.hint
        check_bind(host, none, allow_anonymous=True)
        check_bind(host, some, allow_anonymous=False)


def test_the_command_refuses_to_listen_elsewhere_without_keys(command):
    done = command("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "codequarry keys new" in done.stderr


def test_a_port_that_is_taken_is_told(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("serve", "--port", str(port))
    assert done.returncode == 4
    assert f"127.0.0.1:{port}" in done.stderr


# -------------------------------------------------------------------------------------------------------- codequarry keys


def test_the_command_makes_a_key_that_its_entry_opens(command):
    made = command.json("keys", "new", "ci", "--scope", "search", "--scope", "webhook", "--group", "web")
    caller = read_keys([made["entry"]]).find(made["key"]).caller
    assert (caller.scopes, caller.access) == ({"search", "webhook"}, ("key:ci", "web"))
    listed = command("keys", "list", "--json", env={"CODEQUARRY_API_KEYS": made["entry"]})
    assert made["key"] not in listed.stdout
    assert '"ci"' in listed.stdout
    assert made["entry"].split(":")[1] not in listed.stdout
    assert command("keys", "list").returncode == 1
    assert command("keys", "new").returncode == 2


def test_a_wrong_entry_stops_the_command_without_showing_it(command):
    done = command("serve", env={"CODEQUARRY_API_KEYS": "ci:abc123secret:search"})
    assert done.returncode == 2
    assert "abc123secret" not in done.stderr
    assert "entry 1" in done.stderr


# ------------------------------------------------------------------------------------------------------------------ rate


@given(st.integers(1, 600), st.lists(st.floats(0, 5), max_size=200))
def test_nobody_asks_more_often_than_the_rate(per_minute, pauses):
    rate, now, allowed = Rate(per_minute), 1000.0, 0
    for pause in pauses:
        now += pause
        allowed += rate.take("a", now) == 0
    most = max(per_minute / 6, 1.0) + per_minute / 60 * (now - 1000.0)
    assert allowed <= most + 1e-6


@given(st.integers(1, 600))
def test_whoever_waits_as_long_as_told_is_let_in_and_others_are_not_kept_waiting(per_minute):
    rate, now = Rate(per_minute), 1000.0
    while (wait_s := rate.take("a", now)) == 0:
        pass
    assert rate.take("b", now) == 0
    assert rate.take("a", now + wait_s) == 0


def test_no_limit_is_no_limit():
    rate = Rate(0)
    assert all(rate.take("a", 0.0) == 0 for _ in range(1000))
