"""A folder as it stands on disk: what it shows, whether it is still fresh, and that links and races do no harm."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import socket
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codequarry.errors import BadInput
from codequarry.ingest import hints
from codequarry.ingest.files import FileOptions
from codequarry.ingest.worktree import is_fresh


def shown(tree):
    return {entry.path: entry.modified for entry in tree.entries}


def contents(tree):
    return {entry.path: data for entry, data in tree.reader.read(tree.entries)}


def reasons(tree):
    return {skip.path: skip.reason for skip in tree.skipped}


@pytest.fixture
def project(repository):
    made = repository()
    made.commit({"a.py": "a\n", "sub/b.py": "b\n", "sub/deep/c.py": "c\n", ".gitignore": "*.log\n/out/\n"})
    return made


# --------------------------------------------------------------------------------------------------------- what it shows


def test_a_work_tree_shows_tracked_and_untracked_files_and_which_differ_from_its_commit(project, list_tree):
    project.write({"a.py": "changed\n", "new.py": "n\n", "x.log": "l\n", "out/o.py": "o\n", "staged.py": "s\n"})
    project.git("add", "staged.py")
    (project.folder / "sub/b.py").unlink()
    tree = list_tree(project.folder)
    assert tree.source == (f"local{project.folder}", f"worktree:{project.folder}")
    assert (tree.commit, tree.head) == (project.git("rev-parse", "HEAD"), "main")
    assert shown(tree) == {".gitignore": False, "a.py": True, "new.py": True, "staged.py": True, "sub/deep/c.py": False}
    assert contents(tree)["a.py"] == b"changed\n"
    for entry in tree.entries:
        assert entry.blob == project.git("hash-object", "--no-filters", entry.path)


def test_a_file_that_was_staged_and_then_set_back_does_not_differ(project, list_tree):
    project.write({"a.py": "changed\n"})
    project.git("add", "a.py")
    project.write({"a.py": "a\n"})
    project.git("rm", "-q", "--cached", "sub/b.py")
    (project.folder / "sub/deep/c.py").chmod(0o755)
    tree = list_tree(project.folder)
    assert shown(tree) == {".gitignore": False, "a.py": False, "sub/b.py": False, "sub/deep/c.py": False}


def test_line_ends_that_git_converts_are_no_difference(project, list_tree):
    project.write({".gitattributes": "*.txt text eol=crlf\n"})
    project.commit({"w.txt": "one\r\ntwo\r\n"})
    tree = list_tree(project.folder)
    assert shown(tree)["w.txt"] is False
    assert contents(tree)["w.txt"] == b"one\r\ntwo\r\n"


def test_a_tracked_file_counts_although_it_is_ignored(project, list_tree):
    project.write({"forced.log": "l\n"})
    project.git("add", "-f", "forced.log")
    assert "forced.log" in shown(list_tree(project.folder))


def test_a_repository_without_commits_shows_what_is_on_disk(repository, list_tree):
    made = repository()
    made.write({"a.py": "1\n"})
    tree = list_tree(made.folder)
    assert (tree.commit, tree.head, shown(tree)) == ("", "main", {"a.py": False})


def test_a_detached_head_is_called_head(project, list_tree):
    project.git("checkout", "-q", "--detach")
    assert list_tree(project.folder).head == "HEAD"


def test_a_conflict_is_a_difference(project, list_tree):
    project.git("checkout", "-q", "-b", "side")
    project.commit({"a.py": "theirs\n"})
    project.git("checkout", "-q", "main")
    project.commit({"a.py": "ours\n"})
    project.git("merge", "side", check=False)
    tree = list_tree(project.folder)
    assert shown(tree)["a.py"] is True
    assert b"<<<<<<<" in contents(tree)["a.py"]


def test_a_plain_folder_follows_its_ignore_files_without_being_a_repository(tmp_path, list_tree, repository):
    folder = tmp_path / "plain"
    made = repository("plain/inner")
    made.commit({"i.py": "1\n"})
    made.folder = folder
    made.write(
        {"a.py": "1\n", "x.log": "1\n", ".gitignore": "*.log\n", "sub/.gitignore": "!*.log\nt.py\n", "sub/x.log": "1\n"}
    )
    made.write({"sub/t.py": "1\n", "t.py": "1\n"})
    tree = list_tree(folder)
    assert (tree.commit, tree.head, tree.web) == ("", "", "")
    assert shown(tree) == dict.fromkeys([".gitignore", "a.py", "sub/.gitignore", "sub/x.log", "t.py"], False)
    assert reasons(tree) == {"inner": "submodule"}


def test_other_repositories_within_are_named_and_left_out(project, repository, list_tree):
    inner = repository("repository/inner")
    inner.commit({"i.py": "1\n"})
    library = repository("library")
    library.commit({"l.py": "1\n"})
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.folder), "lib")
    tree = list_tree(project.folder)
    assert reasons(tree) == {"inner": "submodule", "lib": "submodule"}
    assert "lib/l.py" not in shown(tree)
    assert list(shown(list_tree(project.folder / "inner"))) == ["i.py"]


def test_links_are_never_followed(project, list_tree, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "c.py").write_text("canary\n")
    (project.folder / "link.py").symlink_to(secret / "c.py")
    (project.folder / "folder").symlink_to(secret)
    shutil.rmtree(project.folder / "sub" / "deep")
    (project.folder / "sub" / "deep").symlink_to(secret)  # git still tracks sub/deep/c.py
    tree = list_tree(project.folder)
    assert "sub/deep/c.py" not in shown(tree)
    assert reasons(tree) == {"folder": "symlink", "link.py": "symlink", "sub/deep": "symlink"}
    assert not any(b"canary" in data for data in contents(tree).values())


def test_what_is_put_in_place_of_a_file_after_the_listing_is_not_read(project, list_tree, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "c.py").write_text("canary\n")
    tree = list_tree(project.folder)
    (project.folder / "a.py").unlink()
    (project.folder / "a.py").symlink_to(tmp_path / "secret" / "c.py")
    (project.folder / "sub" / "b.py").unlink()
    os.mkfifo(project.folder / "sub" / "b.py")
    shutil.rmtree(project.folder / "sub" / "deep")
    (project.folder / "sub" / "deep").symlink_to(tmp_path / "secret")
    read = {entry.path: data for entry, data in tree.reader.read(tree.entries)}
    assert read == {".gitignore": b"*.log\n/out/\n", "a.py": None, "sub/b.py": None, "sub/deep/c.py": None}
    shutil.rmtree(project.folder)
    assert all(data is None for _, data in tree.reader.read(tree.entries))


def test_pipes_and_sockets_are_not_opened(project, list_tree):
    os.mkfifo(project.folder / "pipe.py")
    (project.folder / "a.py").unlink()
    os.mkfifo(project.folder / "a.py")
    here = os.getcwd()
    os.chdir(project.folder)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("s.py")
    os.chdir(here)
    tree = list_tree(project.folder)
    assert shown(tree).keys() == {".gitignore", "sub/b.py", "sub/deep/c.py"}
    assert reasons(tree) == {"a.py": "unreadable"}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read_is_left_out_with_a_reason(project, list_tree):
    (project.folder / "a.py").chmod(0)
    (project.folder / "sub").chmod(0)
    try:
        assert reasons(list_tree(project.folder)) == {"a.py": "unreadable", "sub/": "unreadable"}
    finally:
        (project.folder / "sub").chmod(0o755)


def test_a_folder_with_too_many_files_is_refused(project, list_tree):
    with pytest.raises(BadInput, match="more than 2 files"):
        list_tree(project.folder, options=FileOptions(max_files=2))


def test_a_changed_file_comes_back_with_the_id_of_what_was_read(project, list_tree):
    tree = list_tree(project.folder)
    project.write({"a.py": "later\n"})
    reader = pickle.loads(pickle.dumps(tree.reader))
    found = {entry.path: (entry, data) for entry, data in reader.read(tree.entries)}
    entry, data = found["a.py"]
    assert data == b"later\n"
    assert (entry.blob, entry.size, entry.modified) == (project.git("hash-object", "a.py"), 6, True)
    assert found["sub/b.py"][0] in tree.entries


# -------------------------------------------------------------------------------------------------------------- fresh?


def edit(project, how):
    folder = project.folder
    if how == "content":
        project.write({"sub/b.py": "other\n"})
    elif how == "same size":
        project.write({"sub/b.py": "B\n"})
    elif how == "same size and time":
        before = (folder / "sub/b.py").stat()
        project.write({"sub/b.py": "B\n"})
        os.utime(folder / "sub/b.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    elif how == "saved by renaming":
        project.write({"sub/b.py~": "B\n"})
        (folder / "sub/b.py~").rename(folder / "sub/b.py")
    elif how == "new file":
        project.write({"sub/new.py": "n\n"})
    elif how == "new file in an empty folder":
        project.write({"empty/new.py": "n\n"})
    elif how == "new folder":
        project.write({"x/y/new.py": "n\n"})
    elif how == "removed":
        (folder / "sub/b.py").unlink()
    elif how == "renamed":
        (folder / "sub").rename(folder / "moved")
    elif how == "link":
        (folder / "sub/b.py").unlink()
        (folder / "sub/b.py").symlink_to("/etc/passwd")
    elif how == "commit":
        project.write({"a.py": "2\n"})
        project.git("commit", "-qam", "x")
    elif how == "branch":
        project.git("checkout", "-q", "-b", "other")
    elif how == "reset":
        project.git("reset", "-q", "--soft", "HEAD~1")
    elif how == "packed":
        project.git("commit", "-q", "--amend", "-m", "y")
        project.git("pack-refs", "--all")
    elif how == "ignored added":
        project.git("add", "-f", "x.log")
    elif how == "ignore file":
        project.write({".gitignore": "*.log\nb.py\n"})
    elif how == "private ignore file":
        project.write({".git/info/exclude": "c.py\n"})
    elif how == "own rules":
        project.write({"sub/.codequarryignore": "c.py\n"})
    elif how == "hidden rules":
        project.write({".codequarryignore": "a.py\n"})
    elif how == "origin":
        project.git("remote", "add", "origin", "https://github.com/a/b")
    elif how == "too large":
        project.write({"sub/b.py": "x\n" * 600_000})
    elif how == "large no more":
        project.write({"large.txt": "small\n"})


EDITS = (
    "content|same size|same size and time|saved by renaming|new file|new file in an empty folder|new folder|removed|renamed"
    "|link|commit|branch|reset|packed|ignored added|ignore file|private ignore file|own rules|hidden rules|origin|too large"
    "|large no more"
).split("|")


@pytest.fixture
def lived_in(project):
    project.commit({"a.py": "1\n"})
    (project.folder / "empty").mkdir()
    project.write({"x.log": "l\n", "out/o.py": "o\n", "untracked.py": "u\n", "large.txt": "x\n" * 600_000})
    project.write({".git/info/exclude": ".codequarryignore\n", ".codequarryignore": "untracked.py\n"})
    return project


@pytest.mark.parametrize("how", EDITS)
def test_every_kind_of_change_is_noticed_and_the_next_listing_equals_one_from_the_start(how, lived_in, list_tree):
    folder = str(lived_in.folder)
    before = list_tree(folder)
    assert is_fresh(folder, before.hints)
    edit(lived_in, how)
    assert not is_fresh(folder, before.hints)
    after = list_tree(folder)
    clean = list_tree(folder, hints=lambda _: b"")
    assert (after.entries, after.skipped, after.commit, after.head) == (
        clean.entries,
        clean.skipped,
        clean.commit,
        clean.head,
    )
    assert after.source == clean.source
    assert is_fresh(folder, after.hints)
    if how != "origin":
        assert (after.entries, after.skipped, after.commit, after.head) != (
            before.entries,
            before.skipped,
            before.commit,
            before.head,
        )


def test_what_does_not_count_leaves_it_fresh(lived_in, list_tree):
    folder = lived_in.folder
    known = list_tree(folder).hints
    lived_in.write({"out/p.py": "2\n", "out/more/q.py": "3\n", "x.log": "longer\n", "sub/.b.py.swp": "editing\n"})
    (folder / "sub/.b.py.swp").unlink()
    lived_in.write({"large.txt": "x\n" * 700_000})
    (folder / "sub" / "b.py").read_bytes()
    assert is_fresh(str(folder), known)
    lived_in.write({"y.log": "new\n"})
    assert not is_fresh(str(folder), known)  # the name alone does not say that it is ignored
    assert is_fresh(str(folder), list_tree(folder).hints)


def test_a_second_change_within_the_same_tick_is_noticed(project, list_tree, monkeypatch):
    project.write({"a.py": "1\n"})
    path = project.folder / "a.py"
    known = list_tree(project.folder).hints
    size, mtime, _, _ = hints.stamp(path.stat())
    watch = hints.watch_of(known)
    at = watch.files.index(b"a.py")
    assert watch.file_stamps[4 * at : 4 * at + 3].tolist() == [size, mtime, 0]  # too young to be known by its stamp
    project.write({"a.py": "2\n"})
    os.utime(path, ns=(mtime, mtime))
    assert not is_fresh(str(project.folder), known)
    assert contents(list_tree(project.folder))["a.py"] == b"2\n"


def test_stamps_settle_when_time_has_passed(project, list_tree):
    old = 1_700_000_000_000_000_123
    assert not hints.unsettled((1, old, old, 1), old + 60_000_000)
    assert hints.unsettled((1, old, old, 1), old + 10_000_000)
    assert hints.unsettled((1, 5_000_000_000, 4_000_000_000, 1), 6_000_000_000)  # whole seconds: a coarse clock
    assert hints.unsettled((1, old + 10**15, old, 1), old)  # from the future


def test_an_edit_is_listed_without_reading_the_other_files(project, list_tree, logged_git):
    many = {f"p{i}.py": f"{i}\n" for i in range(30)}
    project.commit(many)
    list_tree(project.folder)
    project.write({"p3.py": "3 changed\n"})
    logged_git.write_text("")
    tree = list_tree(project.folder)
    assert [path for path, modified in shown(tree).items() if modified] == ["p3.py"]
    asked = logged_git.read_text().split("\n")
    assert "ls-files" not in asked
    assert "p3.py" in asked
    project.write({"p3.py": "3\n"})
    assert not any(shown(list_tree(project.folder)).values())


def test_hints_of_other_rules_are_not_used(project, list_tree):
    small = list_tree(project.folder, options=FileOptions(max_bytes=1))
    assert set(reasons(small).values()) == {"too-large"}
    assert reasons(list_tree(project.folder)) == {}


def test_a_folder_that_is_gone_is_not_fresh(project, list_tree):
    known = list_tree(project.folder).hints
    shutil.rmtree(project.folder)
    assert not is_fresh(str(project.folder), known)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_damaged_hints_are_no_hints(tmp_path, data):
    known = hints.Known(meta={"rules": "x"})
    known.add_file(b"a.py", (1, 2, 3, 4), b"\1" * 20, 1)
    known.folders, known.folder_names = [b""], bytes(8)
    known.folder_stamps.extend((1, 2))
    good = hints.pack({"rules": "x", "skips": {"a": ["b", "c", "d"]}}, known)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(1, 5)) :]
    for candidate in (bad, data.draw(st.binary(max_size=40))):
        assert is_fresh(str(tmp_path), candidate) is False
        hints.verdicts_of(candidate)
        with contextlib.suppress(hints.Damaged):
            hints.known_of(candidate)


ROWS = st.tuples(
    st.binary(min_size=1, max_size=9).filter(lambda path: b"\0" not in path),
    st.tuples(*[st.integers(0, 2**63 - 1)] * 4),
)


@given(st.lists(ROWS), st.dictionaries(st.text(), st.lists(st.text(), max_size=3)), st.text(st.characters()))
def test_hints_come_back_as_they_were_packed(rows, skips, note):
    known = hints.Known(meta={"note": note}, limit=7, large=[path for path, _ in rows[:2]])
    for path, stamp in rows:
        known.add_file(path, stamp, b"\1" * 20, len(path) % 4)
        known.folders.append(path)
        known.folder_stamps.extend(stamp[:2])
        known.folder_names += b"12345678"
        known.git_files.append(b"/" + path)
        known.git_stamps.extend(stamp)
        known.git_digests += b"87654321"
    packed = hints.pack({"skips": skips}, known)
    assert hints.known_of(packed) == known
    assert hints.verdicts_of(packed) == {"skips": skips}
    assert hints.known_of(hints.replace_verdicts(packed, {"other": 1})) == known


@pytest.mark.parametrize("time_ns", [-(10**18), 2**63 - 1, 0])
def test_files_of_any_age_can_be_listed(time_ns, project, list_tree):
    os.utime(project.folder / "a.py", ns=(time_ns, time_ns))
    tree = list_tree(project.folder)
    assert "a.py" in shown(tree)
    assert is_fresh(str(project.folder), tree.hints)


def test_the_question_whether_anything_changed_imports_nothing_heavy(project, list_tree, tmp_path):
    (tmp_path / "hints").write_bytes(list_tree(project.folder).hints)
    code = (
        "import sys; before = set(sys.modules)\n"
        "import importlib.util, types\n"
        "import codequarry; package = types.ModuleType('codequarry.ingest')\n"
        "package.__path__ = [codequarry.__path__[0] + '/ingest']\n"
        "sys.modules['codequarry.ingest'] = package\n"
        "from codequarry.ingest.worktree import is_fresh\n"
        f"print(is_fresh({str(project.folder)!r}, open({str(tmp_path / 'hints')!r}, 'rb').read()))\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("True")
    for heavy in ("subprocess", "numpy", "json", "tempfile", "pathlib", "zstandard"):
        assert f"'{heavy}'" not in said
