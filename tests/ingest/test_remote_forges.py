"""What a forge is asked, and how its silence is borne."""

from __future__ import annotations

import socket

import pytest

from codequarry.errors import BadInput, GitError
from codequarry.ingest import remote
from codequarry.ingest.git import Git


def test_a_look_gives_every_branch_and_the_default_one(repository):
    forge = repository("forge")
    head = forge.commit({"a": "1"})
    forge.git("branch", "release/1")
    other = forge.commit({"a": "2"})
    heads = remote.look(str(forge.folder), "local")
    assert (heads.default, heads.branches) == ("main", {"main": other, "release/1": head})
    forge.git("symbolic-ref", "HEAD", "refs/heads/gone")
    assert remote.look(str(forge.folder), "local").default == ""


def test_a_look_at_an_empty_repository_finds_no_branch(repository):
    heads = remote.look(str(repository("forge").folder), "local")
    assert (heads.default, heads.branches) == ("", {})


@pytest.mark.parametrize(
    ("wanted", "branches"),
    [
        ((), {"main"}),
        (("HEAD", "dev"), {"main", "dev"}),
        (("release-*",), {"release-1"}),
        (("release/**",), {"release/1", "release/1/a"}),
        (("*",), {"main", "dev", "release-1", "release/1", "release/1/a", "me/release-1"}),
        (("none",), set()),
    ],
)
def test_branches_are_wanted_by_name_glob_or_as_the_default(wanted, branches):
    there = ("main", "dev", "release-1", "release/1", "release/1/a", "me/release-1")
    assert {branch for branch in there if remote.is_wanted(branch, wanted, "main")} == branches


@pytest.mark.parametrize(
    ("says", "means"),
    [
        ("git ls-remote: remote: Repository not found.; fatal: repository 'https://x/y' not found", "gone"),
        ("git ls-remote: fatal: '/srv/x' does not appear to be a git repository", "gone"),
        ("git ls-remote: fatal: could not read Username for 'https://github.com': terminal prompts disabled", "denied"),
        ("git ls-remote: git@host: Permission denied (publickey).", "denied"),
        ("git fetch: fatal: unable to access 'https://x/y': The requested URL returned error: 403", "denied"),
        ("git ls-remote: fatal: unable to access 'https://x/y': Could not resolve host: x", ""),
        ("git fetch: fatal: early EOF", ""),
    ],
)
def test_what_a_failure_means_is_read_from_what_git_says(says, means):
    assert remote.trouble(GitError(says)) == means


def test_a_server_looks_at_addresses_alone(tmp_path):
    for url in (str(tmp_path), f"file://{tmp_path}", "http://host/a", "--upload-pack=touch x", "ext::sh -c touch"):
        with pytest.raises(BadInput):
            remote.look(url, "server")


def test_a_host_that_is_silent_is_waited_for_no_longer_than_whoever_asks_wants():
    class Enough(Exception):
        pass

    def enough(line):
        raise Enough

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(Enough):
            Git().run(("ls-remote", "--", url), network=True, progress=enough)
