"""`codequarry adapt` from a shell: it writes a model that can be indexed with, where that helps, and nothing otherwise."""

from __future__ import annotations

import json
import signal

import pytest
from commandline import Command, fill

THINGS = {  # what the code calls a thing, and what people say of it
    "qzam": "amber resin glow sap",
    "qzbi": "birch bark paper white",
    "qzce": "cedar chest moth scent",
    "qzde": "delta river mud reed",
    "qzem": "ember ash spark coal",
    "qzfj": "fjord cliff boat tide",
    "qzgr": "grove shade moss fern",
    "qzha": "haven harbour rope mast",
    "qzkn": "knoll clover hare wind",
    "qzlo": "lotus pond petal frog",
}


def code(name, words, copy):
    said = f'    """{words.capitalize()}."""\n' if words else ""
    return (
        f"import os\n\n\ndef step_{copy}(shelf):\n{said}"
        f"    item = {name}.take({name}.first)\n    shelf.append(item)\n    return {name}.count(shelf)\n"
    )


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """The command over a repository whose comments say in words what its code calls by names of its own."""
    folder = tmp_path_factory.mktemp("team")
    files = {
        f"src/{name}_{copy}.py": code(name, words if copy else "", copy)
        for name, words in THINGS.items()
        for copy in range(7)
    }
    command = Command(folder / "home")
    command.repo = fill(folder / "app", files)
    assert command("index", command.repo).returncode == 0
    command.labels = folder / "labels.jsonl"
    rows = [{"question": words, "targets": [f"src/{name}_0.py"]} for name, words in THINGS.items()]
    command.labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return command


def models(command):
    return sorted(path.name for path in (command.data / "models").glob("*"))


def test_a_model_that_helps_is_written_and_indexing_with_it_finds_a_word_of_the_team(team):
    shown = team("adapt", "--dry-run", "--labels", team.labels)
    assert shown.returncode == 0, shown.stderr
    assert "words and vectors: gain +" in shown.stdout
    assert "searches for labelled questions: gain" in shown.stdout
    assert "not written: --dry-run" in shown.stderr
    assert models(team) == []

    found = team.json("adapt", team.repo)
    assert found["helps"] and found["interval"][0] > 0
    assert found["vectors_alone"]["after"] > found["vectors_alone"]["before"]
    assert found["new_terms"] >= len(THINGS) and found["searches"] is None
    assert models(team) == [found["written"].rpartition("/")[2]]
    assert team.json("adapt")["written"] == found["written"]  # the same code gives the same model

    model = found["model"]
    refused = team("search", "qzam", "--model", model)
    assert refused.returncode == 3
    assert f"index again with --model {model}" in refused.stderr

    other = team.home / "other-index"
    assert team("index", team.repo, "--store", other, "--model", model).returncode == 0
    hits = team.json("search", "qzam", "--store", other)["hits"]
    assert hits[0]["path"].startswith("src/qzam_")
    found_without_comment = [
        any(hit["path"] == f"src/{name}_0.py" for hit in team.json("search", words, "--store", other)["hits"])
        for name, words in THINGS.items()
    ]
    assert sum(found_without_comment) > len(THINGS) / 2


def test_what_may_be_chance_is_not_written_unless_that_is_asked_for(tmp_path):
    command = Command(tmp_path / "home")
    names = list(THINGS)
    files = {  # what is said of a thing says nothing of its code
        f"src/{at}.py": code(names[at % 10], list(THINGS.values())[at * 7 // 10 % 10], at) for at in range(60)
    }
    assert command("index", fill(tmp_path / "app", files)).returncode == 0
    done = command("adapt")
    assert done.returncode == 0
    assert "not written: the gain may be chance" in done.stderr
    assert models(command) == []
    out = tmp_path / "own"
    written = command.json("adapt", "--write", "--out", out)
    assert (written["written"], written["model"]) == (str(out), f"code:{out}")
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "rows.i8", "terms.txt", "weights.u8"]
    assert command("adapt", "--write", "--out", out).returncode == 2


def test_interrupted_it_leaves_nothing_behind(team, tmp_path):
    out = tmp_path / "models" / "own"
    sent = []

    def stop(written, process):
        if "steps" in written and not sent:
            sent.append(process.send_signal(signal.SIGINT))

    status, written = team.on_terminal("adapt", "--write", "--out", out, until=stop)
    assert status == 130
    assert "interrupted; nothing was written" in written
    assert not out.parent.exists()


def test_what_cannot_be_adapted_to_is_said(tmp_path):
    command = Command(tmp_path / "home")
    assert command("adapt").returncode == 3  # nothing is indexed
    assert command("index", fill(tmp_path / "app", {"a.py": code("qzam", "amber resin glow sap", 1)})).returncode == 0
    done = command("adapt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "50 are needed" in done.stderr
    assert command("adapt", "nowhere").returncode == 1
    assert command("adapt", "--labels", tmp_path / "none.jsonl").returncode == 1
