"""What is said of rerankers that cannot be opened; real models are in tests/transformers."""

from __future__ import annotations

import sys

import pytest

from codequarry.errors import BadInput, ModelError
from codequarry.models.rerankers import open_reranker
from codequarry.service import doctor
from codequarry.settings import Settings


@pytest.mark.parametrize(
    "name", ["", "late", "late:", "cross-encoder: ", "bm25:x", "cross-encoder/ms-marco-MiniLM-L6-v2"]
)
def test_a_name_that_is_none_says_what_would_be(name):
    with pytest.raises(BadInput, match="not a reranker") as caught:
        open_reranker(name)
    assert "cross-encoder:NAME" in caught.value.hint and "late:NAME" in caught.value.hint


@pytest.mark.parametrize("kind", ["late", "cross-encoder"])
def test_without_the_extra_an_error_says_how_it_is_installed(kind, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match="needs sentence-transformers") as caught:
        open_reranker(f"{kind}:{tmp_path}")
    assert 'pip install "codequarry[transformers]"' in caught.value.hint
    assert "leave the setting reranker empty" in caught.value.hint


def test_doctor_says_that_a_reranker_cannot_be_loaded(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    check = doctor.reranker(Settings(tmp_path, reranker=f"late:{tmp_path}"))
    assert (check.part, check.ok) == ("reranker", False)
    assert "needs sentence-transformers" in check.says and "pip install" in check.hint
