"""`c8s token`: gives teammates access to a namespace for a while. A token is shown once, to whoever creates it."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from workbench.cli.options import DEFAULT_SANDBOX, Target, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, InputError, echo, echo_error, print_list
from workbench.text.format import format_age
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from kind.access.team_tokens import IssuedToken, KubeClient, Role, TeamToken

_TTL = re.compile(r"([1-9][0-9]{0,5})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_PROTECTED_MODE = 0o600


@dataclass(frozen=True)
class _Cluster:
    """Where tokens are issued: the API's URL for users, and the kubeconfig of someone who may issue them."""

    url: str
    kubeconfig: Path
    kube_context: str | None
    namespace: str
    name: str
    """What a teammate's context is called."""

    def connect(self) -> AbstractAsyncContextManager[KubeClient]:
        from kind.access.team_tokens import open_cluster

        return open_cluster(self.kubeconfig, self.kube_context)


@click.group()
def token() -> None:
    """Give teammates access to a namespace for a while, and take it back.

    A token belongs to a service account of its own, which is bound to a role in one namespace: `viewer` follows runs
    and reads logs and artifacts, `developer` may also run, cancel, open shells and set secrets. Creating one takes the
    cluster's own credentials, as `c8s install` does.

    \b
    Examples:
      c8s token create --role viewer --ttl 8h --file alice.c8s
      c8s token use alice.c8s                          on the teammate's machine
      c8s token list
      c8s token revoke c8s-viewer-3f9a01
    """


@token.command()
@click.option("--role", type=click.Choice(["viewer", "developer"]), required=True, help="What the token allows.")
@click.option("--ttl", default="8h", show_default=True, metavar="DURATION", help="10m to 30d; units m, h and d.")
@click.option("--for", "holder", default="", metavar="WHO", help="Who it is for; a part of the token's name.")
@click.option(
    "--format", "form", type=click.Choice(["context", "kubeconfig"]), default="context", show_default=True,
    help="A file for `c8s token use`, or one for kubectl.",
)  # fmt: skip
@click.option("--file", "-f", "file", type=click.Path(path_type=Path), help="Write it here, with mode 0600.")
@click.option("--force", is_flag=True, help="Overwrite that file.")
@click.option("--server", metavar="URL", help="The API's address for the teammate, if it is another one than yours.")
@target_options
def create(
    target: Target, role: str, ttl: str, holder: str, form: str, file: Path | None, force: bool, server: str | None
) -> None:
    """Create a token, and print what a teammate needs: once, or into a file.

    Nobody can see the token again: create another one if it is lost. A cluster may shorten the lifetime.

    \b
    Examples:
      c8s token create --role viewer --for alice --file alice.c8s
      c8s token create --role developer --namespace team-a --ttl 2d --format kubeconfig --file alice.kubeconfig
    """
    lifetime = _lifetime(ttl)
    if file is not None and not force and (file.exists() or file.is_symlink()):
        raise InputError(f"{file} exists: choose another name, or overwrite it with --force")
    if server is not None:
        from workbench.config.contexts import check_server

        if form == "kubeconfig":
            raise InputError("--server is for contexts of c8s: a kubeconfig names the Kubernetes API")
        server = check_server(server, "--server")
    run_async(_create(target, cast("Role", role), lifetime, holder, form, file, server))


async def _create(
    target: Target, role: Role, lifetime: timedelta, holder: str, form: str, file: Path | None, server: str | None
) -> None:
    from controller.files import write_atomic
    from kind.access import team_tokens

    cluster = await _cluster(target)
    if file is not None and not file.parent.is_dir():
        raise InputError(f"{file.parent} is not a folder")
    async with cluster.connect() as client:
        now = datetime.now(UTC)
        issued = await team_tokens.create(client, role, cluster.namespace, lifetime, now, holder)
        try:
            if form == "kubeconfig":
                text = team_tokens.build_kubeconfig(cluster.kubeconfig, cluster.kube_context, cluster.name, issued)
            else:
                text = _context(cluster, issued, server)
            if file is not None:
                write_atomic(file, text, mode=_PROTECTED_MODE)
        except BaseException:
            # Nobody has got it.
            await team_tokens.revoke(client, issued.account.namespace, issued.account.name)
            raise
    account = issued.account
    until = account.expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if account.expires else "an unknown time"
    echo_error(f"{account.name}: {role} in {account.namespace} until {until}")
    if account.expires is not None and account.expires < now + lifetime - timedelta(minutes=1):
        echo_error("warning: the cluster has shortened the lifetime")
    if file is None:
        echo_error("the token is shown only once:")
        sys.stdout.write(text)
    elif form == "kubeconfig":
        echo(f"written to {file} (mode 0600); use: kubectl --kubeconfig {file} get pipelineruns")
    else:
        echo(f"written to {file} (mode 0600); on the teammate's machine: c8s token use {file.name}")
    echo_error(f"take it back with: c8s token revoke {account.name}{_options(target, account.namespace)}")


@token.command("list")
@click.option("--all-namespaces", "-A", is_flag=True, help="Of all namespaces.")
@output_option
@target_options
def list_(target: Target, all_namespaces: bool, output: str) -> None:
    """List tokens: who has them, what they allow, and when they expire. Never the tokens themselves."""
    run_async(_list(target, all_namespaces, output))


async def _list(target: Target, all_namespaces: bool, output: str) -> None:
    from kind.access import team_tokens

    cluster = await _cluster(target)
    async with cluster.connect() as client:
        found = await team_tokens.list_tokens(client, None if all_namespaces else cluster.namespace)
    now = datetime.now(UTC)
    nothing = "no tokens" if all_namespaces else f"no tokens in the namespace {cluster.namespace}"
    rows = [(t.name, t.role, t.namespace, t.holder or "-", _age(t.created, now), _expiry(t, now)) for t in found]
    documents = [_document(each, now) for each in found]
    print_list(documents, output, ("TOKEN", "ROLE", "NAMESPACE", "FOR", "AGE", "EXPIRES"), rows, nothing)


@token.command()
@click.argument("names", nargs=-1, metavar="[TOKEN]...")
@click.option("--expired", is_flag=True, help="Remove all that have expired.")
@target_options
def revoke(target: Target, names: tuple[str, ...], expired: bool) -> None:
    """Revoke tokens. Kubernetes refuses them at once, the controller within ten seconds, also on open streams soon.

    \b
    Examples:
      c8s token revoke c8s-alice-3f9a01
      c8s token revoke --expired --namespace team-a
    """
    if not names and not expired:
        raise InputError("name a TOKEN, or give --expired; `c8s token list` shows them")
    run_async(_revoke(target, names, expired))


async def _revoke(target: Target, names: tuple[str, ...], expired: bool) -> None:
    from kind.access import team_tokens

    cluster = await _cluster(target)
    async with cluster.connect() as client:
        chosen = list(dict.fromkeys(names))
        if expired:
            now = datetime.now(UTC)
            found = await team_tokens.list_tokens(client, cluster.namespace)
            chosen += [each.name for each in found if each.has_expired(now) and each.name not in chosen]
        for name in chosen:
            await team_tokens.revoke(client, cluster.namespace, name)
            echo(f"token {sanitize_line(name, colour=False)} is revoked")
    if not chosen:
        echo_error(f"no tokens in the namespace {cluster.namespace} have expired")


@token.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--as", "name", metavar="NAME", help="Name of the context, if not the one in the file.")
@click.option("--force", is_flag=True, help="Replace another context of that name.")
def use(file: Path | None, name: str | None, force: bool) -> None:
    """Add the context of a FILE of `c8s token create`; without FILE, from standard input.

    \b
    Examples:
      c8s token use alice.c8s
      c8s --context team-a
    """
    from dataclasses import replace

    from workbench.cli.given_values import read_text, read_value
    from workbench.config import access_file
    from workbench.config.contexts import config_path, read_contexts

    if name is not None and not access_file.is_context_name(name):
        raise InputError(f"{name!r} can't be the name of a context: use letters, digits, dashes, dots")
    if file is None and sys.stdin.isatty():
        raise InputError("name the FILE, or pass it on standard input")
    limit = access_file.MAX_BYTES
    text = read_text(file, str(file), limit) if file is not None else read_value("access", limit)
    access = access_file.parse_access(text, str(file) if file is not None else "standard input")
    access = replace(access, name=name or access.name)
    if access.expires is not None and access.expires <= datetime.now(UTC):
        raise InputError(f"the token has expired at {access.expires:%Y-%m-%d %H:%M %Z}: ask for another one")
    stored = access_file.save_access(config_path(), access, replace=force)
    echo(f"context {access.name}: {access.server}, namespace {access.namespace}; the token is in {stored}")
    is_current = read_contexts(config_path()).current == access.name
    echo("it is the current context: `c8s` opens it" if is_current else f"open it with: c8s --context {access.name}")


async def _cluster(target: Target) -> _Cluster:
    """The cluster of the target, with credentials that may issue tokens."""
    if target.endpoint is not None:
        found = target.endpoint
        if found.kubeconfig is None:
            raise CommandError(
                f"the context {target.context} has no kubeconfig, and its own token may not create tokens: use the "
                "context that `c8s install` wrote"
            )
        namespace = target.namespace or found.namespace
        return _Cluster(found.url, found.kubeconfig, found.kube_context, namespace, target.context or namespace)
    from workbench.sandbox import Sandboxes

    sandboxes = Sandboxes()
    status = await sandboxes.status(target.name)
    hint = "" if target.name == DEFAULT_SANDBOX else f" --name {target.name}"
    if status.api_url is None:
        raise CommandError(f"sandbox {target.name} is not running; start it with `c8s up{hint}`")
    if status.temporary:
        echo_error(f"warning: the sandbox stops with the command that uses it; `c8s up{hint}` keeps it running")
    namespace = target.namespace or "default"
    return _Cluster(status.api_url, sandboxes.kubeconfig(target.name), None, namespace, f"c8s-{target.name}")


def _lifetime(text: str) -> timedelta:
    match = _TTL.fullmatch(text.strip())
    if match is None:
        raise InputError(f"--ttl {sanitize_line(text, colour=False)[:40]} is no duration such as 30m, 8h or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _context(cluster: _Cluster, issued: IssuedToken, server: str | None) -> str:
    from workbench.config.access_file import AccessFile

    account = issued.account
    access = AccessFile(cluster.name, server or cluster.url, account.namespace, issued.token, account.expires)
    who = f" for {account.holder}" if account.holder else ""
    return access.render(f"c8s access{who}: {account.role} in {account.namespace}. Store it with: c8s token use FILE")


def _document(account: TeamToken, now: datetime) -> dict[str, Any]:
    return {
        "name": account.name,
        "role": account.role,
        "namespace": account.namespace,
        "for": account.holder or None,
        "created": account.created.isoformat() if account.created else None,
        "expires": account.expires.isoformat() if account.expires else None,
        "expired": account.has_expired(now),
    }


def _age(moment: datetime | None, now: datetime) -> str:
    return "-" if moment is None else format_age((now - moment).total_seconds())


def _expiry(account: TeamToken, now: datetime) -> str:
    if account.expires is None:
        return "unknown"
    if account.has_expired(now):
        return "expired"
    return f"in {format_age((account.expires - now).total_seconds())}"


def _options(target: Target, namespace: str) -> str:
    """The options that select this cluster and namespace in another command."""
    context = f" --context {target.context}" if target.context else ""
    name = f" --name {target.name}" if target.endpoint is None and target.name != DEFAULT_SANDBOX else ""
    return context + name + (f" --namespace {namespace}" if namespace != "default" or target.namespace else "")
