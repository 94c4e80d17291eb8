"""A private repository is read with its credential, and the credential is nowhere to be found."""

from __future__ import annotations

import base64
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from git_server import GitServer

from codequarry.errors import BadInput
from codequarry.ingest import credentials
from codequarry.ingest.addresses import parse_address
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Source

CANARY = "canary/7f3a: secret"
ENCODED = "canary%2F7f3a%3A%20secret"


@pytest.fixture
def private(tmp_path, repository):
    """The address of a private repository."""
    made = repository("forge/api")
    made.commit({"a.py": "def alpha(): pass\n"})

    class Here(GitServer):
        root, seen, user = tmp_path / "forge", [], "bot"

        def admits(self, password):
            return password == CANARY

    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/.git"
        server.shutdown()


@pytest.fixture
def world(tmp_path, private):
    settings = Settings(
        tmp_path / "data", store=str(tmp_path / "index"), model="hash:64", local_repositories=True, job_attempts=1
    )
    ledger, store = open_ledger(settings.store, settings), open_store(settings.store, create=True)
    repository = ledger.register(describe(private, settings))

    def sync(credential):
        ledger.update(repository.repo, credential=credential)
        ledger.want(Source(repository.repo, ""))
        runner = Runner(store, ledger, LocalQueue(), settings)
        while due := ledger.due():
            runner.run_one(due[0].source)
        return ledger.repository(repository.repo), ledger.jobs(repository.repo)

    yield sync
    ledger.close()
    store.close()


def write(tmp_path, name, line, mode=0o600):
    folder = tmp_path / "data" / "credentials"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"{line}\n")
    (folder / name).chmod(mode)


def found(tmp_path):
    """Where the secret can be read, in whatever form."""
    forms = [CANARY, ENCODED, base64.b64encode(f"bot:{CANARY}".encode()).decode()]
    return [
        str(file.relative_to(tmp_path))
        for file in tmp_path.rglob("*")
        if file.is_file() and any(form.encode() in file.read_bytes() for form in forms)
    ]


def test_a_private_repository_is_indexed_and_its_credential_is_in_no_file_argument_or_log(
    world, private, tmp_path, logged_git, caplog, capfd
):
    host = urlsplit(private).netloc
    known, jobs = world("")
    assert known.state == "denied" and jobs[0].state == "failed"
    write(tmp_path, "acme", f"http://bot:{ENCODED}x@{host}")
    known, jobs = world("acme")
    assert known.state == "denied" and jobs[0].state == "failed" and jobs[0].error
    write(tmp_path, "acme", f"http://bot:{ENCODED}@{host}")
    known, jobs = world("acme")
    assert known.state == "active"
    assert [(job.source.branch, job.state) for job in jobs] == [("", "done"), ("main", "done")]
    assert found(tmp_path) == ["data/credentials/acme"]
    assert logged_git.read_text().count("ls-remote") >= 3
    said = caplog.text + "".join(capfd.readouterr())
    assert CANARY not in said and ENCODED not in said


def test_a_credential_comes_from_the_environment_too(tmp_path):
    address = parse_address("https://git.example/org/api")
    env = {"CODEQUARRY_CREDENTIAL_ACME_CORP": "https://bot:t0ken@git.example"}
    assert credentials.find("acme-corp", address, Settings(tmp_path), env).password == "t0ken"
    assert credentials.find("", address, Settings(tmp_path), env) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/org/api",
        "http://git.example/org/api",
        "https://git.example:8443/a/b",
        "ssh://git.example/a/b",
    ],
)
def test_a_credential_is_sent_to_its_own_host_alone(tmp_path, url):
    env = {"CODEQUARRY_CREDENTIAL_ACME": "https://bot:t0ken@git.example"}
    with pytest.raises(BadInput, match=r"is for https://git\.example") as refused:
        credentials.find("acme", parse_address(url), Settings(tmp_path), env)
    assert "t0ken" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "t0ken",
        "https://git.example",
        "bot:t0ken",
        "https://bot:t0ken@",
        "file:///t0ken",
        "://t0ken@",
        "ssh://t0ken",
        "github-app://git.example/t0ken",
        "github-app://t0ken@git.example",
        "github-app://1@git.example/t0ken;id",
    ],
)
def test_what_is_no_credential_is_refused_without_showing_it(tmp_path, line):
    with pytest.raises(BadInput) as refused:
        credentials.find(
            "acme", parse_address("https://git.example/a"), Settings(tmp_path), {"CODEQUARRY_CREDENTIAL_ACME": line}
        )
    assert "t0ken" not in str(refused.value) + refused.value.hint
    assert refused.value.__cause__ is None or "t0ken" not in str(refused.value.__cause__)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".", "..", "a\0b", "x" * 200, "none"])
def test_a_name_that_names_nothing_is_refused(tmp_path, name):
    with pytest.raises(BadInput):
        credentials.find(name, parse_address("https://git.example/a"), Settings(tmp_path), {})


def test_a_file_that_others_may_read_is_refused(tmp_path):
    write(tmp_path, "acme", "https://bot:t0ken@git.example", mode=0o644)
    with pytest.raises(BadInput, match="can be read by others"):
        credentials.find("acme", parse_address("https://git.example/a"), Settings(tmp_path / "data"), {})
