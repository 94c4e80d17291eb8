"""`codequarry webhooks`: makes the addresses that forges post to, and says what to enter there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, NotFound, RepositoryNotFound
from codequarry.service.commands import add_json
from codequarry.service.progress import ago

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.ports import Ledger
    from codequarry.service.providers import Provider
    from codequarry.service.terminal import Terminal
    from codequarry.settings import Settings
    from codequarry.types import Hook

DESCRIPTION = """Makes an address to which a forge posts when something was pushed, with a secret of its own, and says what to
enter at the forge. `rotate` makes a new secret; the one before stays good until `rotate --finish`, so that no delivery is
lost. A webhook without a repository (--provider) is an organisation's."""

EXAMPLES = """  codequarry webhooks add acme/api
  codequarry webhooks add acme/api --provider gitlab --signed --url https://search.example.com
  codequarry webhooks add --provider github
  codequarry webhooks list
  codequarry webhooks rotate acme/api
  codequarry webhooks rotate acme/api --finish
  codequarry webhooks remove acme/api"""


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "add", "rotate", "remove"), default="list", help="what to do (list)"
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="REPO",
        help="a registered repository: its full name, or the end of it; or a webhook's id",
    )
    parser.add_argument(
        "--provider",
        choices=("github", "gitlab", "bitbucket", "bitbucket-server", "gitea", "forgejo", "azure"),
        help="who posts, where the name of the host does not say it",
    )
    parser.add_argument("--signed", action="store_true", help="GitLab: a secret that signs, in place of a token")
    parser.add_argument("--url", default="", metavar="URL", help="where the forge reaches the service (public_url)")
    parser.add_argument("--finish", action="store_true", help="rotate: from now on only the newest secret counts")
    add_json(parser)


def run(args: Namespace, terminal: Terminal) -> int:
    """Lists, makes, changes or removes; `list` gives 1 when there is none."""
    from codequarry.settings import load
    from codequarry.store import open_ledger

    if args.action in ("rotate", "remove") and not args.name:
        raise BadInput(f"{args.action} which webhook?", hint="codequarry webhooks lists them")
    settings = load()
    ledger = open_ledger(args.store or settings.store, settings)
    try:
        action = {"list": _list, "add": _add, "rotate": _rotate, "remove": _remove}[args.action]
        return action(args, terminal, ledger, settings)
    finally:
        ledger.close()


def _list(args: Namespace, terminal: Terminal, ledger: Ledger, settings: Settings) -> int:
    hooks = _hooks(ledger, args.name) if args.name else ledger.hooks()
    if args.json:
        terminal.json({"webhooks": [_shown(hook, args, settings) for hook in hooks]})
    else:
        terminal.lines(_line(hook, terminal, time.time()) for hook in hooks)
        if not hooks:
            terminal.say("no webhooks; codequarry webhooks add REPO makes one")
    return 0 if hooks else 1


def _line(hook: Hook, terminal: Terminal, now: float) -> str:
    last = "nothing was delivered yet"
    if hook.last:
        last = f"{hook.last.get('event') or 'a delivery'} {hook.last.get('outcome')} {ago(now - float(hook.last.get('at', now)))}"
        if hook.last.get("why"):
            last += f": {terminal.name(str(hook.last['why']))}"
    two = "  two secrets" if len(hook.secrets) > 1 else ""
    return f"{hook.id}  {hook.provider}  {terminal.name(hook.repo) or '(organisation)'}  {last}{two}"


def _shown(hook: Hook, args: Namespace, settings: Settings) -> dict[str, Any]:
    """The webhook as JSON shows it: without its secrets."""
    return {
        "id": hook.id,
        "provider": hook.provider,
        "repo": hook.repo,
        "url": _address(hook, args, settings),
        "secrets": len(hook.secrets),
        "added_at": hook.added_at,
        "last": dict(hook.last),
    }


def _add(args: Namespace, terminal: Terminal, ledger: Ledger, settings: Settings) -> int:
    import secrets

    from codequarry.service.providers import PROVIDERS, provider_of
    from codequarry.types import Hook

    repo = _registered(ledger, args.name) if args.name else ""
    if not repo and not args.provider:
        raise BadInput(
            "a webhook for which repository?", hint="codequarry webhooks add REPO; --provider alone: of an organisation"
        )
    known = ledger.repository(repo) if repo else None
    row: Provider | None = PROVIDERS.get(args.provider or (known.provider if known else ""))
    row = row or provider_of(repo.partition("/")[0])
    if row is None:
        raise BadInput(f"who posts for {repo}?", hint=f"--provider says it: {', '.join(PROVIDERS)}")
    if args.signed and row.name != "gitlab":
        raise BadInput(f"--signed is for GitLab; {row.title} has one way only", hint="leave it out")
    hook = Hook(secrets.token_urlsafe(16).replace("-", "_"), row.name, repo, (_new_secret(signed=args.signed),))
    ledger.save_hook(hook)
    _paste(hook, args, terminal, settings, row)
    return 0


def _rotate(args: Namespace, terminal: Terminal, ledger: Ledger, settings: Settings) -> int:
    from dataclasses import replace

    from codequarry.service.providers import PROVIDERS, SIGNING_PREFIX

    hook = _one_hook(ledger, args.name)
    if args.finish:
        ledger.save_hook(replace(hook, secrets=hook.secrets[:1]))
        if args.json:
            terminal.json(_shown(replace(hook, secrets=hook.secrets[:1]), args, settings))
        else:
            terminal.say(f"{hook.id}: only the newest secret counts now")
        return 0
    signed = args.signed or hook.secrets[0].startswith(SIGNING_PREFIX)
    hook = replace(hook, secrets=(_new_secret(signed=signed), *hook.secrets[:1]))
    ledger.save_hook(hook)
    _paste(hook, args, terminal, settings, PROVIDERS[hook.provider])
    if not args.json:
        terminal.say("The secret before counts too until: codequarry webhooks rotate " + hook.id + " --finish")
    return 0


def _remove(args: Namespace, terminal: Terminal, ledger: Ledger, settings: Settings) -> int:
    hooks = _hooks(ledger, args.name)
    if not hooks:
        raise NotFound(f"there is no webhook of {args.name!r}", hint="codequarry webhooks lists them")
    for hook in hooks:
        ledger.delete_hook(hook.id)
    if args.json:
        terminal.json({"removed": [hook.id for hook in hooks]})
    else:
        terminal.lines(f"removed {hook.id}" for hook in hooks)
    return 0


def _paste(hook: Hook, args: Namespace, terminal: Terminal, settings: Settings, row: Provider) -> None:
    """Prints what to enter at the forge. It is the only time that the secret is shown."""
    from codequarry.service.providers import SIGNING_PREFIX

    secret, url = hook.secrets[0], _address(hook, args, settings)
    if args.json:
        terminal.json(_shown(hook, args, settings) | {"secret": secret})
        return
    field = "Signing token" if secret.startswith(SIGNING_PREFIX) else "Secret token"
    where = hook.repo or "the organisation"
    terminal.say(f"At {row.title}, in {terminal.name(where)}:")
    terminal.lines(line.format(url=url, secret=secret, field=field) for line in row.paste)
    if not (args.url or settings.public_url):
        terminal.say("The forge must reach that address: the setting public_url (or --url) says how it does.")
    if not url.startswith("https://"):
        terminal.say("Over plain http others can read the secret of some forges; put TLS in front of the service.")


def _address(hook: Hook, args: Namespace, settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = (args.url or settings.public_url or f"http://{host}:{settings.port}").rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise BadInput(f"{base!r} is no address", hint="like https://search.example.com")
    return f"{base}/v1/webhooks/{hook.provider}/{hook.id}"


def _new_secret(*, signed: bool) -> str:
    import base64
    import secrets

    from codequarry.service.providers import SIGNING_PREFIX

    if signed:
        return SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


def _registered(ledger: Ledger, name: str) -> str:
    """The full name of a registered repository.

    Raises:
        RepositoryNotFound: none is called so, or several are.
    """
    found = [one.repo for one in ledger.repositories()]
    fitting = [repo for repo in found if repo == name] or [
        repo for repo in found if f"/{repo}".endswith(f"/{name.strip('/')}")
    ]
    if len(fitting) > 1:
        raise BadInput(
            f"{name!r} fits {len(fitting)} repositories: {', '.join(fitting[:5])}", hint="give the full name"
        )
    if not fitting:
        raise RepositoryNotFound(
            f"no repository {name!r} is registered", hint="codequarry repositories add ADDRESS registers it"
        )
    return fitting[0]


def _hooks(ledger: Ledger, name: str) -> list[Hook]:
    """The webhooks of an id or a repository."""
    hook = ledger.hook(name)
    return [hook] if hook else ledger.hooks(_registered(ledger, name))


def _one_hook(ledger: Ledger, name: str) -> Hook:
    hooks = _hooks(ledger, name)
    if len(hooks) != 1:
        what = f"{name!r} has {len(hooks)} webhooks" if hooks else f"there is no webhook of {name!r}"
        raise NotFound(what, hint="codequarry webhooks lists their ids")
    return hooks[0]
