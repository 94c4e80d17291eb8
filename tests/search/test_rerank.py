"""A reranker reads the best hits and changes their order, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from builders import EMBEDDER, RECIPE, publish

from codequarry.errors import ModelError
from codequarry.search import Engine, rerank
from codequarry.store.embedded import EmbeddedStore
from codequarry.types import Source

SOURCE = Source("github.com/acme/many", "main")
FILES = {f"src/retry_{number:02}.py": f"def retry():\n    # retry z\n    return {number}\n" for number in range(30)}
FILES["tests/test_retry.py"] = "def test_retry():\n    retry = 99\n"


class Largest:
    """Prefers the text with the largest number."""

    name = "largest"

    def __init__(self):
        self.asked = []

    def scores(self, question, texts):
        self.asked.append((question, list(texts)))
        return [float(text.rstrip().rsplit(" ", 1)[-1]) for text in texts]


class Failing:
    name = "failing"

    def scores(self, question, texts):
        raise ModelError("the reranker is out of memory", retryable=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = EmbeddedStore(tmp_path_factory.mktemp("rerank") / "index", create=True)
    made.prepare(EMBEDDER, RECIPE)
    publish(made, SOURCE, FILES)
    yield made
    made.close()


def paths(answer):
    return [hit.path for hit in answer.hits]


def ask(store, query="how is retry done", reranker=None, weight=5.0, **options):
    return Engine(store, EMBEDDER, reranker=reranker, reranker_weight=weight).search(query, **{"limit": 40} | options)


def test_the_best_hits_come_in_the_order_of_the_reranker_and_the_others_stay_behind_them(store):
    before, after = paths(ask(store)), paths(ask(store, reranker=Largest()))
    assert sorted(before[: rerank.BEST]) == sorted(after[: rerank.BEST])
    assert before[rerank.BEST :] == after[rerank.BEST :] and len(before) > rerank.BEST
    assert before != after
    heavy = paths(ask(store, reranker=Largest(), weight=1000.0))[: rerank.BEST]
    assert heavy == sorted(heavy, reverse=True)


def test_it_reads_the_question_with_breadcrumb_and_code_of_the_best_hits(store):
    reranker = Largest()
    hits = ask(store).hits
    ask(store, reranker=reranker)
    ((question, texts),) = reranker.asked
    assert question == "how is retry done"
    assert texts == [f"{hit.breadcrumb}\n{hit.text}" for hit in hits[: rerank.BEST]]


def test_of_a_long_text_it_reads_title_and_prose(store):
    reranker = Largest()
    ask(store, "Retry fails\n\nafter retry_3.\n\n```\nretry = 1\n```\n", reranker=reranker)
    ((question, _),) = reranker.asked
    assert question.startswith("Retry fails\nafter retry_3.") and "```" not in question


def test_its_share_is_explained_and_the_shares_add_up(store):
    hits = ask(store, reranker=Largest(), explain=True).hits
    for hit in hits:
        assert sum(hit.why["signals"].values()) == pytest.approx(hit.score)
    assert all(rerank.SHARE not in hit.why["signals"] for hit in hits[rerank.BEST :])
    assert sum(rerank.SHARE in hit.why["signals"] for hit in hits) == rerank.BEST
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_tests_stay_last_whatever_it_says(tmp_path):
    few = EmbeddedStore(tmp_path / "index", create=True)
    few.prepare(EMBEDDER, RECIPE)
    publish(few, SOURCE, {path: text for path, text in FILES.items() if path > "src/retry_26.py"})
    found = paths(ask(few, reranker=Largest(), weight=20.0))
    few.close()
    assert found[-1] == "tests/test_retry.py" and found[:-1] == sorted(found[:-1], reverse=True)


def test_pages_follow_each_other_without_gap_or_repetition(store):
    reranker = Largest()
    whole, turned, cursor = paths(ask(store, reranker=reranker)), [], None
    while True:
        page = ask(store, reranker=reranker, limit=7, cursor=cursor)
        turned += paths(page)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert turned == whole


def test_what_patterns_and_filters_find_is_not_reranked(store):
    reranker = Largest()
    for query in ('"retry"', "path:src/**", "retry /z/"):
        ask(store, query, reranker=reranker)
    assert reranker.asked == []


def test_a_reranker_that_fails_leaves_the_ranking_and_a_note(store):
    answer = ask(store, reranker=Failing())
    assert paths(answer) == paths(ask(store))
    assert [note for note in answer.notes if "out of memory" in note]


def test_it_can_be_switched_off_for_a_question(store):
    assert paths(ask(store, reranker=Largest(), off={"reranker"})) == paths(ask(store))


def test_equal_scores_change_nothing(store):
    class Same(Largest):
        def scores(self, question, texts):
            return [0.5] * len(texts)

    assert ask(store, reranker=Same()).hits == ask(store).hits


def test_nothing_of_it_is_loaded_where_none_is_set(store):
    code = (
        "import sys; from codequarry import connect\n"
        "with connect(sys.argv[1], model='hash:64') as quarry: assert quarry.search('retry', refresh=False).hits\n"
        "assert not {'torch', 'codequarry.models.rerankers', 'codequarry.search.rerank'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, store.location], check=True)
