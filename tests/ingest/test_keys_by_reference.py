"""GitHub Apps and ssh keys: the key opens the repository, and neither it nor what it gives is found anywhere else."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
import time
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from git_server import GitServer

from codequarry.errors import BadInput, Denied, NotFound, Upstream
from codequarry.ingest import credentials
from codequarry.ingest.addresses import parse_address
from codequarry.ingest.git import Git
from codequarry.ingest.github_app import MARGIN_S, TOKENS, App, Tokens
from codequarry.ingest.jobs import LocalQueue, Runner, describe
from codequarry.settings import Settings
from codequarry.store import open_ledger, open_store
from codequarry.types import Source

APP = "Iv23liCANARYxAPP"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """An RSA key as the forge gives one out: its file, and the public half as PEM."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path_factory.mktemp("key") / "app.pem"
    file.touch(mode=0o600)
    file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return file, made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def forge(tmp_path, repository, key):
    """GitHub as far as an app and git see it: `forge.tokens` were given out, and are good while they are in there."""
    made = repository("work")
    made.commit({"a.py": "def alpha(): pass\n"})
    made.git("clone", "-q", "--bare", made.folder, tmp_path / "forge" / "acme" / "api.git")

    class Here(GitServer):
        root, seen, user = tmp_path / "forge", [], "x-access-token"
        tokens, asked, lasts_s, refuses = [], [], 3600.0, None
        address = ""

        def admits(self, password):
            return password in Here.tokens

        def do_POST(self):
            self.do_GET()

        def do_GET(self):
            path = urlsplit(self.path).path
            if not path.startswith("/api/v3/"):
                super().do_GET()
                return
            Here.asked.append(f"{self.command} {path}")
            if Here.refuses:
                self.give(Here.refuses, {"message": "no"})
                return
            claims = jwt.decode(
                self.headers["Authorization"].removeprefix("Bearer "), key[1], algorithms=["RS256"], issuer=APP
            )
            assert 0 < claims["exp"] - claims["iat"] <= 600
            if path == "/api/v3/repos/acme/api/installation" and self.command == "GET":
                self.give(200, {"id": 77, "account": {"login": "acme"}})
            elif path == "/api/v3/app/installations/77/access_tokens" and self.command == "POST":
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert asked == {"permissions": {"contents": "read"}}
                Here.tokens.append(f"ghs_CANARY{secrets.token_hex(12)}")
                ends = datetime.fromtimestamp(time.time() + Here.lasts_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self.give(201, {"token": Here.tokens[-1], "expires_at": ends})
            else:
                self.give(404, {"message": "Not Found"})

        def give(self, status, value):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    TOKENS.forget()
    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        Here.address = f"127.0.0.1:{server.server_port}"
        yield Here
        server.shutdown()


@pytest.fixture
def world(tmp_path):
    """Indexes the repository at an address with the credential `acme`: what the ledger knows of it then, and its jobs."""
    settings = Settings(
        tmp_path / "data", store=str(tmp_path / "index"), model="hash:64", local_repositories=True, job_attempts=1
    )
    ledger, store = open_ledger(settings.store, settings), open_store(settings.store, create=True)

    def sync(url):
        repo = ledger.register(describe(url, settings)).repo
        ledger.update(repo, credential="acme")
        ledger.want(Source(repo, ""))
        runner = Runner(store, ledger, LocalQueue(), settings)
        while due := ledger.due():
            runner.run_one(due[0].source)
        return ledger.repository(repo), ledger.jobs(repo)

    yield sync
    ledger.close()
    store.close()


def write(tmp_path, line):
    folder = tmp_path / "data" / "credentials"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "acme").write_text(f"{line}\n")
    (folder / "acme").chmod(0o600)


def holders(folder, *texts):
    """The files below a folder in which one of the texts stands."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [str(file.relative_to(folder)) for file in files if any(t.encode() in file.read_bytes() for t in texts)]


# ------------------------------------------------------------------------------------------------------------------ the app


def test_an_app_reads_its_repository_and_its_tokens_are_in_no_file_argument_or_log(
    forge, key, world, tmp_path, logged_git, caplog, capfd
):
    write(tmp_path, f"github-app+http://{APP}@{forge.address}{key[0]}")
    known, jobs = world(f"http://{forge.address}/acme/api.git")
    assert [(job.source.branch, job.state, job.error) for job in jobs] == [("", "done", ""), ("main", "done", "")]
    assert known.state == "active"
    assert len(forge.tokens) == 1, "one for the look and the fetch"
    secret = key[0].read_text().split("\n")[1]
    assert holders(tmp_path, "ghs_CANARY", secret) == []
    assert "ls-remote" in logged_git.read_text()
    said = caplog.text + "".join(capfd.readouterr())
    assert "ghs_CANARY" not in said and secret not in said


def test_a_token_that_was_withdrawn_is_not_used_again(forge, key, world, tmp_path):
    write(tmp_path, f"github-app+http://{APP}@{forge.address}{key[0]}")
    url = f"http://{forge.address}/acme/api.git"
    world(url)
    forge.tokens.clear()
    assert world(url)[0].state == "denied"
    assert world(url)[0].state == "active"
    assert len(forge.tokens) == 1


def tokens_at(forge, now):
    return Tokens(lambda: now[0]), App(f"http://{forge.address}", APP)


def test_a_token_is_kept_until_shortly_before_its_end(forge, key):
    now = [time.time()]
    held, app = tokens_at(forge, now)
    first = held.token(app, "acme/api", key[0].read_text)
    now[0] += 3600 - MARGIN_S - 10
    assert held.token(app, "Acme/other", lambda: pytest.fail("the key is not needed")) == first
    now[0] += 20
    asked = []
    with pytest.raises(BadInput):
        held.token(app, "acme/api", lambda: asked.append("key") or "")
    assert asked == ["key"], "a new token needs it"


def test_a_token_that_lasts_short_is_asked_for_each_time(forge, key):
    held, app = tokens_at(forge, [time.time()])
    forge.lasts_s = MARGIN_S - 10
    first, second = (held.token(app, "acme/api", key[0].read_text) for _ in range(2))
    assert first != second and forge.tokens == [first, second]


def test_an_app_that_is_not_installed_there_is_said_so(forge, key):
    held, app = tokens_at(forge, [time.time()])
    with pytest.raises(NotFound, match="not installed for acme/vault") as raised:
        held.token(app, "acme/vault", key[0].read_text)
    assert "install it" in raised.value.hint


def test_a_forge_that_refuses_or_fails_is_told_apart(forge, key, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    held, app = tokens_at(forge, [time.time()])
    forge.refuses = 401
    with pytest.raises(Denied, match=f"in as the app {APP}") as raised:
        held.token(app, "acme/api", key[0].read_text)
    assert "clock" in raised.value.hint
    forge.refuses = 422
    with pytest.raises(Upstream, match="422") as odd:
        held.token(app, "acme/api", key[0].read_text)
    assert not odd.value.retryable


@pytest.mark.parametrize(
    "text", ["", "CANARY", "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----\n"]
)
def test_a_key_that_is_none_is_said_so_and_not_shown(forge, text):
    held, app = tokens_at(forge, [time.time()])
    with pytest.raises(BadInput, match="no RSA private key") as raised:
        held.token(app, "acme/api", lambda: text)
    assert "CANARY\n" not in raised.value.message + raised.value.hint
    assert forge.asked == []


def test_the_api_of_a_forge_follows_from_where_its_repositories_are():
    assert App("https://github.com", "1").api == "https://api.github.com"
    assert App("https://acme.ghe.com", "1").api == "https://api.acme.ghe.com"
    assert App("https://github.corp.example", "1").api == "https://github.corp.example/api/v3"


@pytest.mark.parametrize(
    "url", ["https://github.com/acme", "https://github.com/acme/api/more", "https://git.example/a/b"]
)
def test_an_app_is_for_repositories_of_its_forge_alone(tmp_path, key, url):
    write(tmp_path, f"github-app://{APP}@github.com{key[0]}")
    with pytest.raises(BadInput, match=r"is a GitHub App, and|is for https://github\.com"):
        credentials.find("acme", parse_address(url), Settings(tmp_path / "data"), {})


def test_a_key_that_others_may_read_is_refused(tmp_path, key):
    there = tmp_path / "key.pem"
    there.write_bytes(key[0].read_bytes())
    there.chmod(0o644)
    for line, url in (
        (f"github-app://{APP}@github.com{there}", "https://github.com/acme/api"),
        (f"ssh://github.com{there}", "git@github.com:acme/api.git"),
    ):
        write(tmp_path, line)
        with pytest.raises(BadInput, match="can be read by others"):
            credentials.find("acme", parse_address(url), Settings(tmp_path / "data"), {})


# ------------------------------------------------------------------------------------------------------------------ ssh keys


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """An ssh on the PATH that notes what the real one would do with its arguments, and runs the command on this machine."""
    real = shutil.which("ssh")
    if real is None:
        pytest.skip("there is no ssh here (Debian: apt-get install openssh-client)")
    folder, log = tmp_path / "ssh-bin", tmp_path / "ssh-log"
    folder.mkdir()
    (folder / "ssh").write_text(
        f'#!/bin/sh\n{{ {real} -G "$@"; echo agent=$SSH_AUTH_SOCK; }} >> {log} 2>&1\n'
        f'for last; do :; done\nexec sh -c "$last"\n'
    )
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/the/agent")
    return log


def test_a_repository_is_read_by_ssh_with_its_own_key_and_no_other(ssh, world, repository, tmp_path, key, monkeypatch):
    made = repository("forge/api")
    made.commit({"a.py": "def alpha(): pass\n"})
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "id").write_bytes(key[0].read_bytes())
    (keys / "id").chmod(0o600)
    (keys / "known_hosts").write_text("git.example ssh-ed25519 AAAA\n")
    write(tmp_path, f"ssh://git.example{keys}/id")
    _, jobs = world(f"ssh://git@git.example{made.folder}/.git")
    assert [job.state for job in jobs] == ["done", "done"], [job.error for job in jobs]
    said = ssh.read_text().lower()
    asked = said.count("host git.example")
    assert asked >= 2
    for setting in (
        f"identityfile {keys}/id",
        f"userknownhostsfile {keys}/known_hosts",
        "stricthostkeychecking true",
        "batchmode yes",
        "identitiesonly yes",
        "identityagent none",
        "agent=\n",
    ):
        assert said.count(setting) >= asked, setting
    assert said.count("identityfile ") == said.count(f"identityfile {keys}/id")


def test_a_services_git_gets_the_key_beside_the_address_that_was_checked(tmp_path):
    from codequarry.ingest.git import Credential, Pinned

    git = Git("server", pinned=Pinned("git.example", 22, ("192.0.2.7",)))
    command = git._environment(Credential("ssh://git.example", "", None, "/keys/id"))["GIT_SSH_COMMAND"]
    assert "-oHostName=192.0.2.7 -oHostKeyAlias=git.example" in command
    assert "-oIdentityFile=/keys/id" in command and "-oStrictHostKeyChecking=yes" in command
    assert "UserKnownHostsFile" not in command, "then those of the machine hold"
