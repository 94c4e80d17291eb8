import json
from pathlib import Path

import pytest

from codequarry.hints import RedisQueue
from codequarry.service import doctor
from codequarry.types import Source


def checks(command, *words, code=0, env=None):
    done = command("doctor", "--json", *words, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] is (code == 0)
    return {check["part"]: check for check in said["checks"] if not (check["ok"] and code)}


def test_all_is_well_before_and_after_something_is_indexed(command, indexed):
    found = checks(command)
    assert {"installation", "git", "grammars", "settings", "data folder", "index", "model"} <= set(found)
    assert "nothing is indexed yet" in found["index"]["says"]
    assert {"installation", "git", "grammars", "settings", "data folder", "model"} < set(checks(indexed))
    assert not command.data.exists()


def test_the_checks_are_lines_for_people(command):
    done = command("doctor")
    assert done.returncode == 0
    assert all(line.startswith("ok    ") for line in done.stdout.splitlines())
    done = command("doctor", env={"CODEQUARRY_WORKERS": "x"})
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("FAIL  settings"))
    assert "CODEQUARRY_WORKERS: 'x' is not a whole number" in lines[at]
    assert lines[at + 1].startswith(" " * 19)


def test_a_missing_git_is_found(command, tmp_path):
    (tmp_path / "empty").mkdir()
    git = checks(command, code=1, env={"PATH": str(tmp_path / "empty")})["git"]
    assert "install git" in git["hint"]


@pytest.mark.parametrize(
    ("said", "well"), [("git version 2.20.1", False), ("git version 2.39.5 (Apple Git-154)", True), ("nonsense", False)]
)
def test_an_old_git_is_found(tmp_path, monkeypatch, said, well):
    (tmp_path / "git").write_text(f"#!/bin/sh\necho '{said}'\n", encoding="utf-8")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.git().ok is well


def test_a_checkout_without_its_links_is_found(tmp_path):
    for part in ("ingest", "search", "service", "workers"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").touch()
    (tmp_path / "compose").write_text("../compose", encoding="utf-8")  # what git leaves where there are no links
    check = doctor.installation(tmp_path)
    assert not check.ok
    assert "compose cannot be reached" in check.says
    assert "symbolic links" in check.hint
    (tmp_path / "compose").unlink()
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose" / "__init__.py").touch()
    assert doctor.installation(tmp_path).ok


def test_a_data_folder_that_cannot_be_is_found(command, tmp_path):
    (tmp_path / "file").touch()
    check = checks(command, code=1, env={"CODEQUARRY_DATA_DIR": str(tmp_path / "file" / "below")})["data folder"]
    assert "cannot be written" in check["says"]
    assert "CODEQUARRY_DATA_DIR" in check["hint"]


def test_a_full_disk_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 62)
    check = doctor.disk(tmp_path / "not" / "there" / "yet")
    assert not check.ok
    assert "make room" in check.hint
    assert list(tmp_path.iterdir()) == []


def test_a_dead_elasticsearch_is_found(command):
    check = checks(command, "--store", "http://127.0.0.1:9", code=1)
    assert any("127.0.0.1:9" in one["says"] for one in check.values())


def test_without_redis_nothing_is_said_of_it(command):
    assert "redis" not in checks(command)


@pytest.mark.elasticsearch
def test_redis_is_asked_where_workers_are_told_over_it(command, elasticsearch_url, elasticsearch_prefix, redis_url):
    env = {
        "CODEQUARRY_ELASTICSEARCH_URL": elasticsearch_url,
        "CODEQUARRY_ELASTICSEARCH_INDEX_PREFIX": elasticsearch_prefix,
        "CODEQUARRY_REDIS_URL": redis_url,
    }
    address = redis_url.removesuffix("/0")
    assert checks(command, env=env)["redis"]["says"].startswith(address)
    queue = RedisQueue(redis_url, elasticsearch_prefix)
    for number in range(3):
        queue.poke("sync", Source(f"example.org/{number}", "main"))
    assert "3 hints that no worker has taken" in checks(command, env=env)["redis"]["says"]
    while queue.take(1):
        pass
    queue.close()


def test_a_redis_that_does_not_answer_is_found(command):
    env = {"CODEQUARRY_REDIS_URL": "redis://ops:s3cret@127.0.0.1:9/0"}
    check = checks(command, "--store", "http://127.0.0.1:9", code=1, env=env)["redis"]
    assert check["says"].startswith("redis://127.0.0.1:9 ")
    assert "Connection refused" in check["says"] and "s3cret" not in str(check)
    assert "CODEQUARRY_REDIS_URL" in check["hint"] and "by themselves" in check["hint"]


def test_a_redis_that_wants_another_password_is_found(command, redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.config_set("requirepass", "r1ght")
        try:
            for given, said in ((redis_url, "authenticated"), (_with(redis_url, "wr0ng"), "password")):
                check = checks(command, "--store", "http://127.0.0.1:9", code=1, env={"CODEQUARRY_REDIS_URL": given})[
                    "redis"
                ]
                assert said in check["says"] and "wr0ng" not in str(check)
                assert "password" in check["hint"]
        finally:
            client.config_set("requirepass", "")


def _with(url, password):
    return url.replace("redis://", f"redis://:{password}@")


def test_an_address_that_is_none_of_redis_is_found(command):
    check = checks(command, "--store", "http://127.0.0.1:9", code=1, env={"CODEQUARRY_REDIS_URL": "http://:s3cret@h"})[
        "redis"
    ]
    assert "cannot be read" in check["says"] and "s3cret" not in str(check)
    assert "redis://" in check["hint"]


def test_redis_beside_an_index_in_a_folder_is_found(command, redis_url):
    check = checks(command, code=1, env={"CODEQUARRY_REDIS_URL": redis_url})["redis"]
    assert "no worker" in check["says"]
    assert "CODEQUARRY_ELASTICSEARCH_URL" in check["hint"]


def test_a_model_that_does_not_load_is_found(command):
    check = checks(command, code=1, env={"CODEQUARRY_MODEL": "transformers:/no/such/model"})["model"]
    assert check["says"]
    assert check["hint"]


def test_an_index_of_another_model_is_found(command, tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n", encoding="utf-8")
    assert command("index", tmp_path, env={"CODEQUARRY_MODEL": "hash:64"}).returncode == 0
    found = checks(command)
    assert found["model"]["says"].startswith("hash:64")


def test_every_grammar_that_a_language_names_is_loaded(monkeypatch):
    from codequarry.ingest import grammars

    assert doctor.grammars().ok
    monkeypatch.setitem(grammars.ROWS, "python", grammars.ROWS["python"]._replace(module="tree_sitter_no_such"))
    grammars.load.cache_clear()
    check = doctor.grammars()
    grammars.load.cache_clear()
    assert not check.ok
    assert "python (ModuleNotFoundError" in check.says


def test_the_package_that_is_checked_is_the_one_that_runs():
    import codequarry

    assert str(Path(codequarry.__file__).parent) in doctor.installation().says
