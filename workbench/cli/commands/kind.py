"""`c8s up --kind` and `c8s install`: clusters, and the progress of their plans."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.kind_options import store_options
from workbench.cli.options import run_async
from workbench.cli.output.console import (
    DIM,
    RED,
    ConsoleStyle,
    InputError,
    console_style,
    echo,
    echo_error,
    print_document,
)
from workbench.text.sanitize import sanitize_line, truncate

if TYPE_CHECKING:
    from kind.install import InstallOptions
    from kind.object_store import S3Config
    from kind.plan import StepEvent


@dataclass
class Progress:
    """Prints the events of a plan: a line when a step starts or ends, and a status line for its output in between."""

    style: ConsoleStyle
    _drawn: bool = False

    def __call__(self, event: StepEvent) -> None:
        text = sanitize_line(" ".join(event.text.split()), colour=False)
        if event.kind == "said":
            of = f" ({event.seconds:.0f} of about {event.expected:.0f} s)" if event.expected else ""
            self._over(f"  {event.title}{of}: {text}")
            return
        self._over("")
        seconds = f"{event.seconds:6.1f} s"
        if event.kind == "started":
            self._line(f"{'':>8}  {event.title} …", DIM)
        elif event.kind == "estimated":
            self._line(f"{'':>8}  {event.title}: {text}", DIM)
        elif event.kind == "failed":
            self._line(f"{seconds}  ✗ {event.title}", RED)
        else:
            done = "already" if event.kind == "already" else "done"
            self._line(f"{seconds}  ✓ {event.title}: {text or done}", "")

    def _line(self, text: str, code: str) -> None:
        sys.stderr.write(self.style.paint(sanitize_line(text, colour=False), code) + "\n")
        sys.stderr.flush()

    def _over(self, text: str) -> None:
        """Replace the status line, on a terminal only."""
        if self.style.width is None or not (text or self._drawn):
            return
        sys.stderr.write("\r\x1b[K" + truncate(sanitize_line(text, colour=False), self.style.width - 1))
        sys.stderr.flush()
        self._drawn = bool(text)


def up_kind(name: str, dry_run: bool, output: str, given: Mapping[str, Any]) -> None:
    """Start a kind cluster, or print the plan in the format `output`."""
    from kind.cluster.bootstrap import dry_run as plan
    from workbench.sandbox import kind_sandbox

    options = kind_sandbox.options_for(name)
    plain = {
        key: given[key]
        for key in ("provider", "node_image", "base_image", "minio_image", "wheels", "load")
        if given.get(key)
    }
    if not given.get("node_image") and (node_image := os.environ.get("C8S_KIND_IMAGE")):
        plain["node_image"] = node_image
    options = replace(options, s3=_store(given, dry_run), **plain)
    if dry_run:
        _print_plan(plan(options), output)
        return
    endpoint = run_async(kind_sandbox.up(options, Progress(console_style(sys.stderr))))
    echo(f"sandbox {name} is ready: {endpoint.url}, context kind-{name}")


def _print_plan(steps: Sequence[Mapping[str, Any]], output: str) -> None:
    if output != "table":
        print_document(steps, output)
        return
    style = console_style(sys.stdout)
    for number, each in enumerate(steps, 1):
        needs = f"   after {', '.join(each['needs'])}" if each["needs"] else ""
        echo(f"{number:>2}. {each['step']:<11} {each['title']}{style.paint(needs, DIM)}")
        echo(f"{'':16}{sanitize_line(each['does'], colour=False)}")


def _store(given: Mapping[str, Any], dry_run: bool = False) -> S3Config | None:
    """The object store of the options and the environment; None for MinIO. A dry run needs no keys.

    Raises:
        InputError: there is a bucket without an endpoint, or an endpoint without keys.
    """
    from kind.object_store import S3Config

    endpoint = given.get("s3_endpoint")
    if not endpoint:
        if given.get("s3_bucket") or given.get("s3_region"):
            raise InputError("--s3-bucket and --s3-region require --s3-endpoint")
        return None
    if not str(endpoint).startswith(("http://", "https://")):
        raise InputError(f"--s3-endpoint {endpoint} is not a URL such as https://s3.example.org")
    access, secret = (os.environ.get(f"AWS_{key}", "") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if not dry_run and not (access and secret):
        raise InputError("--s3-endpoint requires AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
    named = {"bucket": given.get("s3_bucket"), "region": given.get("s3_region")}
    return S3Config(
        endpoint, access_key=access, secret_key=secret, **{key: value for key, value in named.items() if value}
    )


@click.command()
@click.option("--context", required=True, metavar="NAME", help="The context of your kubeconfig.")
@click.option("--image", metavar="IMAGE", help="Image of the controller, as the nodes pull it.")
@click.option("--public-url", metavar="URL", help="Public API URL; also creates a c8s context.")
@click.option(
    "--namespace",
    default="default",
    show_default=True,
    metavar="NS",
    help="Namespace in which the workbench may create runs.",
)
@click.option("--dashboard", is_flag=True, help="Serve the dashboard, see docs/dashboard.md.")
@click.option(
    "--auth-proxy-address",
    "auth_proxies",
    multiple=True,
    metavar="CIDR",
    help="Where the proxy connects from that signs people in to the dashboard, see docs/single-sign-on.md. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Print the manifests and exit.")
@store_options
def install(
    context: str,
    image: str | None,
    public_url: str | None,
    namespace: str,
    dashboard: bool,
    auth_proxies: tuple[str, ...],
    dry_run: bool,
    **given: Any,
) -> None:
    """Install or update the controller in a cluster.

    Without --s3-endpoint, MinIO is installed too. Existing secrets are kept. Only the named
    context is used; your kubeconfig is not changed.

    \b
    Examples:
      c8s install --context team --dry-run
      c8s install --context team --image registry.example.org/c8s-controller:1
      c8s install --context team --image … --s3-endpoint https://s3.example.org --public-url https://c8s.example.org
    """
    from kind.install import Installation, InstallOptions, render_objects
    from kind.kustomize import CONTROLLER_IMAGE, MINIO_IMAGE, to_yaml
    from kind.plan import execute
    from workbench.config.contexts import config_path

    if image is None and not dry_run:
        raise InputError("set the controller's image with --image; docs/install.md describes how to build it")
    if public_url is not None and not public_url.startswith(("http://", "https://")):
        raise InputError(f"--public-url {public_url} is not a URL such as https://c8s.example.org")
    _check_proxies(auth_proxies, dashboard)
    target = InstallOptions(
        _kubeconfig(),
        context,
        image or CONTROLLER_IMAGE,
        given.get("minio_image") or MINIO_IMAGE,
        _store(given, dry_run),
        public_url.rstrip("/") if public_url else None,
        dashboard,
        auth_proxies,
        namespace,
        config_path().parent / f"{_file_name(context)}.token",
    )
    if dry_run:
        echo(to_yaml(render_objects(target)).rstrip("\n"))
        return
    run_async(execute(Installation(target).steps(), Progress(console_style(sys.stderr))))
    _print_installed(target)


def _print_installed(target: InstallOptions) -> None:
    """Write a context if the API has a public URL; else print how to get one."""
    from workbench.config.contexts import config_path, write_context
    from workbench.sandbox import Endpoint

    name = target.context
    if not target.public_url:
        echo("installed. After exposing the Service c8s-api in c8s-system (ingress or port-forward), run:")
        echo_error(f"c8s install --context {name} … --public-url https://c8s.example.org")
        return
    found = Endpoint(target.public_url, target.token_file, target.namespace, None, target.kubeconfig, name)
    write_context(config_path(), name, found)
    echo(f"installed; `c8s --context {name}` opens the workbench on {target.public_url}")


def _check_proxies(addresses: tuple[str, ...], dashboard: bool) -> None:
    """Raise InputError for addresses that the controller would refuse."""
    from controller.settings import SettingsError
    from controller.settings.auth_proxy import parse_network

    if addresses and not dashboard:
        raise InputError("--auth-proxy-address requires --dashboard")
    try:
        for each in addresses:
            parse_network(each)
    except SettingsError as error:
        raise InputError(str(error)) from None


def _kubeconfig() -> Path:
    """The user's kubeconfig. Raises InputError if KUBECONFIG lists several files."""
    files = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if len(files) > 1:
        raise InputError("KUBECONFIG lists several files; set it to the one that has the context")
    return Path(files[0] if files else "~/.kube/config").expanduser().absolute()


def _file_name(name: str) -> str:
    """A context's name as a safe file name."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".") or "context"
