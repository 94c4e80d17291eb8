"""`codequarry tune` from a shell: what it writes is what searches rank by, until it is reset."""

from __future__ import annotations

import json

import pytest
from commandline import Command, fill

WORDS = [
    one + end
    for end in ("", "wick", "stead", "holm")
    for one in "amber birch cedar delta ember fjord grove haven".split()
]
WEIGHTS = "ranking-weights.json"


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """The command over a folder in which people who ask for a thing mean what lies deeper, and their questions."""
    folder = tmp_path_factory.mktemp("team")
    files = {}
    for word in WORDS:
        files[f"src/{word}.py"] = f"def {word}(stone):\n    return polish({word}, stone)\n"
        files[f"src/next/core/{word}.py"] = f"def {word}(stone):\n    return grind({word}, stone)\n"
    command = Command(folder / "home")
    command.repo = fill(folder / "app", files)
    assert command("index", command.repo).returncode == 0
    command.labels = folder / "labels.jsonl"
    rows = [{"question": f"{word} stone", "targets": [f"src/next/core/{word}.py"]} for word in WORDS]
    command.labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return command


def test_weights_are_written_where_they_help_and_searches_rank_by_them_until_they_are_reset(team):
    before = team.json("eval", team.labels)["all"]
    shown = team("tune", team.labels, "--dry-run")
    assert "not written: --dry-run" in shown.stderr
    assert "folds of questions: gain +" in shown.stdout
    assert not (team.data / WEIGHTS).exists()

    found = team.json("tune", team.labels)
    assert found["helps"] and found["interval"][0] > 0
    assert found["written"] == str(team.data / WEIGHTS)
    kept = json.loads((team.data / WEIGHTS).read_text())["short"]
    assert kept["fitted"]["held_out"]["after"] == found["after"]
    after = team.json("eval", team.labels)["all"]
    assert after["ndcg@10"] > before["ndcg@10"]

    elsewhere = {"CODEQUARRY_RANKING_WEIGHTS": str(team.home / "none.json")}
    assert json.loads(team("eval", team.labels, "--json", env=elsewhere).stdout)["all"] == before
    assert team.json("tune", "--reset")["removed"] == str(team.data / WEIGHTS)
    assert team.json("eval", team.labels)["all"] == before
    assert "in use already" in team("tune", "--reset").stderr


def test_what_may_be_chance_is_not_written_unless_that_is_asked_for(team, tmp_path):
    rows = [{"question": f"{word} stone", "targets": [f"src/{word}.py"]} for word in WORDS]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)))
    done = team("tune", labels)
    assert done.returncode == 0
    assert "not written: the gain may be chance" in done.stderr
    assert not (team.data / WEIGHTS).exists()
    own = tmp_path / "own.json"
    env = {"CODEQUARRY_RANKING_WEIGHTS": str(own)}
    assert json.loads(team("tune", labels, "--write", "--json", env=env).stdout)["written"] == str(own)
    assert own.is_file() and not (team.data / WEIGHTS).exists()
    assert team("tune", "--reset", env=env).returncode == 0
    assert not own.exists()


def test_what_cannot_be_tuned_is_said(team, tmp_path):
    labels = tmp_path / "few.jsonl"
    labels.write_text('{"question": "amber stone", "targets": ["src/amber.py"]}\n')
    done = team("tune", labels)
    assert (done.returncode, done.stdout) == (2, "")
    assert "10 are needed" in done.stderr
    assert team("tune", team.labels, "--model", "hash:64").returncode == 3  # the index was built with another
    assert team("tune").returncode == team("tune", labels, "--reset").returncode == 2
    assert "no judgements" in team("tune", "--from-feedback").stderr
