"""`codequarry repositories`: lists what is indexed or kept so, registers repositories with the service, or removes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from codequarry.errors import BadInput, IndexMissing, NotFound, RepositoryNotFound
from codequarry.service.commands import add_json, chosen, flat, open_quarry

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from codequarry.ingest.forges import Discovery
    from codequarry.ports import Ledger
    from codequarry.service.terminal import Terminal
    from codequarry.settings import Settings
    from codequarry.types import Repository, SourceState

DESCRIPTION = """Lists the indexed repositories with their branches and folders, registers repositories that the service keeps
indexed (codequarry serve), or removes one. `add` takes addresses, or the name of an organisation, whose repositories are listed
through the API of its forge. Removing touches no file outside the index."""

EXAMPLES = """  codequarry repositories
  codequarry repositories list --json
  codequarry repositories add https://github.com/acme/api git@github.com:acme/web.git
  codequarry repositories add https://github.com/acme/api --branch main --branch 'release-*'
  codequarry repositories add --github-org acme --exclude '*-archive' --dry-run
  codequarry repositories add --gitlab-group acme/backend --api https://gitlab.corp.example --credential gitlab
  codequarry repositories add --gitea-org acme --api https://gitea.corp.example --token-env GITEA_READ
  codequarry repositories remove github.com/acme/api
  codequarry repositories remove acme/api --branch release-2"""

_ORGANISATIONS = {"github": "org", "gitlab": "group", "gitea": "org"}


def arguments(parser: ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "action", nargs="?", choices=("list", "add", "remove"), default="list", help="what to do (list)"
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="the repository: its full name, or the end of it; for add: its address for git",
    )
    parser.add_argument(
        "--branch",
        action="append",
        default=[],
        metavar="NAME",
        help="only this branch of it; worktree:FOLDER for a folder; for add: keep these indexed, names or globs",
    )
    add_json(parser)
    adding = parser.add_argument_group("add")
    adding.add_argument("--credential", default="", metavar="NAME", help="the credential that git is given for them")
    adding.add_argument(
        "--group", action="append", default=[], metavar="GROUP", help="who may see them, repeatable; none: everyone"
    )
    adding.add_argument("--include-generated", action="store_true", help="also files marked as generated or vendored")
    organisation = parser.add_argument_group("add, of an organisation")
    organisation.add_argument("--github-org", metavar="ORG", help="those of an organisation or user on GitHub")
    organisation.add_argument("--gitlab-group", metavar="GROUP", help="those of a group, its subgroups too, on GitLab")
    organisation.add_argument(
        "--gitea-org", metavar="ORG", help="those of an organisation on Gitea or Forgejo; needs --api"
    )
    organisation.add_argument(
        "--api", default="", metavar="URL", help="the forge, where it is not github.com or gitlab.com"
    )
    organisation.add_argument(
        "--token-env",
        default="",
        metavar="NAME",
        help="environment variable with a token for its API (GITHUB_TOKEN, GITLAB_TOKEN, GITEA_TOKEN)",
    )
    organisation.add_argument(
        "--include", action="append", default=[], metavar="GLOB", help="only these: globs of owner/name, repeatable"
    )
    organisation.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="not these, repeatable")
    organisation.add_argument("--forks", action="store_true", help="forks too")
    organisation.add_argument("--archived", action="store_true", help="archived ones too")
    organisation.add_argument("--ssh", action="store_true", help="fetch by ssh instead of https")
    organisation.add_argument("--dry-run", action="store_true", help="only say what would be registered")


def run(args: Namespace, terminal: Terminal) -> int:
    """Lists, registers or removes; 1 when there is nothing."""
    from codequarry.settings import load

    if args.action == "add":
        return _add(args, terminal, load())
    if len(args.names) > 1 or len(args.branch) > 1:
        raise BadInput("only one repository or branch at once", hint="run it again for the others")
    name, branch = (args.names or [None])[0], (args.branch or [None])[0]
    if args.action == "remove":
        if not name:
            raise BadInput("which repository is to be removed?", hint="codequarry repositories lists them")
        return _remove(args, terminal, load(), name, branch)
    return _list(args, terminal, load(), name, branch)


# ----------------------------------------------------------------------------------------------------------------- listing


def _list(args: Namespace, terminal: Terminal, settings: Settings, name: str | None, branch: str | None) -> int:
    ledger = _ledger(args, settings, create=False)
    registered = ledger.repositories() if ledger else []
    if ledger:
        ledger.close()
    states: list[SourceState] = []
    try:
        with open_quarry(args) as quarry:
            states = chosen(quarry.repositories(), name, branch)
    except (IndexMissing, RepositoryNotFound):
        if not registered:
            raise
    indexed = {state.source.repo for state in states}
    waiting = [one for one in registered if one.repo not in indexed and branch is None and _fits(one.repo, name)]
    if name and not states and not waiting:
        raise RepositoryNotFound(f"no repository {name!r} is indexed or registered", hint="codequarry repositories")
    if args.json:
        terminal.json({"repositories": [flat(state) for state in states], "waiting": [one.repo for one in waiting]})
    else:
        terminal.lines(f"{terminal.name(state.source.repo)}\t{terminal.name(state.source.branch)}" for state in states)
        terminal.lines(f"{terminal.name(one.repo)}\t({_why(one)})" for one in waiting)
    return 0 if states or waiting else 1


def _why(repository: Repository) -> str:
    if repository.state == "active":
        return "registered, not indexed yet"
    return f"{repository.state}: {repository.note}" if repository.note else repository.state


def _fits(repo: str, name: str | None) -> bool:
    return name is None or f"/{repo}".endswith(f"/{name.strip('/')}")


def _ledger(args: Namespace, settings: Settings, *, create: bool) -> Ledger | None:
    """The ledger of the service that belongs to the index; None where there is none, unless one is to be made."""
    from codequarry.store import open_ledger

    location = args.store or settings.store
    if not create and "://" not in location and not (Path(location).expanduser() / "ledger.db").exists():
        return None
    return open_ledger(location, settings)


# ---------------------------------------------------------------------------------------------------------------- removing


def _remove(args: Namespace, terminal: Terminal, settings: Settings, name: str, branch: str | None) -> int:
    """Takes it out of the index, and off the list of the service, which would index it again."""
    ledger = _ledger(args, settings, create=False)
    try:
        registered = [
            one.repo for one in (ledger.repositories() if ledger else []) if one.repo == name or _fits(one.repo, name)
        ]
        states: list[SourceState] = []
        try:
            with open_quarry(args) as quarry:
                states = chosen(quarry.repositories(), name, branch)
                if branch is None and (folders := _only_folders(states, name)):
                    if len(folders) > 1:
                        raise BadInput(
                            f"{name!r} fits {len(folders)} folders: {', '.join(folders)}", hint="give the whole path"
                        )
                    branch = states[0].source.branch
                repos = sorted({state.source.repo for state in states} | (set(registered) if branch is None else set()))
                if name in repos:
                    repos = [name]
                if len(repos) > 1:
                    raise BadInput(
                        f"{name!r} fits {len(repos)} repositories: {', '.join(repos)}", hint="give the full name"
                    )
                if branch is not None and ledger and repos[0] in registered:
                    raise BadInput(
                        f"the service keeps {repos[0]} indexed, and would index that branch again",
                        hint="codequarry repositories add ADDRESS --branch … says which branches it keeps",
                    )
                if ledger and repos[0] in registered:
                    ledger.remove(repos[0])
                removed = quarry.forget(repos[0], branch)
        except (IndexMissing, RepositoryNotFound):
            if len(registered) != 1 or branch is not None or ledger is None:
                raise
            ledger.remove(registered[0])
            removed = []
            repos = registered
    finally:
        if ledger:
            ledger.close()
    if args.json:
        terminal.json({"removed": removed, "unregistered": [repo for repo in repos if repo in registered]})
    else:
        terminal.lines(f"removed {terminal.name(str(source))}" for source in removed)
        terminal.lines(f"unregistered {terminal.name(repo)}" for repo in repos if repo in registered)
    return 0


def _only_folders(states: list[SourceState], name: str) -> list[str]:
    """The folders that a name means, where it is the name of a folder and not of a repository."""
    if any(state.source.repo == name or _fits(state.source.repo, name) for state in states):
        return []
    return [state.source.folder or "" for state in states]


# ------------------------------------------------------------------------------------------------------------- registering


def _add(args: Namespace, terminal: Terminal, settings: Settings) -> int:
    from codequarry.hints import queue_of
    from codequarry.ingest.poller import ask

    wanted, left_out = _wanted(args, settings)
    added: list[str] = []
    known: list[str] = []
    if args.dry_run:
        added = [repository.repo for repository in wanted]
    else:
        ledger, queue = _ledger(args, settings, create=True), queue_of(settings)
        assert ledger is not None
        try:
            for repository in wanted:
                before = ledger.repository(repository.repo)
                ledger.register(_as_asked(repository, before, args))
                ask(ledger, queue, repository.repo, "request")
                (known if before else added).append(repository.repo)
        finally:
            ledger.close()
            if queue is not None:
                queue.close()
    if args.json:
        terminal.json({"added": added, "known": known, "left_out": left_out, "dry_run": args.dry_run})
        return 0 if wanted else 1
    terminal.lines(f"{'would add' if args.dry_run else 'added'} {terminal.name(repo)}" for repo in added)
    terminal.lines(f"was there {terminal.name(repo)}" for repo in known)
    for reason, paths in sorted(left_out.items()):
        terminal.say(
            f"left out, {reason}: {len(paths):,} ({', '.join(terminal.name(path) for path in paths[:5])}{', …' * (len(paths) > 5)})"
        )
    if not wanted:
        terminal.say("nothing to add")
    elif not args.dry_run:
        terminal.say("the service indexes them: codequarry serve, and codequarry jobs shows how far it is")
    return 0 if wanted else 1


def _wanted(args: Namespace, settings: Settings) -> tuple[list[Repository], dict[str, list[str]]]:
    """The repositories that are to be registered, and what an organisation has beside them, by reason."""
    from dataclasses import replace

    from codequarry.ingest.jobs import describe
    from codequarry.service.providers import provider_of

    asked = {forge: getattr(args, f"{forge}_{what}") for forge, what in _ORGANISATIONS.items()}
    given = [forge for forge, name in asked.items() if name]
    if len(given) > 1 or bool(given) == bool(args.names):
        raise BadInput(
            "give addresses, or one organisation", hint="codequarry repositories add https://github.com/acme/api"
        )
    if not given:
        if args.api or args.include or args.exclude or args.forks or args.archived or args.token_env or args.ssh:
            raise BadInput("that is for an organisation", hint="--github-org, --gitlab-group or --gitea-org names it")
        found = [describe(url, settings) for url in args.names]
        return [replace(one, provider=_provider_name(provider_of(one.repo.partition("/")[0]))) for one in found], {}
    (forge,) = given
    discovery = _discover(forge, asked[forge], args)
    wanted = []
    for listed in discovery.found:
        url = _ssh_address(listed.url) if args.ssh else listed.url
        repository = describe(url, settings)
        host = repository.repo.partition("/")[0]
        provider = _provider_name(provider_of(host)) or forge
        wanted.append(replace(repository, provider=provider, provider_id=f"{host}/{listed.id}", head=listed.default))
    return wanted, discovery.left_out


def _discover(forge: str, name: str, args: Namespace) -> Discovery:
    import os

    from codequarry.ingest.forges import FORGES, discover

    row = FORGES[forge]
    if args.token_env and not os.environ.get(args.token_env):
        raise NotFound(
            f"the environment variable {args.token_env} is not set", hint="put a token with read access into it"
        )
    return discover(
        row,
        name,
        api=args.api,
        token=os.environ.get(args.token_env or row.token_env, ""),
        include=args.include,
        exclude=args.exclude,
        forks=args.forks,
        archived=args.archived,
    )


def _provider_name(provider: Any) -> str:
    return provider.name if provider else ""


def _ssh_address(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"ssh://git@{parts.hostname}{parts.path}"


def _as_asked(repository: Repository, before: Repository | None, args: Namespace) -> Repository:
    """The repository with what the options say; what they do not say stays as it was."""
    from dataclasses import replace

    base = (
        replace(before, url=repository.url, provider=repository.provider or before.provider) if before else repository
    )
    if before and repository.provider_id:
        base = replace(base, provider_id=repository.provider_id)
    if args.branch:
        base = replace(base, branches=tuple(args.branch))
    if args.group:
        base = replace(base, access=tuple(args.group))
    if args.credential:
        base = replace(base, credential=args.credential)
    if args.include_generated:
        base = replace(base, include_generated=True)
    return base
