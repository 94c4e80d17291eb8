"""What can go wrong, as one tree; everything that codequarry raises on purpose is in it.

    CodequarryError
      BadInput            the caller can mend it                    status 400  exit 2
        QuerySyntax       a query that cannot be read, with the place
        SettingsError     a setting that cannot be used
        TooLarge          more than the service takes               status 413
      NotFound            there is no such thing                    status 404  exit 1
        RepositoryNotFound
        PathNotFound
      Denied              not for this caller                       status 403  exit 5
        NoKey             the service does not know who asks        status 401
      NotReady            it would work at another time or after a step  status 409  exit 3
        IndexMissing      nothing is indexed there
        ModelMismatch     the index was built with another embedding model
        SchemaMismatch    the index was written by another version
        WriterBusy        another process is writing
        TooBusy           the service has enough to do              status 503
        TooOften          the caller has asked too often            status 429
      Upstream            something we depend on failed             status 502  exit 4
        StoreError        the store; GitError: git; ModelError: the embedding model; ServiceError: a codequarry service
        TimedOut          no answer in time                         status 504

Every error has a `message`, a `hint` that says what to do next, a `status` for HTTP and an `exit` for the shell.
They can be pickled, since workers hand them on.
"""

from __future__ import annotations


class CodequarryError(Exception):
    """The root of the tree: `message` says what happened, `hint` what to do about it."""

    status = 500
    exit = 1
    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(kind: type[CodequarryError], state: dict[str, object]) -> CodequarryError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class BadInput(CodequarryError):
    """The caller asked for something that cannot be done as asked."""

    status, exit, code = 400, 2, "bad_input"


class QuerySyntax(BadInput):
    """A query that cannot be read. `position` is the 0-based character of `query` where it goes wrong."""

    code = "query_syntax"

    def __init__(self, message: str, *, query: str, position: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.query = query
        self.position = position


class SettingsError(BadInput):
    """A setting whose value cannot be used; `name` is its environment variable."""

    code = "settings"

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class TooLarge(BadInput):
    """The request has more bytes than the service takes."""

    status, code = 413, "too_large"


class NotFound(CodequarryError):
    """There is no such thing in the index."""

    status, exit, code = 404, 1, "not_found"


class RepositoryNotFound(NotFound):
    """No repository of that name is indexed."""

    code = "repository_not_found"


class PathNotFound(NotFound):
    """The repository is indexed, and has no such file."""

    code = "path_not_found"


class Denied(CodequarryError):
    """The caller may not do this."""

    status, exit, code = 403, 5, "denied"


class NoKey(Denied):
    """The service wants a key, and got none, or one that it does not know."""

    status, code = 401, "no_key"


class NotReady(CodequarryError):
    """It cannot be done now; the hint says what has to happen first."""

    status, exit, code = 409, 3, "not_ready"


class IndexMissing(NotReady):
    """Nothing has been indexed at this place."""

    code = "index_missing"


class ModelMismatch(NotReady):
    """The index was built with another embedding model than the one that asks."""

    code = "model_mismatch"


class SchemaMismatch(NotReady):
    """The index has a layout that this version does not read."""

    code = "schema_mismatch"


class WriterBusy(NotReady):
    """Another process is writing this source, or this embedded index."""

    code = "writer_busy"


class TooBusy(NotReady):
    """The service has as much to do as it takes. `retry_after_s`: when to ask again, in seconds."""

    status, code = 503, "too_busy"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class TooOften(TooBusy):
    """The caller has asked more often than it may."""

    status, code = 429, "too_often"


class Upstream(CodequarryError):
    """Something that codequarry depends on failed. `retryable`: the same call may work later."""

    status, exit, code = 502, 4, "upstream"

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class StoreError(Upstream):
    """The store: server not reachable, disk full, index damaged."""

    code = "store"


class GitError(Upstream):
    """The git command: not installed, or it refused."""

    code = "git"


class ModelError(Upstream):
    """The embedding model: not installed, cannot be loaded, or failed."""

    code = "model"


class ServiceError(Upstream):
    """A codequarry service that is asked over HTTP: not reachable, or its answer cannot be read."""

    code = "service"


class TimedOut(Upstream):
    """There was no answer within the time that a request may take."""

    status, code = 504, "timed_out"

    def __init__(self, message: str, *, hint: str = "", retryable: bool = True) -> None:
        super().__init__(message, hint=hint, retryable=retryable)
