"""The kit that starts real servers: what it promises to `codequarry dev` and to this suite."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from codequarry.compose import jars, processes, servers
from codequarry.errors import BadInput, Upstream


@pytest.fixture
def data_dir(tmp_path):
    yield tmp_path
    servers.down(data_dir=tmp_path)


def start_redis(data_dir: Path, **options) -> servers.Running:
    options = {"docker": False, "tied": True, **options}
    return servers.up(["redis"], data_dir=data_dir, **options)


def ask(url: str, *words: str) -> bytes:
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        return connection.recv(1000)


def test_the_elasticsearch_of_this_suite_is_the_version_that_was_asked_for(elasticsearch_url, elasticsearch_8_url):
    for url, version in ((elasticsearch_url, "9.5.3"), (elasticsearch_8_url, "8.19.21")):
        with urllib.request.urlopen(f"{url}/_nodes/_local?filter_path=nodes.*.version", timeout=30) as reply:
            assert [node["version"] for node in json.load(reply)["nodes"].values()] == [version]


def test_a_node_refuses_requests_by_what_they_take_and_not_by_the_garbage_in_its_heap(
    elasticsearch_url, elasticsearch_8_url
):
    for url in (elasticsearch_url, elasticsearch_8_url):
        with urllib.request.urlopen(f"{url}/_nodes/_local/stats/breaker,jvm", timeout=30) as reply:
            (node,) = json.load(reply)["nodes"].values()
        assert node["breakers"]["parent"]["estimated_size_in_bytes"] < node["jvm"]["mem"]["heap_used_in_bytes"] / 4


def test_the_redis_of_this_suite_answers(redis_url):
    assert ask(redis_url, "PING").startswith(b"+PONG")


def test_calling_up_again_changes_nothing_and_down_stops_all(data_dir):
    first = start_redis(data_dir)
    assert start_redis(data_dir) == first
    assert [(status.runs, status.answers) for status in servers.status(data_dir=data_dir)] == [(True, True)]
    assert servers.down(data_dir=data_dir) == ["redis"]
    assert servers.down(data_dir=data_dir) == []
    assert servers.status(data_dir=data_dir) == []
    assert not processes.started(first.pids["redis"])


def test_data_is_there_again_on_the_same_port_after_down_and_kill(data_dir):
    url = start_redis(data_dir).urls["redis"]
    ask(url, "SET", "word", "kept")
    servers.down(data_dir=data_dir)
    again = start_redis(data_dir)
    assert b"kept" in ask(again.urls["redis"], "GET", "word")
    os.kill(again.pids["redis"], signal.SIGKILL)
    while processes.started(again.pids["redis"]):
        pass
    third = start_redis(data_dir)
    assert third.pids != again.pids
    assert b"kept" in ask(third.urls["redis"], "GET", "word")


def test_another_process_with_the_recorded_pid_is_neither_taken_for_the_server_nor_stopped(data_dir):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        start_redis(data_dir)
        servers.down(data_dir=data_dir)
        server = servers.Server("redis", "", "redis://127.0.0.1:1/0", 1, "wheels", other.pid, "12345", "")
        servers._save(data_dir / "servers", {"redis": server})
        assert [status.runs for status in servers.status(data_dir=data_dir)] == [False]
        assert servers.down(data_dir=data_dir) == []
        assert other.poll() is None
    finally:
        other.communicate(b"\n")


def test_a_server_that_cannot_start_shows_its_log_and_leaves_nothing(data_dir):
    manifest = data_dir / "servers/redis/appendonlydir/appendonly.aof.manifest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("nonsense\n")
    with pytest.raises(Upstream, match="ended while it started") as caught:
        start_redis(data_dir)
    assert str(data_dir / "servers/redis/server.log") in caught.value.hint
    assert "manifest" in caught.value.message
    assert servers.status(data_dir=data_dir) == []


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(data_dir):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(Upstream, match="is taken"):
            start_redis(data_dir, ports={"redis": listener.getsockname()[1]})


def test_a_part_and_a_version_that_do_not_exist_are_bad_input(data_dir):
    with pytest.raises(BadInput, match="kafka"):
        servers.up(["kafka"], data_dir=data_dir, docker=False)
    with pytest.raises(BadInput, match=r"7\.0\.0") as caught:
        servers.up(["elasticsearch"], "7.0.0", data_dir=data_dir, docker=False)
    assert "9.5.3" in caught.value.hint


def test_tied_servers_end_with_a_process_that_is_killed(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from codequarry.compose import servers\n"
        "running = servers.up(['redis'], data_dir=Path(sys.argv[1]), docker=False, tied=True)\n"
        "print(running.pids['redis'], flush=True); time.sleep(100)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pid = int(owner.stdout.readline())
    start = processes.started(pid)
    assert start
    owner.kill()
    owner.communicate()
    end = time.monotonic() + 60
    while processes.runs(pid, start) and time.monotonic() < end:
        pass
    assert not processes.runs(pid, start)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells processes apart by /proc")
def test_a_process_runs_until_its_last_thread_has_let_its_port_go():
    listener = """
import ctypes, os, socket, threading
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0))).start()
print(listening.getsockname()[1], flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
    command = [sys.executable, "-c", listener]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        start = processes.started(process.pid)
        assert start
        process.stdin.close()
        while processes.runs(process.pid, start):
            pass
        socket.create_server(("127.0.0.1", port)).close()


def test_jars_that_are_not_the_pinned_ones_leave_no_distribution(tmp_path, monkeypatch):
    for line in (Path(jars.__file__).parent / "jars-9.5.3.txt").read_text().splitlines():
        group, artifact, version = line.split()[0].split(":")
        jar = tmp_path / "mirror" / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.jar"
        jar.parent.mkdir(parents=True)
        jar.write_bytes(b"not it")
    monkeypatch.setenv("MAVEN_MIRROR_URL", (tmp_path / "mirror").as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(Upstream, match="not the file that was pinned"):
        jars.distribution("9.5.3")
    assert list((tmp_path / "cache/codequarry").iterdir()) == []
