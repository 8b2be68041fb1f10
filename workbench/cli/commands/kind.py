"""`c8s up --kind`, `c8s doctor`, `c8s install`: real clusters, and how their plans look on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.kind_options import store_options
from workbench.cli.options import output_option, run_async
from workbench.cli.output.console import (
    DIM,
    GREEN,
    RED,
    YELLOW,
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

_LEVELS = {"ok": GREEN, "warning": YELLOW, "error": RED}


@dataclass
class Progress:
    """Draws a plan's events: a line when a step begins or ends; what it says between on a line that is written over."""

    how: ConsoleStyle
    _drawn: bool = False

    def __call__(self, event: StepEvent) -> None:
        text = sanitize_line(" ".join(event.text.split()), colour=False)
        if event.kind == "said":
            self._over(f"  {event.title}: {text}")
            return
        self._over("")
        seconds = f"{event.seconds:6.1f} s"
        if event.kind == "started":
            self._line(f"{'':>8}  {event.title} …", DIM)
        elif event.kind == "failed":
            self._line(f"{seconds}  ✗ {event.title}", RED)
        else:
            done = "already" if event.kind == "already" else "done"
            self._line(f"{seconds}  ✓ {event.title}: {text or done}", "")

    def _line(self, text: str, code: str) -> None:
        sys.stderr.write(self.how.paint(text, code) + "\n")
        sys.stderr.flush()

    def _over(self, text: str) -> None:
        """Only on a terminal; in a file, what comes between would be all there is to see."""
        if self.how.width is None or not (text or self._drawn):
            return
        sys.stderr.write("\r\x1b[K" + truncate(text, self.how.width - 1))
        sys.stderr.flush()
        self._drawn = bool(text)


def up_kind(name: str, dry_run: bool, output: str, given: Mapping[str, Any]) -> None:
    """Bring a kind cluster up, or say how, in the form `output`."""
    from kind.bootstrap import dry_run as plan
    from workbench.sandbox import kind_sandbox

    options = kind_sandbox.options_for(name)
    plain = {key: given[key] for key in ("node_image", "base_image", "minio_image", "wheels", "load") if given.get(key)}
    if not given.get("node_image") and (node_image := os.environ.get("C8S_KIND_IMAGE")):
        plain["node_image"] = node_image
    # Printing the plan takes no keys.
    s3 = _store(given, dry_run)
    options = replace(options, s3=s3, **plain)
    if dry_run:
        _print_plan(plan(options), output)
        return
    endpoint = run_async(kind_sandbox.up(options, Progress(console_style(sys.stderr))))
    echo(f"sandbox {name} is ready: {endpoint.url}, context kind-{name}")


def _print_plan(steps: Sequence[Mapping[str, Any]], output: str) -> None:
    if output != "table":
        print_document(steps, output)
        return
    how = console_style(sys.stdout)
    for number, each in enumerate(steps, 1):
        needs = f"   after {', '.join(each['needs'])}" if each["needs"] else ""
        echo(f"{number:>2}. {each['step']:<11} {each['title']}{how.paint(needs, DIM)}")
        echo(f"{'':16}{sanitize_line(each['does'], colour=False)}")


def _store(given: Mapping[str, Any], dry_run: bool = False) -> S3Config | None:
    """The store that the options and the environment name.

    Raises:
        InputError: a bucket without a store, or a store without its keys.
    """
    from kind.object_store import S3Config

    endpoint = given.get("s3_endpoint")
    if not endpoint:
        if given.get("s3_bucket") or given.get("s3_region"):
            raise InputError("--s3-bucket and --s3-region go with --s3-endpoint")
        return None
    if not str(endpoint).startswith(("http://", "https://")):
        raise InputError(f"--s3-endpoint {endpoint}: an address like https://s3.example.org is wanted")
    access, secret = (os.environ.get(f"AWS_{key}", "") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if not dry_run and not (access and secret):
        raise InputError("--s3-endpoint needs the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    named = {"bucket": given.get("s3_bucket"), "region": given.get("s3_region")}
    return S3Config(
        endpoint, access_key=access, secret_key=secret, **{key: value for key, value in named.items() if value}
    )


@click.command()
@output_option
@click.pass_context
def doctor(ctx: click.Context, output: str) -> None:
    """Look for what breaks clusters on this machine, before it does. Exits 1 when something will.

    Each check says what was found, why it matters and what to do. Nothing is changed.

    \b
    Examples:
      c8s doctor
      c8s doctor --output json
    """
    from kind.doctor import run_checks, to_dicts

    findings = run_async(run_checks())
    if output != "table":
        print_document(to_dicts(findings), output)
    else:
        how = console_style(sys.stdout)
        for each in findings:
            mark = {"ok": "ok", "warning": "warn", "error": "ERROR"}[each.level]
            level = how.paint(f"{mark:<5}", _LEVELS[each.level])
            echo(f"{level} {each.check:<12} {sanitize_line(each.found, colour=False)}")
            if each.level != "ok":
                echo(f"{'':18} {each.why}")
                echo(f"{'':18} {sanitize_line(each.remedy, colour=False)}")
    ctx.exit(1 if any(each.level == "error" for each in findings) else 0)


@click.command()
@click.option("--context", required=True, metavar="NAME", help="The context of your kubeconfig.")
@click.option("--image", metavar="IMAGE", help="The controller's image, where the nodes find it.")
@click.option("--public-url", metavar="URL", help="Where people reach the API, if they do; makes a context of c8s.")
@click.option("--namespace", default="default", show_default=True, metavar="NS", help="Where the workbench may run.")
@click.option("--dry-run", is_flag=True, help="Print the manifests, do nothing.")
@store_options
def install(
    context: str, image: str | None, public_url: str | None, namespace: str, dry_run: bool, **given: Any
) -> None:
    """Install the controller into a cluster, or update it there.

    Without --s3-endpoint a MinIO comes with it. Secrets that are there are kept. Only the
    context that is named is used; your kubeconfig is not changed.

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
        raise InputError("name the controller's image with --image; docs/install.md says how to make one")
    if public_url is not None and not public_url.startswith(("http://", "https://")):
        raise InputError(f"--public-url {public_url}: an address like https://c8s.example.org is wanted")
    target = InstallOptions(
        _kubeconfig(),
        context,
        image or CONTROLLER_IMAGE,
        given.get("minio_image") or MINIO_IMAGE,
        _store(given, dry_run),
        public_url.rstrip("/") if public_url else None,
        namespace,
        config_path().parent / f"{_file_name(context)}.token",
    )
    if dry_run:
        echo(to_yaml(render_objects(target)).rstrip("\n"))
        return
    run_async(execute(Installation(target).steps(), Progress(console_style(sys.stderr))))
    _print_installed(target)


def _print_installed(target: InstallOptions) -> None:
    """Write the context where the API can be reached; else say what is missing for that."""
    from workbench.config.contexts import config_path, write_context
    from workbench.sandbox import Endpoint

    name = target.context
    if not target.public_url:
        echo("installed. Once people can reach the Service c8s-api in c8s-system, by an ingress or a port-forward:")
        echo_error(f"c8s install --context {name} … --public-url https://c8s.example.org")
        return
    found = Endpoint(target.public_url, target.token_file, target.namespace, None, target.kubeconfig, name)
    write_context(config_path(), name, found)
    echo(f"installed; `c8s --context {name}` opens the workbench on {target.public_url}")


def _kubeconfig() -> Path:
    """The person's kubeconfig. Raises InputError for a list of several, which can't be written back to."""
    files = [each for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if len(files) > 1:
        raise InputError("KUBECONFIG names several files; name the one that has the context")
    return Path(files[0] if files else "~/.kube/config").expanduser().absolute()


def _file_name(name: str) -> str:
    """A context's name as a file's."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).lstrip(".") or "context"
