"""What a person reads when something is wrong: what happened, what to do, no traceback, an exit status that scripts can use."""

import os
import sqlite3
import subprocess

import pytest
from commandline import FILES, fill, repository


def says(done, code):
    """The message and the hint of a command that failed with this exit status."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("codequarry: "), done.stderr
    assert lines[-1].startswith("  "), done.stderr
    return lines[0].removeprefix("codequarry: "), lines[-1].strip()


def test_another_model_than_the_index_s(command, tmp_path):
    folder = fill(tmp_path / "app", FILES)
    assert command("index", folder, env={"CODEQUARRY_MODEL": "hash:64"}).returncode == 0
    for words in (["index", folder], ["search", "retry", "--no-refresh"], ["search", "retry"], ["prompt", "retry"]):
        message, hint = says(command(*words, env={"CODEQUARRY_MODEL": "hash:32"}), 3)
        assert "hash:64" in message
        assert "hash:32" in message
        assert "--model hash:64" in hint
    says(command("search", "retry", "--model", "code"), 3)
    assert command("search", "retry", "--model", "hash:64").returncode == 0
    assert command("search", "retry").returncode == 0  # where no model is written down the index's own is taken


def test_a_model_that_there_is_not(command, tmp_path):
    message, hint = says(
        command("index", fill(tmp_path / "app", FILES), env={"CODEQUARRY_MODEL": "transformers:/no/such/model"}), 4
    )
    assert "sentence-transformers" in message + hint or "/no/such/model" in message
    message, hint = says(command("index", tmp_path / "app", env={"CODEQUARRY_MODEL": "hash:many"}), 2)
    assert "hash:many" in message


@pytest.mark.parametrize("words", [["search", "x"], ["status"], ["index", "."], ["dump"], ["repositories"]])
def test_an_elasticsearch_that_does_not_answer(command, words):
    message, _ = says(command("--store", "http://127.0.0.1:9", *words), 4)
    assert "http://127.0.0.1:9" in message
    message, _ = says(command(*words, env={"CODEQUARRY_ELASTICSEARCH_URL": "http://user:secret@127.0.0.1:9"}), 4)
    assert "secret" not in message


def test_an_index_of_a_newer_version(command, tmp_path):
    folder = fill(tmp_path / "app", FILES)
    assert command("index", folder).returncode == 0
    database = sqlite3.connect(command.data / "index" / "quarry.db")
    with database:
        assert database.execute("update meta set value = value + 1 where key = 'schema'").rowcount == 1
    database.close()
    for words in (["search", "retry"], ["index", folder], ["status"], ["prompt", "x"]):
        message, hint = says(command(*words), 3)
        assert "layout" in message
        assert "upgrade codequarry" in hint


def test_an_address_that_is_no_store(command, tmp_path):
    message, hint = says(command("--store", "redis://localhost", "search", "x"), 2)
    assert message == "redis:// is no address of a store"
    assert "folder" in hint
    message, hint = says(command("--store", "codequarry+http://127.0.0.1:1", "search", "x"), 4)
    assert "cannot be reached" in message
    assert "codequarry serve" in hint
    (tmp_path / "file").touch()
    message, _ = says(command("--store", tmp_path / "file", "search", "x"), 2)
    assert "is a file" in message


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(command, tmp_path, small_disk):
    words = [f"w{number:x}" for number in range(40)]
    files = {
        f"m{number}.py": "\n".join(
            f"def {words[(number * line) % 40]}_{number}_{line}(): return {os.urandom(24).hex()!r}"
            for line in range(300)
        )
        for number in range(120)
    }
    large = fill(tmp_path / "large", files)
    small = fill(tmp_path / "app", FILES)
    env = {"CODEQUARRY_DATA_DIR": str(small_disk)}
    assert command("index", small, env=env).returncode == 0
    message, hint = says(command("index", large, env=env), 4)
    assert "space" in message.lower() or "full" in message.lower()
    assert hint
    # What was indexed before is still found, and nothing of the other shows.
    assert command("search", "ParseConfig", "--no-refresh", env=env).returncode == 0
    assert "m1.py" not in command("dump", env=env).stdout


def test_a_query_that_cannot_be_read(indexed):
    done = indexed("search", 'lang:go "open')
    says(done, 2)
    query, mark = done.stderr.splitlines()[1:3]
    assert query == '  lang:go "open'
    assert mark.strip() == "^"
    assert mark.index("^") >= query.index('"')
    done = indexed("search", "/(/")
    says(done, 2)
    assert done.stderr.splitlines()[1] == "  /(/"
    says(indexed("search", ""), 2)


def test_a_repository_that_is_not_there(command, tmp_path):
    for spec in (tmp_path / "nowhere", f"file://{tmp_path}/nowhere.git"):
        done = command("index", spec)
        message, _ = says(done, done.returncode)
        assert done.returncode in (1, 2, 4)
        assert str(tmp_path / "nowhere") in message


def test_a_repository_that_is_not_indexed(indexed):
    done = indexed("search", "repo:acme/nothing retry")
    assert done.returncode == 1
    assert "acme/nothing" in done.stderr
    message, hint = says(indexed("read", "acme/payy", "README.md"), 1)
    assert "acme/payy" in message
    assert hint


def test_a_repository_that_is_no_repository(command, tmp_path):
    folder = fill(tmp_path / "plain", FILES)
    message, _ = says(command("index", folder, "--branch", "main"), 2)
    assert str(folder) in message
    message, _ = says(command("index", folder / "README.md"), 2)
    assert "README.md" in message
    done = command("index", f"file://{folder}")
    message, _ = says(done, done.returncode)
    assert done.returncode in (2, 4)
    repo = repository(tmp_path / "app", FILES)
    message, _ = says(command("index", repo, "--branch", "mian"), 2)
    assert "mian" in message


def test_a_setting_that_cannot_be_used(command):
    message, hint = says(command("search", "x", env={"CODEQUARRY_MAX_FILE_BYTES": "huge"}), 2)
    assert message == "CODEQUARRY_MAX_FILE_BYTES: 'huge' is not a size in bytes, like 500000, 500KB or 1MiB"
    fill(command.home, {"codequarry.toml": 'modle = "code"\n'})
    message, hint = says(command("search", "x"), 2)
    assert "modle" in message
    assert hint == "did you mean model?"
