"""Judgements are kept where they are said to be, whole, whoever sends them, and search is measured on them."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from commandline import FILES, Command, fill

from codequarry.api import connect
from codequarry.errors import BadInput, RepositoryNotFound, TooLarge
from codequarry.search.labels import of_judgements
from codequarry.service import feedback
from codequarry.service.feedback import FILE, MOST_QUESTION, keep, kept
from codequarry.settings import Settings

SHOP = "example.org/acme/shop"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The command over an index of a folder, with a few judgements."""
    folder = tmp_path_factory.mktemp("judged")
    command = Command(folder / "home")
    command.folder = fill(folder / "pay", FILES)
    assert command("index", command.folder).returncode == 0
    return command


def test_what_was_judged_is_what_is_measured(judged):
    for words in (
        ["retry when the connection breaks", "--path", "src/client.py"],
        ["retry when the connection breaks", "--path", "README.md", "--not"],
        ["read the configuration", "--path", "src/client.py", "--not"],
    ):
        done = judged("feedback", *words, "--repo", judged.folder)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert str(judged.data / FILE) in done.stderr
    found = judged.json("eval", "--from-feedback")
    assert found["all"]["questions"] == 1
    assert found["all"]["hit@5"] == 1.0
    assert found["missed"] == found["left_out"] == []
    assert "1 question with judgements but no right answer" in found["notes"][0]
    text = judged("eval", "--from-feedback").stdout.splitlines()
    assert text[0].split() == ["repository", "questions", "NDCG@10", "hit@1", "hit@5", "recall@10"]
    assert text[2].split()[:2] == ["all", "1"]


def test_a_file_that_is_not_indexed_is_not_judged(judged):
    before = (judged.data / FILE).read_bytes() if (judged.data / FILE).exists() else b""
    done = judged("feedback", "q", "--repo", judged.folder, "--path", "src/client.py", "--path", "src/klient.py")
    assert done.returncode == 1
    assert "src/client.py" in done.stderr
    assert judged("feedback", "q", "--repo", "none", "--path", "x").returncode == 1
    assert judged("feedback", " ", "--repo", judged.folder, "--path", "src/client.py").returncode == 2
    assert ((judged.data / FILE).read_bytes() if (judged.data / FILE).exists() else b"") == before


def test_a_file_of_labels_is_measured_and_what_is_wrong_in_it_is_said(judged, tmp_path):
    rows = [
        {"question": "retry when the connection breaks", "targets": ["src/client.py"]},
        {"question": "ParseConfig", "repo": "pay", "targets": [{"path": "src/parse.go", "line": 4}]},
        {"question": "parse configuration", "targets": ["src/gone.go"]},
        {"question": "anything", "repo": "acme/none", "targets": ["x"]},
    ]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = judged.json("eval", file)
    assert found["all"]["questions"] == 3
    assert [row["question"] for row in found["missed"]] == ["parse configuration"]
    assert found["not_indexed"][0]["path"] == "src/gone.go"
    assert found["left_out"] == [{"question": "anything", "where": f"{file}:4", "why": "acme/none is not indexed"}]
    done = judged("eval", file)
    assert "parse configuration" in done.stdout
    assert "no indexed file is src/gone.go" in done.stderr
    file.write_text(json.dumps(rows[0]) + '\n{"question": "x"}\n')
    done = judged("eval", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:2 has no list of 'targets'" in done.stderr
    assert judged("eval").returncode == judged("eval", file, "--from-feedback").returncode == 2
    assert judged("eval", tmp_path / "none").returncode == 1


def test_judgements_of_many_writers_are_all_kept_and_for_the_owner_alone(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keep(tmp_path, f"question {n} {'é' * 1000}", "r", "x.py", answers=True), range(100)))
    assert {row["question"].split()[1] for row in kept(tmp_path)} == {str(n) for n in range(100)}
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_line_that_a_killed_writer_left_spoils_no_other(tmp_path):
    keep(tmp_path, "one", "r", "x.py", answers=True)
    with (tmp_path / FILE).open("ab") as stream:
        stream.write(b'{"question": "cut of')
    keep(tmp_path, "two", "r", "\udcff.py", answers=True)
    assert [row["question"] for row in kept(tmp_path)] == ["one", "two"]
    assert kept(tmp_path)[1]["path"] == "\udcff.py"
    assert len(of_judgements(kept(tmp_path))[0]) == 2


def test_what_is_kept_has_bounds(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="more than 4,096 characters"):
        keep(tmp_path, "x" * (MOST_QUESTION + 1), "r", "x.py", answers=True)
    with pytest.raises(BadInput, match="no judgements"):
        kept(tmp_path)
    monkeypatch.setattr(feedback, "MOST_BYTES", 300)
    keep(tmp_path, "x", "r", "x.py", answers=True)
    with pytest.raises(TooLarge):
        keep(tmp_path, "x" * 300, "r", "x.py", answers=True)
    assert len(kept(tmp_path)) == 1


def test_a_service_keeps_judgements_in_its_own_data_folder(service):
    data_dir = service.parts.backend.settings.data_dir
    body = {"question": "where are payments retried", "repo": "acme/shop", "path": "src/client.py"}
    reply = service.ask("POST", "/v1/feedback", body)
    assert reply.status == 201
    assert reply.json["repo"] == SHOP
    assert list(kept(data_dir)) == [reply.json]
    with connect(f"codequarry+{service.url}", settings=Settings(data_dir / "elsewhere")) as quarry:
        assert quarry.feedback("where is charge", SHOP, "src/parse.go", answers=False)["answers"] is False
        with pytest.raises(RepositoryNotFound):
            quarry.feedback("where is charge", "acme/none", "src/parse.go")
    assert [row["answers"] for row in kept(data_dir)] == [True, False]


def test_a_service_refuses_what_is_too_long_or_does_not_fit(service):
    body = {"question": "q", "repo": SHOP, "path": "src/client.py"}
    for change in ({"question": "x" * (MOST_QUESTION + 1)}, {"question": ""}, {"answers": "yes"}, {"why": "?"}):
        assert service.ask("POST", "/v1/feedback", body | change).status == 400
    assert service.ask("POST", "/v1/feedback", body | {"path": "none.py"}).status == 404
    assert not (service.parts.backend.settings.data_dir / FILE).exists()


def test_nobody_judges_what_they_do_not_see_and_no_key_is_kept(keyed):
    body = {"question": "open the door", "repo": "example.org/acme/vault", "path": "vault.py"}
    assert keyed.ask("POST", "/v1/feedback", body, key=keyed.keys["guest"]).status == 404
    assert keyed.ask("POST", "/v1/feedback", body, key=keyed.keys["staff"]).status == 201
    written = (keyed.parts.backend.settings.data_dir / FILE).read_text()
    assert "staff" not in written
    assert all(key not in written for key in keyed.keys.values())
