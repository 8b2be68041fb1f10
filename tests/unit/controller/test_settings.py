"""Settings from flags and environment."""

from pathlib import Path

import pytest

from controller.settings import FLAGS, SettingsError, parse_settings

LEAST = ["--store", "file:///s", "--agent-command", '["python", "-I"]', "--agent-key-file", "/k"]


def test_all_roles_are_the_default() -> None:
    settings = parse_settings(LEAST, {})
    assert settings.roles == {"operator", "api", "webhook"}
    assert settings.agent_command == ("python", "-I")
    assert settings.agent_key_file == Path("/k")
    assert settings.source_limit == 1024**3


def test_the_receiver_alone_needs_no_store_and_no_agent() -> None:
    settings = parse_settings(["--role", "webhook", "--webhook-key-file", "/k"], {})
    assert (settings.roles, settings.store) == ({"webhook"}, "")


def test_the_receiver_runs_alone_or_beside_the_api() -> None:
    with pytest.raises(SettingsError, match="--role webhook"):
        parse_settings([*LEAST, "--role", "webhook", "--role", "operator"], {})


def test_a_flag_wins_over_its_variable() -> None:
    settings = parse_settings(["--port", "1", *LEAST], {"C8S_PORT": "2", "C8S_HOST": "::1"})
    assert (settings.port, settings.host) == (1, "::1")


def test_a_variable_holds_several_values() -> None:
    environment = {"C8S_ROLE": "api", "C8S_ALLOWED_HOST": "A.example,b.example", "C8S_AGENT_COMMAND": '["a b", "c"]'}
    settings = parse_settings(["--store", "s3://b", "--agent-key-file", "k"], environment)
    assert settings.roles == {"api"}
    assert settings.allowed_hosts == {"a.example", "b.example"}
    assert settings.agent_command == ("a b", "c")


def test_the_agents_command_may_come_word_by_word() -> None:
    arguments = ["--store", "s3://b", "--agent-key-file", "k", "--agent-command", "a,b", "--agent-command=-I"]
    assert parse_settings(arguments, {}).agent_command == ("a,b", "-I")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "70000"],
        ["--port", "x"],
        ["--role", "cook"],
        ["--log-level", "loud"],
        ["--public-url", "ftp://x"],
        ["--agent-command", "[1]", "--agent-command", "x"][:2],
        ["--source-limit-mib", "0"],
    ],
)
def test_what_makes_no_sense_is_refused_by_name(arguments: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings([*(LEAST if "--agent-command" not in arguments else [*LEAST[:2], *LEAST[4:]]), *arguments], {})
    assert arguments[0] in str(caught.value)


@pytest.mark.parametrize("left_out", ["--store", "--agent-command", "--agent-key-file"])
def test_what_is_required_is_asked_for(left_out: str) -> None:
    at = LEAST.index(left_out)
    with pytest.raises(SettingsError) as caught:
        parse_settings(LEAST[:at] + LEAST[at + 2 :], {})
    assert left_out in str(caught.value)


def test_truth_in_the_environment_is_spelled_out() -> None:
    assert parse_settings(LEAST, {"C8S_LEADER_ELECT": "true"}).leader_elect
    assert not parse_settings(LEAST, {"C8S_LEADER_ELECT": "false"}).leader_elect
    with pytest.raises(SettingsError):
        parse_settings(LEAST, {"C8S_LEADER_ELECT": "maybe"})


def test_every_flag_has_a_variable_of_its_own() -> None:
    assert len({flag.variable for flag in FLAGS}) == len(FLAGS)
