"""Real git repositories, made quickly and without the configuration of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from codequarry.ingest import repos


class Repository:
    """A repository in a folder, driven by the git command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *arguments, stdin=b"", check=True) -> str:
        done = subprocess.run(
            ["git", "-C", self.folder, "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
            input=stdin,
            capture_output=True,
            check=check,
        )
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, files: dict[str, str | bytes]) -> Repository:
        for name, content in files.items():
            path = os.path.join(os.fsencode(self.folder), name.encode("utf-8", "surrogateescape"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
        return self

    def commit(self, files: dict[str, str | bytes] | None = None) -> str:
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-qm", "a change")
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, rows: list[tuple[bytes, bytes, bytes]], ref="refs/heads/main") -> str:
        """Commits a tree of (mode, name, content) whatever the names are; contents of mode 40000 are rows again."""

        def tree(rows):
            made = b""
            for mode, name, content in rows:
                kind = "tree" if mode == b"40000" else "blob"
                data = tree(content) if kind == "tree" and isinstance(content, list) else content
                oid = (
                    data
                    if isinstance(data, str)
                    else self.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", stdin=data)
                )
                made += mode + b" " + name + b"\0" + bytes.fromhex(oid)
            return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=made)

        commit = self.git("commit-tree", "-m", "made by hand", tree(rows))
        self.git("update-ref", ref, commit)
        return commit


@pytest.fixture(autouse=True)
def own_git_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def repository(tmp_path):
    """Makes repositories: `repository("name", "--bare")`."""

    def make(name="repository", *options) -> Repository:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        made = Repository(folder)
        made.git("init", "-q", "-b", "main", *options)
        return made

    return make


@pytest.fixture
def list_trees(tmp_path):
    """`repos.trees` with a place for mirrors and a memory for hints: a second call sees what the first one left.

    The trees are whole ones.
    """
    memory: dict = {}

    def call(spec, **options):
        options.setdefault("hints", lambda source: memory.get(source, b""))
        trees = [tree.whole() for tree in repos.trees(str(spec), mirrors=tmp_path / "mirrors", **options)]
        memory.update((tree.source, tree.hints) for tree in trees)
        return trees

    return call


@pytest.fixture
def list_tree(list_trees):
    """The one tree of a spec."""

    def call(spec, **options):
        (tree,) = list_trees(spec, **options)
        return tree

    return call


@pytest.fixture
def logged_git(tmp_path, monkeypatch):
    """A git on the PATH that writes down its arguments and is git; gives the file they are in."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    log = tmp_path / "arguments"
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {real} "$@"\n')
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log
