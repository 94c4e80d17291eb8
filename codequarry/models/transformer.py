"""Models that sentence-transformers loads; the one module that imports it, and torch with it, also for `rerankers`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codequarry.errors import ModelError
from codequarry.models.vectors import digest, numpy


class TransformerEmbedder:
    """Any model that sentence-transformers loads: `model` is a hub name or a folder.

    Prompts are the model's own (`encode_query`, `encode_document`) unless given; `""` is no prompt. `device` "auto" takes
    a GPU if there is one. `backend` is torch, onnx or openvino. Texts go through sorted by length, `batch_size` at a time, longest
    first, so that little is padded; what is longer than the model reads is cut there. A blank text has a zero vector.

    The fingerprint has what the vectors depend on: the content of a local folder, or name and commit of a hub model, with
    prompts, dimensions, the length at which texts are cut, and the backend. The device is left out: it only moves rounding.

    Raises:
        ModelError: sentence-transformers is not installed, or the model cannot be loaded or fails.
    """

    cached = True

    def __init__(
        self,
        model: str,
        *,
        name: str | None = None,
        truncate_dim: int | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        device: str = "auto",
        backend: str = "torch",
        batch_size: int = 64,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        from threading import Lock

        self.name = name or f"transformers:{model}"
        self._batch_size = batch_size
        self._prompts = {"query": query_prompt, "document": document_prompt}
        self._lock = Lock()  # the tokenizers of transformers cannot be used by two threads at once
        self._model = _load_transformer(
            model,
            device=None if device == "auto" else device,
            backend=backend,
            truncate_dim=truncate_dim,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        self.dim = len(self._encode(["dimensions"], "document"))
        own = dict(getattr(self._model, "prompts", None) or {})
        self.fingerprint = digest(
            b"transformers",
            _identity(model, revision).encode(),
            repr((self.dim, truncate_dim, backend, getattr(self._model, "max_seq_length", None))).encode(),
            repr(
                (query_prompt, document_prompt, sorted(own.items()), getattr(self._model, "default_prompt_name", None))
            ).encode(),
        )

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return self._encode(texts, "document")

    def embed_question(self, text: str) -> bytes:
        """The vector of one question, `(dim,)` int8, with the model's prompt for questions."""
        return self._encode([text], "query")

    def _encode(self, texts: Sequence[str], side: str) -> bytes:
        if not texts:
            return b""
        np = numpy()
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        try:
            with self._lock:
                vectors = encode(
                    list(texts),
                    prompt=self._prompts[side],
                    batch_size=self._batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
        except Exception as error:  # whatever torch, onnxruntime or the model's own code raises
            raise ModelError(
                f"the embedding model {self.name!r} failed: {error}",
                hint="if memory ran out, choose a smaller batch size or a smaller model",
                retryable=True,
            ) from error
        floats = np.asarray(vectors, np.float64)
        if not np.isfinite(floats).all():
            raise ModelError(
                f"the embedding model {self.name!r} gave values that are no numbers", hint="try another precision"
            )
        floats[[not text.strip() for text in texts]] = 0.0
        lengths = np.sqrt((floats * floats).sum(axis=1, keepdims=True))
        lengths[lengths == 0.0] = 1.0
        return bytes(np.rint(floats * 127.0 / lengths).astype(np.int8).tobytes())


def _load_transformer(model: str, *, backend: str, **options: Any) -> Any:
    return loaded(
        f"the embedding model {model!r}",
        'use the model "code"',
        lambda library: library.SentenceTransformer(model, backend=backend, **options),
    )


def loaded(what: str, otherwise: str, make: Callable[[Any], Any]) -> Any:
    """What `make` makes of the library sentence-transformers. `what` is the model as errors name it, `otherwise` a way without.

    Raises:
        ModelError: the library is not installed, or the model cannot be loaded.
    """
    try:
        with _quiet():
            import sentence_transformers
    except ImportError as error:
        raise ModelError(
            f"{what} needs sentence-transformers: {error}",
            hint=f'pip install "codequarry[transformers]", or {otherwise}',
        ) from error
    try:
        with _quiet():
            return make(sentence_transformers)
    except Exception as error:  # OSError, ValueError, ImportError, the hub's and torch's own errors
        said = str(error).strip().partition("\n")[0]
        hint = "check the name or the path; a model from the hub needs the network the first time"
        if "pip install" in said:  # a backend or a model that needs one more package says so in its first line
            hint = "install what the message names"
        raise ModelError(f"{what} cannot be loaded: {said}", hint=hint) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps warnings, progress bars and load reports off a terminal that shows search results; restores them afterwards."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from transformers.utils import logging
        except ImportError:
            yield
            return
        level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bar:
                logging.enable_progress_bar()


def _identity(model: str, revision: str | None) -> str:
    """What the weights are: a digest of a folder's files, or the name and, as far as it is known, the commit of a hub model."""
    if Path(model).is_dir():
        return _folder_digest(model)
    name = model if "/" in model else f"sentence-transformers/{model}"  # as sentence-transformers reads a bare name
    try:
        from huggingface_hub import try_to_load_from_cache

        for file in ("modules.json", "config.json"):
            found = try_to_load_from_cache(name, file, revision=revision)
            if isinstance(found, str):
                return f"{name}@{Path(found).parent.name}"  # .../snapshots/COMMIT/modules.json
    except (ImportError, ValueError):
        pass
    return f"{name}@{revision or 'main'}"


def _folder_digest(folder: str) -> str:
    """A digest of the names and contents of a folder's files; hidden files and texts for people are left out."""
    import hashlib

    whole = hashlib.blake2b(digest_size=16)
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if file.startswith(".") or file.endswith(".md"):
                continue
            path = os.path.join(base, file)
            with open(path, "rb") as stream:
                content = hashlib.file_digest(stream, "blake2b").digest()
            whole.update(os.path.relpath(path, folder).encode("utf-8", "surrogateescape") + b"\0" + content)
    return whole.hexdigest()


def json_of(model: str, file: str) -> dict[str, Any]:
    """A file of settings of a model, from its folder or from the hub; {} where it has none or cannot be asked."""
    import json

    try:
        if Path(model).is_dir():
            path = Path(model) / file
        else:
            from huggingface_hub import hf_hub_download

            path = Path(hf_hub_download(model, file))
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ImportError, OSError, ValueError):  # loading the model will say what is wrong
        return {}
    return found if isinstance(found, dict) else {}
