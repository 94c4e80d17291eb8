"""What a person names becomes sources: identities, addresses, branches, mirrors, and what is refused."""

from __future__ import annotations

import base64
import http.server
import os
import pickle
import re
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import BadInput, GitError
from codequarry.ingest.files import FileOptions
from codequarry.ingest.git import Credential
from codequarry.ingest.repos import parse_address, trees

# ------------------------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize(
    ("spec", "identity", "web"),
    [
        ("https://github.com/org/api.git", "github.com/org/api", "https://github.com/org/api"),
        ("https://github.com/org/api/", "github.com/org/api", "https://github.com/org/api"),
        ("https://GitHub.com:443/org/api", "github.com/org/api", "https://github.com/org/api"),
        ("git@github.com:org/api", "github.com/org/api", "https://github.com/org/api"),
        ("git@github.com:/org/api.git", "github.com/org/api", "https://github.com/org/api"),
        ("ssh://git@github.com:22/org/api.git", "github.com/org/api", "https://github.com/org/api"),
        ("ssh://git@ssh.github.com:443/org/api.git", "github.com/org/api", "https://github.com/org/api"),
        ("git+ssh://git@gitlab.com/a/b/c.git", "gitlab.com/a/b/c", "https://gitlab.com/a/b/c"),
        ("https://gitlab.example.org:8443/a/b", "gitlab.example.org:8443/a/b", "https://gitlab.example.org:8443/a/b"),
        ("ssh://git@gitlab.example.org:2222/a/b", "gitlab.example.org:2222/a/b", "https://gitlab.example.org/a/b"),
        ("https://code.example.org/org/api", "code.example.org/org/api", ""),
        ("host:path/to/api.git", "host/path/to/api", ""),
        ("https://dev.azure.com/o/My%20Project/_git/r", "dev.azure.com/o/My Project/_git/r", ""),
        ("https://github.com/org/größe", "github.com/org/größe", "https://github.com/org/gr%C3%B6%C3%9Fe"),
        ("file:///srv/git/api.git", "local/srv/git/api.git", ""),
    ],
)
def test_an_address_has_host_and_full_path_as_identity(spec, identity, web):
    address = parse_address(spec)
    assert (address.identity, address.web) == (identity, web)


def test_credentials_in_an_address_are_kept_apart_from_everything_that_is_shown():
    address = parse_address("https://someone:p%40ss%2Fword@github.com/org/api.git")
    assert address.credential == Credential("https://github.com", "someone", "p@ss/word")
    assert address.url == "https://github.com/org/api.git"
    assert "someone" not in repr(address)
    assert "p@ss" not in repr(address)


@given(
    st.from_regex(r"[A-Za-z0-9._~%+-]{6,40}", fullmatch=True).filter(lambda text: "canary" not in text),
    st.sampled_from(
        ["https://{}@{}/org/api", "https://u:{}@{}/org/api", "ssh://git:{}@{}/org/api", "http://{}:x@{}/o/a"]
    ),
    st.sampled_from(["github.com", "host:1", "host:port", "-host", "[::1]", "", "a b"]),
)
def test_no_secret_of_an_address_is_ever_shown(secret, form, host):
    spec = form.format(f"canary{secret}", host)
    try:
        address = parse_address(spec)
    except BadInput as error:
        assert "canary" not in f"{error.message} {error.hint}"
    else:
        assert "canary" not in f"{address.url} {address.identity} {address.web} {address!r}"


@pytest.mark.parametrize(
    "spec",
    [
        "--upload-pack=touch {canary}",
        "-u",
        "ext::sh -c touch% {canary}",
        "EXT::sh -c touch% {canary}",
        "fd::17",
        "git://github.com/org/api",
        "ftp://host/org/api",
        "javascript://host/a",
        "ssh://-oProxyCommand=touch {canary}/org/api",
        "-oProxyCommand=touch:org/api",
        "git@-oProxyCommand=x:org/api",
        "ssh://git@host/--upload-pack=x",
        "https://host/../../etc",
        "https://host/a/%2e%2e/b",
        "https://host/",
        "https:///org/api",
        "https://host:port/org/api",
        "https://host/org/api?token=1",
        "https://host/org/api#main",
        "https://host/org\n/api",
        "https://ho st/org/api",
        "https://us\0er@host/a",
        "file://otherhost/srv/api",
        "file://relative",
        "",
    ],
)
def test_hostile_addresses_are_refused_before_git_sees_them(spec, tmp_path, logged_git, list_trees):
    canary = tmp_path / "canary"
    with pytest.raises(BadInput) as caught:
        list_trees(spec.replace("{canary}", str(canary)))
    assert caught.value.hint
    assert not canary.exists()
    assert not logged_git.exists()


@pytest.mark.parametrize(
    "spec", ["/srv/git", "file:///srv/git", "http://github.com/a/b", "https://github.com:8443/a/b"]
)
def test_a_server_takes_only_https_and_ssh_at_their_usual_ports(spec, list_trees, logged_git):
    with pytest.raises(BadInput):
        list_trees(spec, profile="server")
    assert not logged_git.exists()


def test_a_server_takes_no_credentials_in_an_address(list_trees):
    with pytest.raises(BadInput) as caught:
        list_trees("https://name:canary@github.com/a/b", profile="server")
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    "branch", ["--upload-pack=x", "a..b", "refs/remotes/x", "refs/heads/../x", "a b", "", "x\0y", "-"]
)
def test_hostile_names_of_branches_are_refused(branch, repository, list_trees):
    made = repository()
    made.commit({"a.py": "1\n"})
    with pytest.raises(BadInput):
        list_trees(made.folder, branches=[branch])


@pytest.mark.parametrize("name", ["", "-x", "a@b", "a\nb", "a/../b", "/a", "x" * 400])
def test_a_name_that_could_not_be_told_apart_later_is_refused(name, repository, list_trees):
    made = repository()
    with pytest.raises(BadInput):
        list_trees(made.folder, name=name)


def test_a_clone_has_the_identity_of_its_origin_without_its_token(repository, list_tree):
    made = repository()
    made.git("remote", "add", "origin", "https://oauth2:canary@gitlab.com/group/sub/api.git")
    made.commit({"a.py": "1\n"})
    tree = list_tree(made.folder)
    assert tree.source == ("gitlab.com/group/sub/api", f"worktree:{made.folder}")
    assert tree.web == "https://gitlab.com/group/sub/api"
    assert tree.origin == str(made.folder)
    assert "canary" not in repr(tree)


def test_an_origin_written_in_short_is_told_by_what_the_person_made_it_stand_for(repository, list_tree):
    made = repository()
    made.git("config", "url.git@github.com:.insteadOf", "gh:")
    made.git("remote", "add", "origin", "gh:org/api")
    assert list_tree(made.folder).source.repo == "github.com/org/api"


def test_what_has_no_origin_is_local_and_its_path(repository, list_tree, tmp_path):
    made, bare = repository(), repository("bare.git", "--bare")
    made.commit({"a.py": "1\n"})
    made.git("push", "-q", str(bare.folder), "main")
    plain = tmp_path / "plain"
    plain.mkdir()
    assert list_tree(made.folder).source.repo == f"local{made.folder}"
    assert list_tree(bare.folder).source == (f"local{bare.folder}", "main")
    assert list_tree(plain).source == (f"local{plain}", f"worktree:{plain}")
    assert list_tree(plain, name="my/name").source.repo == "my/name"
    made.git("remote", "add", "origin", "../bare.git")
    assert list_tree(made.folder).source.repo == f"local{bare.folder}"


# --------------------------------------------------------------------------------------------- two repositories called api


def test_two_repositories_called_api_and_their_odd_files(repository, list_tree):
    odd = {
        "größe/日本.py": "def measure(): pass\n",
        "bytes-\udcff\n.py": "x = 1\n",
        "-rf": "y\n",
        ":(top)magic.py": "z\n",
        "big.min.js": "var a=1;" * 400_000,
        "latin.py": "café = 1\n".encode("latin-1"),
        "windows.py": b"a = 1\r\nb = 2\r\n",
    }
    trees_of = {}
    for organisation in ("acme", "umbrella"):
        made = repository(f"{organisation}/api")
        made.git("remote", "add", "origin", f"git@github.com:{organisation}/api.git")
        (made.folder / "passwords").symlink_to("/etc/passwd")
        made.commit(odd | {"who.py": organisation})
        for branches in ((), ("main",)):
            tree = list_tree(made.folder, branches=branches)
            trees_of[organisation, branches] = tree
            assert tree.source.repo == f"github.com/{organisation}/api"
            assert {(skip.path, skip.reason) for skip in tree.skipped} == {
                ("passwords", "symlink"),
                ("big.min.js", "too-large"),
            }
            reader = pickle.loads(pickle.dumps(tree.reader))
            read = {entry.path: data for entry, data in reader.read(tree.entries)}
            expected = {path: text.encode() if isinstance(text, str) else text for path, text in odd.items()}
            del expected["big.min.js"]
            assert read == expected | {"who.py": organisation.encode()}
    for organisation in ("acme", "umbrella"):
        disk, objects = trees_of[organisation, ()], trees_of[organisation, ("main",)]
        assert disk.entries == objects.entries
        assert disk.commit == objects.commit
        assert (disk.head, objects.head) == ("main", "main")


# ---------------------------------------------------------------------------------------------------- objects and branches


def test_branches_are_read_from_objects_and_never_from_the_disk(repository, list_trees):
    made = repository()
    first = made.commit({"a.py": "old\n"})
    made.git("tag", "-a", "-m", "x", "v1")
    made.git("branch", "older")
    second = made.commit({"a.py": "new\n"})
    made.write({"a.py": "on disk\n", "b.py": "untracked\n"})
    found = list_trees(made.folder, branches=["older", "main", "v1", "main"])
    assert [(tree.source.branch, tree.commit) for tree in found] == [("older", first), ("main", second), ("v1", first)]
    assert [[data for _, data in tree.reader.read(tree.entries)] for tree in found] == [
        [b"old\n"],
        [b"new\n"],
        [b"old\n"],
    ]
    assert not any(entry.modified for tree in found for entry in tree.entries)


def test_a_bare_repository_shows_the_branch_of_its_head(repository, list_tree):
    made = repository()
    commit = made.commit({"a.py": "1\n"})
    bare = made.folder.with_name("bare.git")
    made.git("clone", "-q", "--bare", ".", str(bare))
    for spec in (bare, made.folder / ".git"):
        tree = list_tree(spec)
        assert (tree.source.branch, tree.head, tree.commit) == ("main", "main", commit)


def test_branches_of_a_linked_work_tree_and_a_remote_are_found(repository, list_trees, tmp_path):
    made = repository()
    commit = made.commit({"a.py": "1\n"})
    made.git("update-ref", "refs/remotes/origin/theirs", commit)
    made.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert [tree.source.branch for tree in list_trees(tmp_path / "side", branches=["theirs", "main"])] == [
        "theirs",
        "main",
    ]
    (side,) = list_trees(tmp_path / "side")
    assert (side.source.branch, side.head) == (f"worktree:{tmp_path / 'side'}", "side")


def test_submodules_and_links_in_objects_are_named_and_left_out(repository, list_tree):
    made = repository("bare.git", "--bare")
    made.commit_tree(
        [(b"120000", b"link", b"/etc/passwd"), (b"160000", b"sub", "1" * 40), (b"100644", b"x.py", b"1\n")]
    )
    tree = list_tree(made.folder)
    assert [entry.path for entry in tree.entries] == ["x.py"]
    assert {(skip.path, skip.reason) for skip in tree.skipped} == {("link", "symlink"), ("sub", "submodule")}


def test_paths_that_lead_out_of_the_repository_are_left_out_and_harm_nothing(repository, list_tree, tmp_path):
    made = repository("bare.git", "--bare")
    rule = [(b"100644", b".codequarryignore", b"*.py\n")]
    made.commit_tree(
        [
            (b"40000", b"..", [(b"40000", b"..", [(b"100644", b"escape.c", b"1\n"), *rule]), *rule]),
            (b"40000", b".git", [(b"100644", b"config", b"[core]\n"), *rule]),
            (b"40000", b"/tmp", rule),
            (b"100644", b"fine.py", b"1\n"),
        ]
    )
    before = sorted(tmp_path.iterdir())
    tree = list_tree(made.folder)
    assert [entry.path for entry in tree.entries] == ["fine.py"]
    assert {skip.reason for skip in tree.skipped} == {"unreadable"}
    assert sorted(tmp_path.iterdir()) == before


def test_a_tree_without_end_stops_at_the_limit(repository, list_tree):
    made = repository("bare.git", "--bare")
    rows = [(b"100644", b"f%d" % i, b"x") for i in range(10)]
    for _ in range(9):  # 10^10 paths in ten objects
        below = made.commit_tree(rows)
        tree = made.git("rev-parse", f"{below}^{{tree}}")
        rows = [(b"40000", b"d%d" % i, tree) for i in range(10)]
    with pytest.raises(BadInput, match="more than 5,000 files"):
        list_tree(made.folder, options=FileOptions(max_files=5000))


def test_sizes_are_known_before_anything_is_read(repository, list_tree):
    made = repository("bare.git", "--bare")
    made.commit_tree([(b"100644", b"zeros.txt", b"0" * 3_000_000), (b"100644", b"a.txt", b"12345")])
    tree = list_tree(made.folder)
    assert [(entry.path, entry.size) for entry in tree.entries] == [("a.txt", 5)]
    assert tree.skipped == [("zeros.txt", "too-large", "3,000,000 bytes")]


def test_an_object_that_is_missing_reads_as_none(repository, list_tree):
    made = repository("bare.git", "--bare")
    made.commit_tree([(b"100644", b"a.txt", b"1"), (b"100644", b"b.txt", b"2")])
    tree = list_tree(made.folder)
    oid = tree.entries[0].blob
    (made.folder / "objects" / oid[:2] / oid[2:]).unlink()
    assert [data for _, data in tree.reader.read(tree.entries)] == [None, b"2"]
    assert list_tree(made.folder).skipped == [("a.txt", "unreadable", "the object is not in this clone")]


def test_a_repository_of_sha256_has_its_own_ids(repository, list_tree):
    made = repository("new", "--object-format=sha256")
    made.commit({"a.py": "1\n"})
    disk, objects = list_tree(made.folder), list_tree(made.folder, branches=["main"])
    assert disk.entries == objects.entries
    assert len(disk.entries[0].blob) == len(disk.commit) == 64
    mirrored = list_tree(f"file://{made.folder}")
    assert mirrored.entries == objects.entries


# --------------------------------------------------------------------------------------------------------------- mirrors


def test_a_mirror_holds_one_commit_of_each_wanted_branch_and_follows_it(repository, list_trees, tmp_path):
    made = repository()
    made.commit({"a.py": "1\n"})
    made.git("branch", "unwanted")
    first = made.commit({"a.py": "2\n"})
    spec = f"file://{made.folder}"
    (tree,) = list_trees(spec)
    assert (tree.source, tree.commit, tree.origin) == ((f"local{made.folder}", "main"), first, spec)
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    assert subprocess.run(
        ["git", "-C", mirror, "rev-list", "--all"], capture_output=True, text=True
    ).stdout.split() == [first]
    made.git("commit", "-q", "--amend", "-m", "forced")
    made.commit({"b.py": "3\n"})
    (moved,) = list_trees(spec)
    assert [entry.path for entry in moved.entries] == ["a.py", "b.py"]
    assert [data for _, data in moved.reader.read(moved.entries)] == [b"2\n", b"3\n"]
    assert len(list((tmp_path / "mirrors").glob("*.git"))) == 1


def test_what_a_killed_fetch_left_does_not_stop_the_next(repository, list_tree, tmp_path):
    made = repository()
    made.commit({"a.py": "1\n"})
    list_tree(f"file://{made.folder}")
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    for name in ("shallow.lock", "refs/heads/main.lock", "config.lock", "packed-refs.lock"):
        (mirror / name).write_bytes(b"")
    commit = made.commit({"a.py": "2\n"})
    assert list_tree(f"file://{made.folder}").commit == commit


def test_a_tag_of_a_remote_is_read_at_its_commit(repository, list_tree):
    made = repository()
    commit = made.commit({"a.py": "1\n"})
    made.git("tag", "-a", "-m", "x", "v1")
    made.commit({"a.py": "2\n"})
    for _ in range(2):
        tree = list_tree(f"file://{made.folder}", branches=["v1"])
        assert (tree.source.branch, tree.commit) == ("v1", commit)


def test_the_default_branch_of_a_remote_whose_head_is_no_branch_is_the_one_at_that_commit(repository, list_tree):
    made = repository()
    commit = made.commit({"a.py": "1\n"})
    made.git("branch", "aside")
    made.git("checkout", "-q", "--detach")
    tree = list_tree(f"file://{made.folder}")
    assert (tree.source.branch, tree.commit) == ("main", commit)


def test_many_packs_become_one_and_nothing_is_lost(repository, list_tree, tmp_path):
    made = repository()
    made.commit({"a.py": "1\n"})
    list_tree(f"file://{made.folder}")
    (mirror,) = (tmp_path / "mirrors").glob("*.git")
    packs = mirror / "objects" / "pack"
    made.git("--git-dir", str(mirror), "repack", "-q", "-a")
    for kind in ("pack", "idx"):
        (whole,) = packs.glob(f"*.{kind}")
        for i in range(45):
            (packs / f"pack-{i:040d}.{kind}").write_bytes(whole.read_bytes())
    made.commit({"a.py": "2\n"})
    tree = list_tree(f"file://{made.folder}")
    assert [data for _, data in tree.reader.read(tree.entries)] == [b"2\n"]
    # Git 2.41 and later keep what no branch reaches, and may go in an hour, in a pack of its own, with its times beside it.
    assert len([pack for pack in packs.glob("*.pack") if not pack.with_suffix(".mtimes").exists()]) == 1


class _Forge(http.server.BaseHTTPRequestHandler):
    """Smart HTTP as forges speak it, with a password."""

    root = ""
    seen: list[str]

    def _serve(self):
        wanted = "Basic " + base64.b64encode(b"someone:canary-secret").decode()
        given = self.headers.get("Authorization", "")
        type(self).seen.append(given)
        if given != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = os.environ | {
            "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        said = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        status = re.search(rb"^Status: (\d+)", head, re.MULTILINE)
        self.send_response(int(status[1]) if status else 200)
        for line in head.decode().split("\r\n"):
            if line and not line.startswith("Status"):
                self.send_header(*line.split(": ", 1))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve

    def log_message(self, *_):
        pass


@pytest.fixture
def forge(tmp_path):
    """A forge on this machine: its address without a scheme, and the headers with which it was asked."""
    handler = type("Forge", (_Forge,), {"root": str(tmp_path), "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", handler.seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_in_an_address_opens_the_forge_and_stands_nowhere(repository, forge, list_tree, logged_git, tmp_path):
    host, seen = forge
    made = repository("org/api")
    commit = made.commit({"a.py": "1\n"})
    tree = list_tree(f"http://someone:canary-secret@{host}/org/api/.git")
    assert (tree.source.repo, tree.commit) == (f"{host}/org/api", commit)
    assert [data for _, data in tree.reader.read(tree.entries)] == [b"1\n"]
    assert any(seen)
    assert "canary" not in repr(tree)
    assert "ls-remote" in logged_git.read_text()
    assert "canary" not in logged_git.read_text()
    for path in (tmp_path / "mirrors").rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes()


def test_a_wrong_token_is_told_without_showing_it(repository, forge, list_trees):
    host, _ = forge
    repository("org/api").commit({"a.py": "1\n"})
    with pytest.raises(GitError) as caught:
        list_trees(f"http://someone:canary-wrong@{host}/org/api/.git")
    assert "canary" not in f"{caught.value.message}{caught.value.hint}{caught.value!r}"
    assert "let in" in caught.value.hint
    assert not caught.value.retryable


def test_the_helper_that_a_person_has_set_up_is_asked_for_a_password(repository, forge, list_tree):
    host, _ = forge
    made = repository("org/api")
    made.commit({"a.py": "1\n"})
    made.git(
        "config", "--global", "credential.helper", "!f() { echo username=someone; echo password=canary-secret; }; f"
    )
    assert [entry.path for entry in list_tree(f"http://{host}/org/api/.git").entries] == ["a.py"]


def _fake_ssh(tmp_path, monkeypatch, name):
    """A program in the place of ssh that writes down its options and runs the command here."""
    log = tmp_path / "ssh-log"
    program = tmp_path / "programs" / name
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nfor last; do :; done\neval "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program, log


def test_the_ssh_that_a_person_has_set_up_is_used(repository, list_tree, tmp_path, monkeypatch):
    program, log = _fake_ssh(tmp_path, monkeypatch, "my-ssh")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{program} -o Own=yes")
    made = repository()
    commit = made.commit({"a.py": "1\n"})
    tree = list_tree(f"git@code.example.org:{made.folder}")
    assert (tree.source.repo, tree.commit) == (f"code.example.org{made.folder}", commit)
    assert "Own=yes" in log.read_text()


def test_a_server_uses_its_own_ssh_without_prompts_and_checks_what_arrives(
    repository, list_tree, tmp_path, monkeypatch
):
    _, log = _fake_ssh(tmp_path, monkeypatch, "ssh")
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    good, bad = repository("good"), repository("bad", "--bare")
    good.commit({"a.py": "1\n"})
    bad.commit_tree([(b"40000", b"..", [(b"100644", b"escape.c", b"1\n")])])
    tree = list_tree(f"ssh://git@8.8.8.8{good.folder}", profile="server")
    assert [data for _, data in tree.reader.read(tree.entries)] == [b"1\n"]
    assert "BatchMode=yes" in log.read_text()
    assert "StrictHostKeyChecking=yes" in log.read_text()
    with pytest.raises(GitError) as caught:
        list_tree(f"ssh://git@8.8.8.8{bad.folder}", profile="server")
    assert "fsckObjects" in caught.value.hint


# ------------------------------------------------------------------------------------------------------------- what fails


def test_a_folder_that_is_not_there_is_told_with_the_one_that_may_be_meant(list_trees, tmp_path):
    (tmp_path / "projects").mkdir()
    with pytest.raises(BadInput) as caught:
        list_trees(tmp_path / "project")
    assert "projects" in caught.value.hint
    with pytest.raises(BadInput) as caught:
        list_trees("github.com/org/api")
    assert "https://github.com/org/api" in caught.value.hint


def test_a_file_is_no_repository(list_trees, tmp_path):
    (tmp_path / "a.py").write_text("")
    with pytest.raises(BadInput, match="is no folder"):
        list_trees(tmp_path / "a.py")


def test_a_plain_folder_has_no_branches(list_trees, tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(BadInput, match="not a git repository"):
        list_trees(tmp_path / "plain", branches=["main"])


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_missing_branch_is_told_with_the_one_that_may_be_meant(form, repository, list_trees):
    made = repository()
    made.commit({"a.py": "1\n"})
    made.git("branch", "feature/login")
    spec = form.format(made.folder)
    with pytest.raises(BadInput) as caught:
        list_trees(spec, branches=["feature/logn"])
    assert caught.value.hint == "Did you mean 'feature/login'?"
    with pytest.raises(BadInput) as caught:
        list_trees(spec, branches=["zzz"])
    assert "feature/login, main" in caught.value.hint


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_repository_without_commits_says_so(form, repository, list_trees):
    made = repository("empty.git", "--bare")
    with pytest.raises(BadInput, match="no commits yet"):
        list_trees(form.format(made.folder))


def test_a_repository_that_is_not_there_says_so(list_trees, tmp_path):
    with pytest.raises(GitError) as caught:
        list_trees(f"file://{tmp_path}/nothing.git")
    assert caught.value.hint == "Check the address."


def test_a_host_that_does_not_answer_can_be_tried_again(list_trees):
    with pytest.raises(GitError) as caught:
        list_trees("http://127.0.0.1:9/org/api")
    assert caught.value.retryable


@pytest.mark.parametrize("rule", ["", "/own/\n"])
def test_a_sub_folder_stands_for_its_work_tree_and_one_that_git_does_not_track_for_itself(rule, repository, list_tree):
    made = repository()
    made.commit({"src/a.py": "1\n", "b.py": "2\n", ".gitignore": rule})
    made.write({"own/c.py": "3\n"})
    whole = list_tree(made.folder / "src")
    assert whole.source.folder == str(made.folder)
    assert "path:src/" in whole.note
    alone = list_tree(made.folder / "own")
    assert alone.source == (f"local{made.folder}/own", f"worktree:{made.folder}/own")
    assert [entry.path for entry in alone.entries] == ["c.py"]


def test_without_options_the_usual_ones_hold(repository, tmp_path):
    made = repository()
    made.commit({"a.py": "1\n"})
    (tree,) = trees(str(made.folder), mirrors=tmp_path / "mirrors")
    assert [entry.path for entry in tree.entries] == ["a.py"]
