"""What it means when Elasticsearch cannot be reached, or refuses: the errors, with what to do."""

from __future__ import annotations

from typing import Any

from codequarry.errors import IndexMissing, StoreError


def unreachable(url: str, error: Exception) -> StoreError:
    """The error for a server that gave no answer."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreError(
            f"the certificate of {url} is not trusted: {error.verify_message}",
            hint="name the file with its authority's certificate in CODEQUARRY_ELASTICSEARCH_CA_FILE",
        )
    if isinstance(error, ssl.SSLError):
        return StoreError(f"{url} does not speak TLS: {error}", hint="try http:// in place of https://")
    return StoreError(
        f"Elasticsearch at {url} cannot be reached: {error or type(error).__name__}",
        hint="is it running, and is the address right? For trying, `codequarry dev up` starts one",
        retryable=not isinstance(error, ConnectionRefusedError),
    )


def refused(url: str, status: int, answer: Any) -> StoreError | IndexMissing:
    """The error for an answer with a status from 400 on; `answer` is its body, parsed."""
    error = answer.get("error") if isinstance(answer, dict) else None
    kind, reason = reason_of(error)
    if status in (401, 403) and kind != "cluster_block_exception":
        return StoreError(
            f"Elasticsearch at {url} refuses: {reason or 'not allowed'}",
            hint="give a user in the URL or an API key (CODEQUARRY_ELASTICSEARCH_API_KEY) that may read and write the indices",
        )
    if kind == "cluster_block_exception":
        return blocked(reason)
    if kind == "index_not_found_exception":
        return IndexMissing(f"{url} has no index of codequarry", hint="index something first: codequarry index PATH")
    return StoreError(
        f"Elasticsearch at {url} answers {status}: {reason}",
        hint="the server's log says more" if status >= 500 else "please report this",
        retryable=status in (429, 502, 503, 504),
    )


def reason_of(error: Any) -> tuple[str, str]:
    """Type and text of an error; the innermost cause is what tells."""
    if not isinstance(error, dict):
        return "", str(error or "")
    root = (error.get("root_cause") or [error])[0]
    kind, reason = root.get("type") or "", root.get("reason") or error.get("reason") or ""
    cause = root.get("caused_by") or error.get("caused_by")
    while isinstance(cause, dict):
        reason = f"{reason}: {cause.get('reason')}"
        cause = cause.get("caused_by")
    return kind, str(reason)


def blocked(reason: str) -> StoreError:
    """A block reads as "429, later" where the disk is full, but later never comes by itself."""
    if "disk usage exceeded flood-stage" in reason or "read-only-allow-delete" in reason:
        return StoreError(
            "Elasticsearch's disk is nearly full, so it does not take writes",
            hint="free or add disk space on the server; the block goes by itself when the disk is below the high watermark",
        )
    return StoreError(
        f"writing to the index is blocked: {reason}", hint="an operator set this block (index.blocks.*); remove it"
    )
