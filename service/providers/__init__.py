"""What each forge sends: how a delivery proves who sent it (`proofs`), and what it says (`notices`). One row a provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codequarry.service.providers.notices import (
    Named,
    Notice,
    azure,
    bitbucket_cloud,
    bitbucket_server,
    gitlab,
    like_github,
)
from codequarry.service.providers.proofs import (
    MOST_AGE_S,
    SIGNING_PREFIX,
    Headers,
    Proof,
    hex_of_body,
    password,
    signed_or_token,
)

__all__ = [
    "MOST_AGE_S",
    "PROVIDERS",
    "SIGNING_PREFIX",
    "Headers",
    "Named",
    "Notice",
    "Provider",
    "proven",
    "provider_of",
]


@dataclass(frozen=True, slots=True)
class Provider:
    """A row. `hosts`: a regular expression for the hosts that it is found at; `ids`: headers or fields with a delivery's id.

    `gives_up`: it turns a webhook off whose deliveries are refused, so one about an unknown repository is answered as if ignored.
    """

    name: str
    title: str
    hosts: str
    proof: Proof
    needs: tuple[str, ...]  # without any of these headers a delivery proves nothing
    read: Callable[[Headers, Mapping[str, Any]], Notice]
    ids: tuple[str, ...]
    paste: tuple[str, ...]  # how a webhook is set up there; {url} and {secret} are filled in
    gives_up: bool = False

    def delivery_id(self, headers: Headers, body: Mapping[str, Any]) -> str:
        """The provider's id of a delivery; one that is sent again has the same."""
        for name in self.ids:
            if found := headers.get(name) or (body.get(name) if isinstance(body.get(name), str) else ""):
                return str(found)[:200]
        return ""


def proven(provider: Provider, headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> bool:
    """Whether one of the secrets proves the delivery. An empty secret proves nothing."""
    usable = [secret for secret in secrets if secret]
    return bool(usable) and provider.proof(headers, body, usable, now)


_GITEA_PROOFS = ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256")
_GITEA_PASTE = (
    "Settings → Webhooks → Add webhook",
    "Target URL         {url}",
    "HTTP method        POST",
    "Content type       application/json",
    "Secret             {secret}",
    "Trigger on         Push, Create, Delete, Repository",
)

PROVIDERS: Mapping[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            "github",
            "GitHub",
            r"github\.com|github\..*",
            hex_of_body("x-hub-signature-256"),
            ("x-hub-signature-256",),
            like_github("x-github-event"),
            ("x-github-delivery",),
            (
                "Settings → Webhooks → Add webhook",
                "Payload URL   {url}",
                "Content type  application/json",
                "Secret        {secret}",
                "Events        Pushes, Branch or tag creation, Branch or tag deletion, Repositories",
            ),
        ),
        Provider(
            "gitlab",
            "GitLab",
            r"gitlab\.com|gitlab\..*",
            signed_or_token,
            ("x-gitlab-token", "webhook-signature"),
            gitlab,
            ("idempotency-key", "webhook-id", "x-gitlab-event-uuid"),
            (
                "Settings → Webhooks → Add new webhook",
                "URL      {url}",
                "{field}  {secret}",
                "Trigger  Push events, Tag push events",
            ),
            gives_up=True,
        ),
        Provider(
            "bitbucket",
            "Bitbucket Cloud",
            r"bitbucket\.org",
            hex_of_body("x-hub-signature"),
            ("x-hub-signature",),
            bitbucket_cloud,
            ("x-request-uuid",),
            (
                "Repository settings → Webhooks → Add webhook",
                "URL       {url}",
                "Secret    {secret}",
                "Triggers  Repository: Push, Updated",
            ),
        ),
        Provider(
            "bitbucket-server",
            "Bitbucket Data Center",
            r"bitbucket\.(?!org$).*|stash\..*",
            hex_of_body("x-hub-signature"),
            ("x-hub-signature",),
            bitbucket_server,
            ("x-request-id",),
            (
                "Repository settings → Webhooks → Create webhook",
                "URL     {url}",
                "Secret  {secret}",
                "Events  Repository: Push, Modified",
            ),
        ),
        Provider(
            "gitea",
            "Gitea",
            r"gitea\..*",
            hex_of_body(*_GITEA_PROOFS, prefix=""),
            _GITEA_PROOFS,
            like_github("x-gitea-event"),
            ("x-gitea-delivery",),
            _GITEA_PASTE,
        ),
        Provider(
            "forgejo",
            "Forgejo",
            r"codeberg\.org|forgejo\..*",
            hex_of_body(*_GITEA_PROOFS, prefix=""),
            _GITEA_PROOFS,
            like_github("x-forgejo-event", "x-gitea-event"),
            ("x-forgejo-delivery", "x-gitea-delivery"),
            _GITEA_PASTE,
        ),
        Provider(
            "azure",
            "Azure DevOps",
            r"dev\.azure\.com|ssh\.dev\.azure\.com|.*\.visualstudio\.com",
            password,
            ("authorization",),
            azure,
            ("id",),
            (
                "Project settings → Service hooks → Create subscription → Web Hooks, event: Code pushed",
                "URL                           {url}",
                "Basic authentication username  codequarry",
                "Basic authentication password  {secret}",
                "Resource details to send      All",
            ),
            gives_up=True,
        ),
    )
}


def provider_of(host: str) -> Provider | None:
    """The provider that a host is known or called for, None for any other."""
    return next((row for row in PROVIDERS.values() if re.fullmatch(row.hosts, host)), None)
