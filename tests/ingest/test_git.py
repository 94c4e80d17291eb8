"""How git is run: what it is told, what it may not be told by the surroundings, and what it says when it fails."""

from __future__ import annotations

import os
import pickle
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codequarry.compose.certificates import Part, make
from codequarry.errors import GitError
from codequarry.ingest.failures import failure, scrub
from codequarry.ingest.git import Credential, Git, empty_repository, ignored


class Silent(BaseHTTPRequestHandler):
    """A forge that has no repository."""

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def written(repository):
    made = repository()
    made.commit({"a.txt": "one\n", "b.txt": "two\n", "empty.txt": ""})
    return made


def oids(made):
    return dict(
        reversed(line.split("\t"))
        for line in made.git("ls-tree", "--format=%(objectname)%x09%(path)", "HEAD").split("\n")
    )


def test_blobs_come_in_the_order_in_which_they_were_asked_for(written):
    ids = oids(written)
    asked = [ids["b.txt"], "0" * 40, ids["empty.txt"], ids["a.txt"], ids["b.txt"]]
    assert list(Git().blobs(f"{written.folder}/.git", asked)) == [b"two\n", None, b"", b"one\n", b"two\n"]
    assert list(Git().blobs(f"{written.folder}/.git", [])) == []


def test_what_is_no_file_is_an_error(written):
    with pytest.raises(GitError, match="no file"):
        list(Git().blobs(f"{written.folder}/.git", [written.git("rev-parse", "HEAD")]))


def test_blobs_and_records_can_be_left_before_their_end(written):
    blobs = Git().blobs(f"{written.folder}/.git", list(oids(written).values()) * 1000)
    assert next(blobs) is not None
    blobs.close()
    records = Git().records(("ls-tree", "-r", "-z", "HEAD"), git_dir=f"{written.folder}/.git")
    assert next(records).endswith(b"\ta.txt")
    records.close()


def test_records_of_a_git_that_fails_end_with_an_error(written):
    with pytest.raises(GitError, match="ls-tree"):
        list(Git().records(("ls-tree", "-z", "nothing"), git_dir=f"{written.folder}/.git"))


def test_a_repository_cannot_make_git_run_its_programs(written, tmp_path):
    canary = tmp_path / "canary"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\n")
    program.chmod(0o755)
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        (written.folder / ".git" / "hooks" / hook).write_bytes(program.read_bytes())
        (written.folder / ".git" / "hooks" / hook).chmod(0o755)
    written.git("config", "core.fsmonitor", str(program))
    written.git("status")
    assert canary.exists()  # the trap works
    canary.unlink()
    Git().run(("status", "--porcelain"), cwd=str(written.folder))
    Git().run(("update-ref", "refs/heads/x", "HEAD"), cwd=str(written.folder))
    assert not canary.exists()


def test_surroundings_do_not_decide_which_repository_is_read(written, repository, monkeypatch):
    other = repository("other")
    monkeypatch.setenv("GIT_DIR", f"{other.folder}/.git")
    monkeypatch.setenv("GIT_INDEX_FILE", f"{other.folder}/.git/index")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    said = Git().text(("rev-parse", "--show-toplevel"), cwd=str(written.folder))
    assert said == str(written.folder)


def test_a_server_reads_no_configuration_but_its_own(written, monkeypatch):
    written.git("config", "--global", "user.nickname", "canary")
    assert Git("local").text(("config", "user.nickname")) == "canary"
    assert Git("server").text(("config", "user.nickname")) is None
    for name, value in {
        "protocol.allow": "never",
        "transfer.fsckobjects": "true",
        "core.symlinks": "false",
        "http.followredirects": "false",
        "safe.barerepository": "explicit",
        "credential.helper": "",
        "core.hookspath": "/dev/null",
        "transfer.bundleuri": "false",
        "gc.auto": "0",
    }.items():
        assert Git("server").text(("config", name)) == value
    monkeypatch.setenv("CANARY", "x")
    assert "CANARY" not in Git("server")._environment(None)


def test_a_server_trusts_the_authority_that_its_surroundings_name(tmp_path, monkeypatch):
    make(tmp_path, [Part("forge")])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "forge" / "certificate.pem", tmp_path / "forge" / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as forge:
        forge.socket = context.wrap_socket(forge.socket, server_side=True)
        threading.Thread(target=forge.serve_forever, daemon=True).start()
        for name in ("GIT_SSL_CAINFO", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        asked = ("ls-remote", "--", f"https://localhost:{forge.server_port}/a.git")
        with pytest.raises(GitError, match="certificate"):
            Git("server").run(asked)
        monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "ca" / "ca.pem"))
        with pytest.raises(GitError, match="not found"):  # so it was asked
            Git("server").run(asked)
        forge.shutdown()


@pytest.mark.parametrize("url", ["file:///etc", "ext::sh -c true", "http://127.0.0.1:9/x", "git://127.0.0.1/x", "/etc"])
def test_a_server_refuses_every_other_transport(url, written):
    with pytest.raises(GitError, match="not allowed"):
        Git("server").run(("ls-remote", "--", url))


def test_only_the_site_of_a_credential_gets_it(written):
    # Git asks its helpers as it would for a fetch.
    credential = Credential("https://forge.example", "someone", "canary")
    written.git("config", "--global", "credential.helper", "!f() { echo username=own; echo password=own; }; f")

    def fill(profile, host):
        question = f"protocol=https\nhost={host}\n\n".encode()
        try:
            return Git(profile).run(("credential", "fill"), stdin=question, credential=credential).decode()
        except GitError:
            return "nothing"

    for profile in ("local", "server"):
        assert "username=someone\npassword=canary" in fill(profile, "forge.example")
    assert "username=own" in fill("local", "other.example")
    assert fill("server", "other.example") == "nothing"


def test_a_git_that_is_missing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for ask in (Git().run, Git().text):
        with pytest.raises(GitError) as caught:
            ask(("version",))
        assert "Install git" in caught.value.hint


def test_a_git_that_is_too_old_is_told_with_both_versions(monkeypatch, tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.20.1\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(GitError, match=r"version 2\.20; 2\.31"):
        Git().run(("version",))


def test_progress_is_told_line_by_line(repository, tmp_path):
    made = repository()
    made.commit({f"f{i}.txt": str(i) for i in range(50)})
    told = []
    target = repository("target", "--bare")
    command = ("fetch", "--progress", "--", f"file://{made.folder}", "refs/heads/main:refs/heads/main")
    Git().run(command, git_dir=str(target.folder), progress=told.append)
    assert any("100%" in line for line in told)
    assert all("\r" not in line for line in told)


@example("0\u16800")
@given(st.text(min_size=1).filter(lambda text: not set(text) & set("@/ \t\r\n\v\f")))
def test_no_credential_stays_in_a_text(secret):
    assert "canary" not in scrub(f"fatal: unable to access 'https://canary{secret}@host/x' and ssh://canary{secret}@y")


def test_an_error_shows_neither_the_password_nor_what_stands_before_the_host():
    credential = Credential("https://h", "some-user", "canary-pass")
    said = b"remote: token canary-pass of some-user is wrong\nfatal: unable to access 'https://some-user:x@h/a/'\n"
    error = failure(("fetch", "--", "https://h/a"), 128, said, credential)
    assert "canary" not in error.message
    assert "some-user" not in error.message
    assert "https://***@h/a/" in error.message
    assert pickle.loads(pickle.dumps(error)).message == error.message


@pytest.mark.parametrize(
    ("said", "hint", "retryable"),
    [
        ("fatal: detected dubious ownership in repository at '/x'", "safe.directory", False),
        ("git@host: Permission denied (publickey).", "let in", False),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "let in", False),
        ("Host key verification failed.", "not known to ssh", False),
        ("remote: Repository not found.\nfatal: repository 'https://h/a/' not found", "address", False),
        ("fatal: unable to access 'https://h/': server certificate verification failed.", "GIT_SSL_CAINFO", False),
        ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed", "GIT_SSL_CAINFO", False),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "network", True),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", "network", True),
        ("error: object 1: hasDotgit: contains '.git'\nfatal: fsck error in packed object", "fsckObjects", False),
    ],
)
def test_what_git_says_gets_a_hint(said, hint, retryable):
    error = failure(("fetch",), 128, said.encode())
    assert hint in error.hint
    assert error.retryable is retryable


def test_ignored_paths_are_matched_as_they_are_whatever_their_names(tmp_path):
    names = [b":(glob)x.log", b":!x.log", b"-rf.log", b"\xff\n.log", b" .log", b'a/b/"c.log', b"*.txt", b"kept.txt"]
    (tmp_path / ".gitignore").write_text("*.log\n")
    with empty_repository() as beside:
        found = ignored(Git(), names, f"--work-tree={tmp_path}", git_dir=beside, cwd=str(tmp_path))
        assert found == set(names[:6])
        assert ignored(Git(), [], f"--work-tree={tmp_path}", git_dir=beside, cwd=str(tmp_path)) == set()


def test_reading_leaves_the_index_as_it_is(written):
    index = written.folder / ".git" / "index"
    os.utime(written.folder / "a.txt", (1, 1))  # git would note the new time
    before = index.stat().st_mtime_ns, index.read_bytes()
    Git().run(("status",), cwd=str(written.folder))
    assert (index.stat().st_mtime_ns, index.read_bytes()) == before
    subprocess.run(["git", "status"], cwd=written.folder, check=True, capture_output=True)
    assert index.read_bytes() != before[1]
