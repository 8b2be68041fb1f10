"""The options that configure a kind cluster and its object store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _all(function: F, options: list[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


provider_option = click.option(
    "--provider",
    type=click.Choice(["docker", "podman", "nerdctl"]),
    help="Engine of the node; by default the first that responds. [env: C8S_KIND_PROVIDER]",
)


def store_options(function: F) -> F:
    """The object store; its keys come from the environment, never from the command line."""
    return _all(
        function,
        [
            click.option(
                "--s3-endpoint",
                metavar="URL",
                help="Use this S3 server, not MinIO. [env: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]",
            ),
            click.option("--s3-bucket", metavar="NAME", help="Bucket on the S3 server.  [default: c8s]"),
            click.option("--s3-region", metavar="NAME", help="Region of the S3 server.  [default: us-east-1]"),
            click.option("--minio-image", metavar="IMAGE", help="MinIO image."),
        ],
    )


def kind_options(function: F) -> F:
    """The options of `c8s up --kind`, which are rejected without `--kind`."""
    folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
    return _all(
        store_options(function),
        [
            provider_option,
            click.option("--node-image", metavar="IMAGE", help="Node image. [env: C8S_KIND_IMAGE]"),
            click.option("--base-image", metavar="IMAGE", help="Base image of the controller's image."),
            click.option(
                "--wheels", type=folder, metavar="DIR", help="Folder of wheels to use instead of a package index."
            ),
            click.option(
                "--load", multiple=True, metavar="IMAGE", help="Also load this image onto the node; repeatable."
            ),
            click.option("--dry-run", is_flag=True, help="Print the plan and exit."),
        ],
    )
