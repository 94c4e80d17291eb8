"""Commits as questions, from a shell: `codequarry eval --from-history` and `codequarry tune --from-history`."""

from __future__ import annotations

from argparse import Namespace

import pytest
from commandline import Command, fill, git

from codequarry import connect
from codequarry.errors import BadInput
from codequarry.service.commands.eval import labels_of

WORDS = [
    one + end
    for end in ("", "wick", "stead", "holm")
    for one in "amber birch cedar delta ember fjord grove haven".split()
]
WEIGHTS = "ranking-weights.json"


def commit(folder, subject, files, author="Ann <ann@example.org>"):
    fill(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", subject, f"--author={author}")


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """The command over a clone whose commits speak of what lies deeper, and a plain folder."""
    folder = tmp_path_factory.mktemp("team")
    command = Command(folder / "home")
    command.repo = folder / "app"
    command.repo.mkdir()
    git(command.repo, "init", "-q", "-b", "main")
    commit(
        command.repo,
        "Begin with what everything is made of",
        {f"src/{word}.py": f"def {word}(stone):\n    return polish({word}, stone)\n" for word in WORDS},
    )
    for word in WORDS:
        deep = {f"src/next/core/{word}.py": f"def {word}(stone):\n    return grind({word}, stone)\n"}
        commit(command.repo, f"fix: find {word} stone (#12)", deep)
    commit(command.repo, "amber stone wheel", {"src/amber.py": "def amber(): ...\n"}, "renovate[bot] <bot@example.org>")
    command.plain = fill(folder / "plain", {"a.py": "def plain(): ...\n"})
    assert command("index", command.repo, command.plain).returncode == 0
    return command


def test_commits_of_people_are_asked_and_a_folder_without_history_is_said(team):
    found = team.json("eval", "--from-history")
    assert found["all"]["questions"] == len(WORDS)
    assert list(found["repositories"]) == [f"local{team.repo.resolve()}"]
    assert found["all"]["recall@10"] == 1.0
    assert [note for note in found["notes"] if "no git repository" in note and str(team.plain) in note]
    assert "amber stone wheel" not in team("eval", "--from-history").stdout
    assert team.json("eval", "--from-history") == found


def test_a_filter_in_a_subject_is_part_of_the_question(team, tmp_path):
    command = Command(tmp_path / "home")
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, 'Read lang:go and "quoted text', {"a.py": "def read(lang): ...\n"})
    assert command("index", folder).returncode == 0
    assert command.json("eval", "--from-history")["all"]["hit@1"] == 1.0


def test_weights_fitted_to_commits_are_shown_and_written_only_where_that_is_asked_for(team):
    found = team.json("tune", "--from-history")
    assert found["helps"] and found["questions"] == len(WORDS)
    assert found["written"] is None
    shown = team("tune", "--from-history")
    assert "folds of questions: gain +" in shown.stdout
    assert "not written: what ranks commits better" in shown.stderr
    assert not (team.data / WEIGHTS).exists()
    before = team.json("eval", "--from-history")["all"]["ndcg@10"]
    assert team.json("tune", "--from-history", "--write")["written"] == str(team.data / WEIGHTS)
    assert team.json("eval", "--from-history")["all"]["ndcg@10"] > before
    assert team("tune", "--reset").returncode == 0


def test_history_that_is_not_there_is_an_error_that_says_why(team, tmp_path):
    command = Command(tmp_path / "home")
    assert command("index", team.plain).returncode == 0
    for name in ("eval", "tune", "adapt"):
        done = command(name, "--from-history")
        assert (done.returncode, done.stdout) == (2, "")
        assert "no git repository" in done.stderr
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(team.repo), str(bare))
    assert command("repositories", "remove", str(team.plain)).returncode == 0
    assert command("index", f"file://{bare}").returncode == 0
    assert "not on this machine" in command("eval", "--from-history").stderr
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{team.repo}", str(tmp_path / "shallow"))
    assert command("index", tmp_path / "shallow").returncode == 0
    assert "git fetch --unshallow" in command("eval", "--from-history").stderr
    assert command("tune", "--from-history", "--from-feedback").returncode == 2
    assert command("tune", "--from-history", "--reset").returncode == 2


def test_a_service_is_not_asked_for_the_history_of_its_repositories(service):
    args = Namespace(labels=None, from_feedback=False, from_history=True)
    with connect(f"codequarry+{service.url}") as quarry, pytest.raises(BadInput, match="read where they are"):
        labels_of(args, quarry)
