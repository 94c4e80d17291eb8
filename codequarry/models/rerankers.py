"""Rerankers: models that read a question together with code, behind the port `codequarry.ports.Reranker`.

    cross-encoder:NAME  a model that reads both texts at once and gives one score (Nogueira and Cho, 2019)
    late:NAME           a vector for each token; each of the question's is compared with the likest of the code's (ColBERT: Khattab
                        and Zaharia, 2020). NAME is a model trained for that, or any embedding model of sentence-transformers

NAME is a hub name or a folder. Both need codequarry[transformers]; nothing of that is imported before a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, ModelError
from codequarry.models.transformer import json_of, loaded
from codequarry.models.vectors import numpy

if TYPE_CHECKING:
    from codequarry.ports import Reranker

_TRAINED = ("ForSequenceClassification", "ForCausalLM")  # what a model is called that has learnt to score a pair
_OTHERWISE = "leave the setting reranker empty"


def open_reranker(name: str, *, device: str = "auto", batch_size: int = 64) -> Reranker:
    """The reranker of that name, loaded. `device` "auto" takes a GPU if there is one.

    Raises:
        BadInput: the name cannot be used.
        ModelError: the model is not installed, cannot be loaded, or is none of its kind.
    """
    kind, _, model = name.partition(":")
    opened = _KINDS.get(kind)
    if opened is None or not model.strip():
        raise BadInput(
            f"not a reranker: {name!r}", hint='write "cross-encoder:NAME" or "late:NAME", or nothing for none'
        )
    return opened(name, model, None if device == "auto" else device, batch_size)


class CrossEncoderReranker:
    """Any cross-encoder with one score that sentence-transformers loads; a score is what the model gives before a sigmoid."""

    def __init__(self, name: str, model: str, device: str | None, batch_size: int) -> None:
        self.name, self._batch_size, self._lock = name, batch_size, Lock()
        self._model = loaded(
            f"the reranker {model!r}", _OTHERWISE, lambda library: library.CrossEncoder(model, device=device)
        )
        kinds = getattr(self._model.config, "architectures", None) or []
        if not all(kind.endswith(_TRAINED) for kind in kinds) or self._model.num_labels != 1:
            # An embedding model loads as well: what scores would be made up at random.
            raise ModelError(
                f"{model!r} is no cross-encoder with one score: it is {', '.join(kinds)}, {self._model.num_labels} scores",
                hint=f"late:{model} takes an embedding model; a cross-encoder is one like cross-encoder/ms-marco-MiniLM-L6-v2",
            )
        from torch.nn import Identity

        self._as_it_is = Identity()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers."""
        return _guarded(
            self.name,
            self._lock,
            lambda: self._model.predict(
                [(question, text) for text in texts],
                batch_size=self._batch_size,
                show_progress_bar=False,
                activation_fn=self._as_it_is,
            ),
        )


class LateReranker:
    """The mean over the question's tokens of the cosine to the likest token of a text, special tokens left out."""

    def __init__(self, name: str, model: str, device: str | None, batch_size: int) -> None:
        self.name, self._batch_size, self._lock = name, batch_size, Lock()
        kind = "MultiVectorEncoder" if _has_token_vectors(model) else "SentenceTransformer"
        self._model = loaded(
            f"the reranker {model!r}", _OTHERWISE, lambda library: getattr(library, kind)(model, device=device)
        )
        self._is_made_for_it = kind == "MultiVectorEncoder"

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers."""
        return _guarded(self.name, self._lock, lambda: self._likeness(question, texts))

    def _likeness(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        (asked,) = self._tokens(self._model.encode_query, [question])
        found = self._tokens(self._model.encode_document, texts)
        return [float((asked @ tokens.T).max(axis=1).mean()) if len(asked) and len(tokens) else 0.0 for tokens in found]

    def _tokens(self, encode: Callable[..., Any], texts: Sequence[str]) -> list[Any]:
        """The unit vectors of each text's tokens, an array each."""
        np = numpy()
        options: dict[str, Any] = {"batch_size": self._batch_size, "show_progress_bar": False}
        if self._is_made_for_it:
            vectors = encode(list(texts), convert_to_numpy=True, **options)
        else:
            special = set(self._model.tokenizer.all_special_ids)
            vectors = []
            for found in encode(list(texts), output_value=None, **options):
                ids = found["input_ids"].tolist()
                kept = [at for at, number in enumerate(ids) if number not in special]
                vectors.append(found["token_embeddings"].float().cpu().numpy()[kept])
        lengths = [np.sqrt((each * each).sum(axis=1, keepdims=True)) for each in vectors]
        return [each / np.maximum(length, 1e-9) for each, length in zip(vectors, lengths, strict=True)]


_KINDS: dict[str, Callable[[str, str, str | None, int], Reranker]] = {
    "cross-encoder": CrossEncoderReranker,
    "late": LateReranker,
}


def _has_token_vectors(model: str) -> bool:
    """Whether a model was trained for late interaction; another one would get a layer at random if it were loaded as such."""
    return json_of(model, "config_sentence_transformers.json").get("model_type") in (
        "MultiVectorEncoder",
        "ColBERT",
    ) or "HF_ColBERT" in (json_of(model, "config.json").get("architectures") or ())


def _guarded(name: str, lock: Lock, ask: Callable[[], Sequence[float]]) -> list[float]:
    """What the model says, as numbers; one thread at a time, as the tokenizers of transformers are not made for more."""
    try:
        with lock:
            found = [float(score) for score in ask()]
    except Exception as error:  # whatever torch or the model's own code raises
        raise ModelError(
            f"the reranker {name!r} failed: {str(error).strip().partition(chr(10))[0]}",
            hint="if memory ran out, choose a smaller batch size or a smaller model",
            retryable=True,
        ) from error
    if not all(abs(score) < float("inf") for score in found):
        raise ModelError(f"the reranker {name!r} gave values that are no numbers", hint="try another model")
    return found
