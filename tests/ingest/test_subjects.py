"""Commits as questions: whose files exist, that people wrote, and that ask for something."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codequarry.errors import GitError
from codequarry.ingest.git import Git
from codequarry.ingest.subjects import MOST_CHANGED, MOST_FILES, WORDS, question, subjects

TASKS = "retry cache parse route token queue mirror socket header cookie stream filter".split()


def is_source(path):
    return path.endswith(".py") and "test" not in path


def asked(repository, **options):
    paths = set(repository.git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0"))
    options = {"limit": 1000} | options
    return subjects(Git(), str(repository.folder), "HEAD", paths, is_source, **options)


def commit(repository, subject, files, *, author="Ann <ann@example.org>"):
    repository.write(files).git("add", "-A")
    repository.git("commit", "-q", "-m", subject, f"--author={author}")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("fix(router)!: keep the query string when redirecting (#123)", "keep the query string when redirecting"),
        ("[GH-77] Close idle connections before the pool shrinks.", "Close idle connections before the pool shrinks"),
        ("IO-12: Copy symbolic links as links", "Copy symbolic links as links"),
        (":bug: `parse_header` takes an empty value, fixes acme/api#12", "parse_header takes an empty value"),
        ("✨ feat: retry uploads after a timeout", "retry uploads after a timeout"),
        ("net/http: reuse buffers of closed bodies", "net/http: reuse buffers of closed bodies"),
        ("Handle UTF-8 in path:names", "Handle UTF-8 in path:names"),
    ],
)
def test_a_question_is_the_subject_without_what_says_nothing_of_the_code(subject, text):
    assert question(subject) == text


@pytest.mark.parametrize(
    "subject",
    [
        "Merge branch 'main' into retries of uploads",
        'Revert "Retry uploads after a timeout"',
        "Bump click from 8.3.1 to 8.3.2",
        "chore(deps): update the parser's dependencies",
        "Release version 1.2.0 of it all",
        "Prepare for the next release",
        "docs: say how uploads are retried",
        "test: cover retries of uploads",
        "Update the changelog for retries",
        "Run black over the whole package",
        "Fix typo in the retry loop",
        "fixup! Retry uploads after a timeout",
        "Fix it",
        "#123",
        "",
        "word " * (WORDS[1] + 1),
    ],
)
def test_what_asks_for_nothing_is_no_question(subject):
    assert question(subject) == ""


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=200))
def test_a_question_has_few_words_on_one_line(subject):
    text = question(subject)
    assert text == "" or WORDS[0] <= len(text.split()) <= WORDS[1]
    assert text == " ".join(text.split())


def test_questions_are_what_people_wrote_of_few_source_files(repository):
    repo = repository()
    commit(repo, "Begin with the retry loop", {"src/retry.py": "1"})
    commit(repo, "Wait longer after each retry", {"src/retry.py": "2", "tests/test_retry.py": "1", "notes.md": "1"})
    commit(repo, "Share one pool of connections", {"src/pool.py": "1", "src/retry.py": "3"})
    commit(repo, "Explain how retries are counted", {"notes.md": "2"})
    commit(repo, "Cover the retry loop better", {"tests/test_retry.py": "2"})
    commit(repo, "Update pool settings for runners", {"src/pool.py": "2"}, author="renovate[bot] <bot@example.org>")
    commit(repo, "Touch every part of it", {f"src/part{n}.py": "1" for n in range(MOST_FILES + 1)})
    commit(repo, "Draw the retry loop anew", {f"img/{n}.svg": "1" for n in range(MOST_CHANGED)} | {"src/retry.py": "4"})
    repo.git("checkout", "-q", "-b", "side", "HEAD~3")
    commit(repo, "Close the pool when it is idle", {"src/idle.py": "1"})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "Join what the side has made", "side")
    assert {one.text: one.paths for one in asked(repo)} == {
        "Begin with the retry loop": ("src/retry.py",),
        "Wait longer after each retry": ("src/retry.py",),
        "Share one pool of connections": ("src/pool.py", "src/retry.py"),
        "Close the pool when it is idle": ("src/idle.py",),
    }


def test_a_renamed_file_answers_by_its_name_of_today_and_a_removed_one_not(repository):
    repo = repository()
    commit(repo, "Count the bytes of uploads", {"old.py": "count = 1\n", "gone.py": "1"})
    commit(repo, "Count the bytes of downloads", {"gone.py": "2"})
    repo.git("mv", "old.py", "middle.py")
    commit(repo, "Call the counter by its name", {})
    repo.git("mv", "middle.py", "new.py")
    repo.git("rm", "-q", "gone.py")
    commit(repo, "Call the counter by another name", {})
    found = {one.text: one.paths for one in asked(repo)}
    assert found["Count the bytes of uploads"] == ("new.py",)
    assert "Count the bytes of downloads" not in found


def test_a_text_that_was_written_of_several_changes_is_no_question(repository):
    repo = repository()
    commit(repo, "Make the tests pass again", {"a.py": "1"})
    commit(repo, "Simplify the loop a little", {"a.py": "2"})
    commit(repo, "simplify the loop a little", {"b.py": "1"})
    commit(repo, "Handle the empty list too", {"b.py": "2"})
    commit(repo, "Handle the empty list too", {"b.py": "3"})
    assert [one.text for one in asked(repo)] == ["Handle the empty list too"]


@pytest.mark.parametrize("seed", range(3))
def test_files_of_questions_exist_and_a_sample_is_that_of_its_seed_which_later_commits_may_join(repository, seed):
    repo, chance = repository(), random.Random(seed)
    there: list[str] = []
    for number in range(40):
        task = chance.choice(TASKS)
        if there and chance.random() < 0.2:
            repo.git("rm", "-q", there.pop(chance.randrange(len(there))))
        if there and chance.random() < 0.2:
            moved = there.pop(chance.randrange(len(there)))
            there.append(f"moved/{number}é x.py")
            repo.write({"moved/.keep": ""}).git("mv", moved, there[-1])
        files = {f"{chance.choice(TASKS)}{chance.choice(['.py', '_test.py', '.md'])}": str(number)}
        there = list(dict.fromkeys([*there, *files]))
        commit(repo, f"Let the {task} know of number {number} " + "x" * number, files)
    paths = set(repo.git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0"))
    found = asked(repo)
    assert found
    assert all(path in paths and is_source(path) for one in found for path in one.paths)
    some = asked(repo, limit=5, seed=seed)
    assert len(some) == 5 and set(some) <= set(found)
    assert some == asked(repo, limit=5, seed=seed)
    assert some != asked(repo, limit=5, seed=seed + 1)
    for number in range(5):
        commit(repo, f"Learn of the later number {number}", {f"later{number}.py": "1"})
    later = asked(repo, limit=5, seed=seed)
    assert {one for one in later if "later" not in one.text} <= set(some)
    assert set(later) <= set(asked(repo))


def test_settings_of_the_person_change_nothing_and_no_repository_is_an_error(repository, tmp_path):
    repo = repository()
    commit(repo, "Wait longer after each retry", {"src/retry.py": "1"})
    for name, value in (("log.showSignature", "true"), ("diff.relative", "true"), ("diff.renames", "false")):
        repo.git("config", name, value)
    repo.git("config", "format.pretty", "oneline")
    assert [one.paths for one in asked(repo)] == [("src/retry.py",)]
    with pytest.raises(GitError):
        subjects(Git(), str(tmp_path), "HEAD", set(), is_source, limit=1)
