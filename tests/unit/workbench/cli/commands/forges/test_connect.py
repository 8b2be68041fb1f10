"""What `c8s connect add` concludes from the URL of a repository, and how deliveries are explained."""

from __future__ import annotations

import pytest

from workbench.cli.commands.forges.connect import default_name, default_provider
from workbench.cli.output.console import InputError
from workbench.client.connections import Delivery, DeliveryRun, decode_connection


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/org/My.App", "my-app"),
        ("git@github.com:org/app.git", "app"),
        ("ssh://git@host:22/~me/x_y/", "x-y"),
        ("https://github.com/org/" + "a" * 100, "a" * 63),
    ],
)
def test_the_name_is_that_of_the_repository(url: str, name: str) -> None:
    assert default_name(url) == name


@pytest.mark.parametrize("url", ["", "https://github.com/org/...", "///"])
def test_a_url_without_a_name_needs_one(url: str) -> None:
    with pytest.raises(InputError, match="--connection"):
        default_name(url)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://github.com/a/b", "github"),
        ("git@gitlab.com:a/b", "gitlab"),
        ("https://me@bitbucket.org/a/b", "bitbucket"),
    ],
)
def test_well_known_hosts_tell_the_forge(url: str, provider: str) -> None:
    assert default_provider(url) == provider


@pytest.mark.parametrize("url", ["https://git.example.org/a", "x", "", "https://github.com.evil/a"])
def test_other_hosts_do_not(url: str) -> None:
    with pytest.raises(InputError, match="--provider"):
        default_provider(url)


def test_a_delivery_says_why_there_is_no_run_or_what_became_of_it() -> None:
    runs = (DeliveryRun("a-1", "Failed", message="a failed"), DeliveryRun("a-2", None))
    delivery = Delivery("c", "1", "", "push", "Started", reason="pipeline b: no", runs=runs)
    assert delivery.explain() == "pipeline b: no; a-1: Failed, a failed; a-2 was deleted"


def test_an_answer_of_a_newer_or_broken_server_is_decoded_as_far_as_it_goes() -> None:
    assert decode_connection({}).deliveries == ()
    found = decode_connection({"name": "x", "deliveries": [{"id": 5, "runs": [{}]}], "more": 1})
    assert found.deliveries[0].id == "5"
