"""Questions with their answers: both forms are read, what is none is refused with its place, and search is measured on them."""

from __future__ import annotations

import json
import math

import pytest

from codequarry.errors import BadInput, PathNotFound
from codequarry.search.evaluation import evaluate, unknown_targets
from codequarry.search.labels import Label, of_judgements, read_labels
from codequarry.search.measures import interval_of_mean


def write(folder, *rows):
    file = folder / "labels.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file


def label(question, *paths, repo="acme/api"):
    targets = tuple({"path": path, "start_line": None, "end_line": None} for path in paths)
    return Label(question, (repo,) if repo else (), targets, where="here")


def test_a_line_is_a_question_with_paths_or_places(tmp_path):
    rows = [
        {"question": "a", "repo": "acme/api", "targets": ["x.py", {"path": "./y.py", "line": 4}, "x.py"]},
        "",
        {"question": "b", "targets": [{"path": "z.py", "start_line": 2, "end_line": 9}]},
    ]
    one, other = read_labels(write(tmp_path, *rows))
    assert (one.question, one.repos, one.where) == ("a", ("acme/api",), f"{tmp_path}/labels.jsonl:1")
    assert [tuple(target.values()) for target in one.targets] == [("x.py", None, None), ("y.py", 4, 4)]
    assert (other.repos, other.where[-2:]) == ((), ":3")
    assert tuple(other.targets[0].values()) == ("z.py", 2, 9)


def test_the_form_of_the_benches_is_read_too(tmp_path):
    query = {"query": "q", "category": "c", "relevant": [{"path": "a.go"}], "secondary": [{"path": "b.go"}]}
    file = tmp_path / "dev.json"
    file.write_text(json.dumps([{"name": "api", "github": "acme/api", "language": "go", "queries": [query]}]))
    (one,) = read_labels(file)
    assert (one.question, one.repos) == ("q", ("acme/api", "api"))
    assert [target["path"] for target in one.relevant] == ["a.go"]
    assert [target["path"] for target in one.targets] == ["a.go", "b.go"]


@pytest.mark.parametrize(
    "line, says",
    [
        ("{", "is not JSON"),
        ("7", "no JSON object"),
        ({"question": "q", "targets": ["x"], "repository": "r"}, "unknown field 'repository'"),
        ({"targets": ["x"]}, "no text as 'question'"),
        ({"question": " ", "targets": ["x"]}, "no text as 'question'"),
        ({"question": "q"}, "no list of 'targets'"),
        ({"question": "q", "targets": []}, "no list of 'targets'"),
        ({"question": "q", "targets": [{"file": "x"}]}, "a target without a path"),
        ({"question": "q", "targets": [{"path": "x", "line": 0}]}, "whose line is 0"),
        ({"question": "q", "targets": [{"path": "x", "start_line": 5, "end_line": 2}]}, "ends, at line 2"),
        ({"question": "q", "targets": ["x"], "repo": 3}, "no name of a repository"),
    ],
)
def test_a_line_that_is_no_label_is_refused_with_its_number_and_what_is_expected(tmp_path, line, says):
    file = write(tmp_path, {"question": "q", "targets": ["x"]}, line)
    with pytest.raises(BadInput) as refused:
        read_labels(file)
    assert f"{file}:2 " in refused.value.message
    assert says in refused.value.message
    assert '"question"' in refused.value.hint and '"targets"' in refused.value.hint


def test_a_file_that_is_not_there_empty_or_no_text_is_refused(tmp_path):
    with pytest.raises(PathNotFound):
        read_labels(tmp_path / "none.jsonl")
    with pytest.raises(BadInput, match="no questions"):
        read_labels(write(tmp_path, ""))
    binary = tmp_path / "binary"
    binary.write_bytes(b"{}\n\xff\xfe")
    with pytest.raises(BadInput, match="binary:2 is not UTF-8"):
        read_labels(binary)
    array = tmp_path / "array.json"
    array.write_text('[{"name": "api"}]')
    with pytest.raises(BadInput, match='repository 1 has no list of "queries"'):
        read_labels(array)


def test_the_latest_judgement_of_a_file_counts_and_questions_without_a_right_answer_do_not():
    rows = [
        {"question": "q", "repo": "r", "path": path, "answers": answers}
        for path, answers in [("a", True), ("b", True), ("b", False), ("c", False), ("c", True)]
    ]
    rows.append({"question": "p", "repo": "r", "path": "a", "answers": False})
    (one,), without = of_judgements(rows)
    assert (one.question, one.repos, [target["path"] for target in one.targets]) == ("q", ("r",), ["a", "c"])
    assert without == 1


def test_questions_are_asked_and_measured_by_repository(engine, store):
    labels = [
        label("exponential backoff", "src/retry.py"),
        label("listen and serve", "src/http/server.go", repo="github.com/acme/api"),
        label("listen and serve", "gone/server.go"),
        label("polish a stone", "tool.py", repo="/home/me/tool"),
        label("polish a stone", "tool.py", repo=""),
        label("anything", "x", repo="acme/none"),
    ]
    found = evaluate(labels, store.sources(), engine_of(engine))
    assert [row.repo for row in found.judged] == ["github.com/acme/api"] * 3 + ["local//home/me/tool", ""]
    assert [row.is_missed for row in found.judged] == [False, False, True, False, False]
    assert found.left_out == [(labels[-1], "acme/none is not indexed")]
    assert found.means()["hit@5"] == pytest.approx(4 / 5)
    assert set(found.by_repository()) == {"", "local//home/me/tool", "github.com/acme/api"}
    assert found.interval is None  # of five questions it would say nothing
    low, high = evaluate(labels * 2, store.sources(), engine_of(engine)).interval
    assert low < found.means()["ndcg"] < high
    paths = {"": {"tool.py"}, "local//home/me/tool": {"tool.py"}}
    missing = unknown_targets(found, lambda repo: paths.get(repo, {"src/http/server.go", "src/retry.py"}))
    assert [(row.label.targets[0]["path"], path) for row, path in missing] == [("gone/server.go", "gone/server.go")]


def test_a_question_that_cannot_be_read_is_named_by_its_place(engine, store):
    with pytest.raises(BadInput, match="here: the question cannot be read"):
        evaluate([label("/(/", "x")], store.sources(), engine_of(engine))
    with pytest.raises(BadInput, match="acme/none is not indexed"):
        evaluate([label("q", "x", repo="acme/none")], store.sources(), engine_of(engine))


def test_an_interval_of_nothing_is_none_and_of_equal_values_is_that_value():
    assert all(map(math.isnan, interval_of_mean([])))
    assert interval_of_mean([0.25] * 5) == (0.25, 0.25)


def engine_of(engine):
    """`CodeSearch.search` of an index that has no folders to look at."""
    return lambda question, *, refresh, **options: engine.search(question, **options)
