"""The options that say what a real cluster is made of."""

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


def store_options(function: F) -> F:
    """Which object store; its keys come from the environment, never from the command line."""
    return _all(
        function,
        [
            click.option(
                "--s3-endpoint",
                metavar="URL",
                help="Use this S3 instead of a MinIO inside; keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.",
            ),
            click.option("--s3-bucket", metavar="NAME", help="The bucket there.  [default: c8s]"),
            click.option("--s3-region", metavar="NAME", help="Its region.  [default: us-east-1]"),
            click.option("--minio-image", metavar="IMAGE", help="Another image of MinIO."),
        ],
    )


def kind_options(function: F) -> F:
    """What `c8s up --kind` can be told; all of them are off without it."""
    folder = click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
    return _all(
        store_options(function),
        [
            click.option("--node-image", metavar="IMAGE", help="The node's image; C8S_KIND_IMAGE says it too."),
            click.option("--base-image", metavar="IMAGE", help="What the controller's image is built on."),
            click.option("--wheels", type=folder, metavar="DIR", help="Wheels to use instead of a package index."),
            click.option("--load", multiple=True, metavar="IMAGE", help="Put this image on the node too; repeatable."),
            click.option("--dry-run", is_flag=True, help="Print the plan, do nothing."),
        ],
    )
