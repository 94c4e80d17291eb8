"""Keys that end, that are taken back while the service runs, and of which one knows when they were used."""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from codequarry.errors import BadInput, SettingsError
from codequarry.service import keyring
from codequarry.service.keyring import Keyring, read_used
from codequarry.service.security import new_key, read_keys
from codequarry.settings import Settings


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys"


def ring(tmp_path, file, clock, **more):
    return Keyring(Settings(tmp_path / "data", api_keys_file=str(file), **more), clock=clock)


def lets_in(keys, key):
    found = keys.find(key)
    return found is not None and keys.caller(found) is not None


def rewrite(file, *lines):
    """Replaces the file as tools do, by another one; its stamp differs for certain."""
    beside = file.with_suffix(".new")
    beside.write_text("".join(f"{line}\n" for line in lines))
    beside.replace(file)


# ---------------------------------------------------------------------------------------------------------------- their end


def test_a_key_is_taken_on_its_last_day_and_not_on_the_next():
    until = date(2030, 2, 28)
    _, entry = new_key("ci", ["search"], (), until)
    assert entry.endswith(":search::2030-02-28")
    (key,) = read_keys([entry]).keys
    last = datetime(2030, 2, 28, 23, 59, 59, tzinfo=UTC).timestamp()
    assert not key.has_ended(last)
    assert key.has_ended(last + 1)
    (endless,) = read_keys([new_key("ci", ["search"], ["web"])[1]]).keys
    assert not endless.has_ended(1e11)


@pytest.mark.parametrize("until", ["tomorrow", "2030-13-01", "1893456000", "2030-01-01T00", " 2030-01-01"])
def test_an_end_that_is_no_day_is_refused(until):
    _, entry = new_key("ci", ["search"])
    with pytest.raises(SettingsError, match="ends on no day"):
        read_keys([f"{entry}::{until}"])


def test_whoever_asks_with_a_key_that_has_ended_is_told_when(start):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    key, entry = new_key("ci", ["search"], (), yesterday)
    service = start(api_keys=(entry,))
    reply = service.ask("POST", "/v1/search", {"query": "retry"}, key=key)
    assert reply.status == 401
    assert f"'ci' was good until {yesterday}" in reply.json["detail"]
    other = service.ask("POST", "/v1/search", {"query": "retry"}, key=key + "x")
    assert other.status == 401
    assert "good until" not in other.json["detail"]


# ----------------------------------------------------------------------------------------------------- a file that changes


def test_a_key_whose_line_is_removed_opens_nothing_at_the_next_look(tmp_path, file, clock):
    (stays, first), (goes, second) = new_key("stays", ["search"]), new_key("goes", ["search"])
    rewrite(file, "# of the search service", first, "", second)
    keys = ring(tmp_path, file, clock)
    assert lets_in(keys, stays) and lets_in(keys, goes)
    rewrite(file, first)
    clock.now += keyring.LOOK_S
    assert lets_in(keys, stays) and not lets_in(keys, goes)
    added, third = new_key("added", ["read"])
    rewrite(file, first, third)
    assert not lets_in(keys, added), "it is not looked at for every request"
    clock.now += keyring.LOOK_S
    assert lets_in(keys, added)


def test_keys_of_the_settings_and_of_the_file_are_both_taken(tmp_path, file, clock):
    (one, first), (two, second) = new_key("one", ["search"]), new_key("two", ["search"])
    rewrite(file, second)
    keys = ring(tmp_path, file, clock, api_keys=(first,))
    assert lets_in(keys, one) and lets_in(keys, two)


def test_a_line_that_is_wrong_is_left_out_while_it_runs_and_the_others_hold(tmp_path, file, clock, caplog):
    (stays, first), (goes, second) = new_key("stays", ["search"]), new_key("goes", ["search"])
    rewrite(file, first, second)
    keys = ring(tmp_path, file, clock)
    rewrite(file, "goes:" + "f" * 63 + ":search", first)
    clock.now += keyring.LOOK_S
    with caplog.at_level(logging.ERROR):
        assert lets_in(keys, stays) and not lets_in(keys, goes)
    assert "line 1" in caplog.text
    assert "f" * 63 not in caplog.text


def test_a_file_that_is_gone_or_empty_lets_nobody_in(tmp_path, file, clock, caplog):
    key, entry = new_key("ci", ["search"])
    rewrite(file, entry)
    keys = ring(tmp_path, file, clock)
    file.unlink()
    clock.now += keyring.LOOK_S
    assert not lets_in(keys, key)
    assert keys, "keys are still needed"
    assert "none of them is taken" in caplog.text
    rewrite(file)
    clock.now += keyring.LOOK_S
    assert not lets_in(keys, key) and keys


def test_a_service_does_not_start_with_a_file_that_cannot_be_read(tmp_path, file, clock):
    with pytest.raises(SettingsError, match="cannot be read") as missing:
        ring(tmp_path, file, clock)
    assert missing.value.name == "CODEQUARRY_API_KEYS_FILE"
    rewrite(file, new_key("ci", ["search"])[1], "ci:abc123secret:search")
    with pytest.raises(SettingsError, match="line 2") as wrong:
        ring(tmp_path, file, clock)
    assert "abc123secret" not in wrong.value.message
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="no text"):
        ring(tmp_path, file, clock)


def test_the_running_service_takes_a_key_back(start, file):
    key, entry = new_key("ci", ["search"])
    rewrite(file, entry)
    service = start(api_keys_file=str(file))
    assert service.ask("POST", "/v1/search", {"query": "retry"}, key=key).status == 200
    rewrite(file)
    end = time.monotonic() + 30
    while service.ask("POST", "/v1/search", {"query": "retry"}, key=key).status == 200 and time.monotonic() < end:
        pass
    assert service.ask("POST", "/v1/search", {"query": "retry"}, key=key).status == 401
    assert service.ask("POST", "/v1/search", {"query": "retry"}).status == 401


# ------------------------------------------------------------------------------------------------------------ when last used


def test_when_a_key_was_used_is_counted_kept_and_listed(start, command, file):
    (used, first), (_, second) = new_key("used", ["search", "read"]), new_key("idle", ["read"])
    service = start(api_keys=(first, second))
    before = time.time()
    assert service.ask("POST", "/v1/search", {"query": "retry"}, key=used).status == 200
    metrics = service.ask("GET", "/v1/metrics", key=used).body.decode()
    (shown,) = re.findall(r'^codequarry_key_used_timestamp_seconds\{key="used"\} (\S+)$', metrics, re.MULTILINE)
    assert before <= float(shown) <= time.time()
    assert 'key="idle"' not in metrics
    data_dir = service.parts.backend.settings.data_dir
    service.__exit__()
    assert read_used(data_dir).keys() == {f"used:{first.split(':')[1][:8]}"}
    environment = {"CODEQUARRY_API_KEYS": f"{first},{second}", "CODEQUARRY_DATA_DIR": str(data_dir)}
    listed = command("keys", "list", env=environment).stdout.splitlines()
    assert re.fullmatch(r"used:[0-9a-f]{8}\tread search\tno end\tused just now", listed[0])
    assert re.fullmatch(r"idle:[0-9a-f]{8}\tread\tno end\tnot used yet", listed[1])
    found = json.loads(command("keys", "list", "--json", env=environment).stdout)["keys"]
    assert [one["used_at"] is not None for one in found] == [True, False]


def test_several_processes_keep_the_latest_use_and_forget_keys_that_are_gone(tmp_path, file, clock):
    (one, first), (two, second) = new_key("one", ["search"]), new_key("two", ["search"])
    rewrite(file, first, second)
    a, b = ring(tmp_path, file, clock), ring(tmp_path, file, clock)
    lets_in(a, one)
    lets_in(b, two)
    a.keep()
    b.keep()
    assert len(read_used(tmp_path / "data")) == 2
    rewrite(file, first)
    clock.now += keyring.LOOK_S
    lets_in(a, one)
    a.keep()
    assert [mark.partition(":")[0] for mark in read_used(tmp_path / "data")] == ["one"]


def test_a_data_folder_that_cannot_be_written_costs_a_line_in_the_log(tmp_path, file, clock, caplog):
    key, entry = new_key("one", ["search"])
    rewrite(file, entry)
    (tmp_path / "data").write_text("no folder")
    keys = ring(tmp_path, file, clock)
    assert lets_in(keys, key)
    keys.keep()
    assert "cannot be written" in caplog.text
    assert lets_in(keys, key)


@pytest.mark.parametrize("damaged", [b"", b"[]", b"\xff", b'{"a": "b"}', b"null"])
def test_a_damaged_record_of_uses_counts_as_none(tmp_path, damaged):
    (tmp_path / "keys-used.json").write_bytes(damaged)
    assert read_used(tmp_path) == {}


def test_a_key_for_so_many_days_is_made_by_the_command(command):
    made = command.json("keys", "new", "ci", "--days", "30")
    assert made["entry"].endswith(f"::{datetime.now(UTC).date() + timedelta(days=30)}")
    for days in ("0", "-1", "40000"):
        assert command("keys", "new", "ci", "--days", days).returncode == BadInput.exit
