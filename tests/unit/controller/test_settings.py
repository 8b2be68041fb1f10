"""Settings from flags and environment."""

from pathlib import Path

import pytest

from controller.settings import FLAGS, SecretFile, SettingsError, parse_settings

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


PROXY = [*LEAST, "--enable-dashboard", "--auth-proxy-secret-file", "/s", "--auth-proxy-address", "10.0.0.0/8"]


def test_a_proxy_is_believed_only_if_it_is_configured() -> None:
    assert parse_settings([*LEAST, "--enable-dashboard"], {}).auth_proxy is None
    environment = {"C8S_AUTH_PROXY_ADDRESS": "10.1.0.0/16,fd00::/8", "C8S_AUTH_PROXY_NAME_PREFIX": "-"}
    found = parse_settings([*LEAST, "--enable-dashboard", "--auth-proxy-secret-file", "/s"], environment).auth_proxy
    assert found is not None
    assert [str(each) for each in found.addresses] == ["10.1.0.0/16", "fd00::/8"]
    assert (found.user_header, found.groups_header, found.name_prefix) == ("x-forwarded-user", "x-forwarded-groups", "")
    assert (
        parse_settings([*PROXY, "--auth-proxy-name-prefix=-"], {}).auth_proxy
        == parse_settings([*PROXY, "--auth-proxy-name-prefix", "-"], {}).auth_proxy
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (PROXY[:-2], "--auth-proxy-address is required"),
        ([each for each in PROXY if each != "--enable-dashboard"], "--enable-dashboard"),
        ([*PROXY, "--auth-proxy-address", "0.0.0.0/0"], "all addresses"),
        ([*PROXY, "--auth-proxy-address", "::/0"], "all addresses"),
        ([*PROXY, "--auth-proxy-address", "10.0.0.1/8"], "host bits"),
        ([*PROXY, "--auth-proxy-address", "proxy.example"], "10.244.0.0/16"),
        ([*PROXY, "--auth-proxy-user-header", "Cookie"], "--auth-proxy-user-header"),
        ([*PROXY, "--auth-proxy-user-header", "X_User"], "--auth-proxy-user-header"),
        ([*PROXY, "--auth-proxy-groups-header", "x-forwarded-user"], "--auth-proxy-groups-header"),
        ([*PROXY, "--auth-proxy-name-prefix", "system:"], "--auth-proxy-name-prefix"),
        ([*PROXY, "--auth-proxy-name-prefix", "a b"], "--auth-proxy-name-prefix"),
        ([*PROXY, "--auth-proxy-sign-out", "https://evil.example"], "--auth-proxy-sign-out"),
        ([*PROXY, "--auth-proxy-sign-out", "//evil.example"], "--auth-proxy-sign-out"),
    ],
)
def test_settings_of_a_proxy_that_are_dangerous_are_refused(arguments: list[str], why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(arguments, {})
    assert why in str(caught.value)


@pytest.mark.parametrize("content", ["", "short", "with blanks in it, of more than 32 characters", "a:colon" * 8])
def test_a_secret_that_can_be_guessed_or_not_sent_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s").write_text(content)
    with pytest.raises(SettingsError, match="--auth-proxy-secret-file") as caught:
        SecretFile(tmp_path / "s").load()
    assert not content or content not in str(caught.value)
    with pytest.raises(SettingsError, match="No such file"):
        SecretFile(tmp_path / "absent").load()
