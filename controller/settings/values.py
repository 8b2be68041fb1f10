"""The values of the controller's settings, parsed from flags and environment variables."""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from controller.run_types.patterns import MAX_PRESTART, NAME_PATTERN
from controller.settings.auth_proxy import AuthProxySettings, parse_auth_proxy
from controller.settings.errors import SettingsError
from controller.settings.flags import ENVIRONMENT, FLAGS, Flag

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """The parsed settings. `listen_fd` takes precedence over `host` and `port`; limits are in bytes."""

    roles: frozenset[str]
    kubeconfig: Path | None
    listen_fd: int | None
    host: str
    port: int
    store: str
    agent_command: tuple[str, ...]
    agent_image: str
    step_agents: str
    spare_sources: bool
    prestart: int
    queue: str
    watch_retention: float
    pod_security: str
    agent_key_file: Path | None
    webhook_key_file: Path | None
    webhook_account: str
    public_url: str | None
    agent_url: str | None
    webhook_url: str | None
    run_url: str | None
    own_namespace: str
    leader_elect: bool
    lease_duration: int
    operator_port: int | None
    admission_port: int | None
    admission_service: str
    pod_ip: str | None
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    dashboard: bool
    auth_proxy: AuthProxySettings | None
    source_limit: int
    cache_limit: int
    workspace_limit: int
    run_artifacts_limit: int
    namespace_caches_limit: int
    namespace_sources_limit: int
    namespace_workspaces_limit: int
    log_limit: int
    default_branches: tuple[str, ...]
    log_level: str


def build_parser() -> argparse.ArgumentParser:
    """The command line parser. Flags have no defaults here, because the environment is consulted first."""
    found = argparse.ArgumentParser(
        prog="c8s-controller",
        description="The controller of c8s: operator, API and webhook receiver. Each flag can also be set as an "
        "environment variable, "
        f"{ENVIRONMENT}<FLAG>; the flag overrides it. Several values are separated by commas, or are a JSON list.",
    )
    for flag in FLAGS:
        text = flag.description + (f" (default: {flag.default})" if flag.default else "")
        if not flag.metavar:
            found.add_argument(f"--{flag.name}", action="store_const", const="true", help=text)
        else:
            action = "append" if flag.repeatable else "store"
            found.add_argument(f"--{flag.name}", action=action, metavar=flag.metavar, help=text)
    return found


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings from the command line and the environment.

    Raises SettingsError; argparse itself ends the process with 2 for a flag that does not exist.
    """
    given = vars(build_parser().parse_args(arguments))
    values: dict[str, Any] = {}
    for flag in FLAGS:
        value = given[flag.field]
        if value is None:
            value = environment.get(flag.variable) or flag.default
        values[flag.field] = _parse_list(flag, value) if flag.repeatable else value
        for each in values[flag.field] if flag.repeatable else [value]:
            if flag.choices and each not in flag.choices:
                raise SettingsError(f"--{flag.name} {each}: choose from {', '.join(flag.choices)}")
    return _build_settings(values)


def _build_settings(values: Mapping[str, Any]) -> Settings:
    roles = frozenset(values["role"])
    if "webhook" in roles and "operator" in roles and "api" not in roles:
        raise SettingsError("--role webhook: it runs alone, or in a process that also has the role api")
    for name in ("webhook_key_file",) if roles == {"webhook"} else ("store", "agent_key_file"):
        if not values[name]:
            raise SettingsError(f"--{name.replace('_', '-')} is required")
    if "operator" in roles and not values["agent_command"]:
        raise SettingsError("--agent-command is required for the role operator")
    if values["auth_proxy_secret_file"] and not _parse_bool("enable-dashboard", values["enable_dashboard"]):
        raise SettingsError("--auth-proxy-secret-file: a proxy signs people in to the dashboard; --enable-dashboard")
    return Settings(
        roles=roles,
        kubeconfig=Path(values["kubeconfig"]) if values["kubeconfig"] else None,
        listen_fd=_parse_int("listen-fd", values["listen_fd"], 0, 1 << 20) if values["listen_fd"] is not None else None,
        host=values["host"],
        port=_parse_int("port", values["port"], 0, 65535),
        store=values["store"] or "",
        agent_command=tuple(values["agent_command"]),
        agent_image=values["agent_image"],
        step_agents=values["step_agents"],
        spare_sources=_parse_bool("spare-sources", values["spare_sources"]),
        prestart=_parse_int("prestart", values["prestart"], 0, MAX_PRESTART),
        queue=_parse_name("queue", values["queue"] or ""),
        watch_retention=_parse_int("watch-retention-hours", values["watch_retention_hours"], 1, 24 * 365) * 3600.0,
        pod_security=values["pod_security"],
        agent_key_file=Path(values["agent_key_file"]) if values["agent_key_file"] else None,
        webhook_key_file=Path(values["webhook_key_file"]) if values["webhook_key_file"] else None,
        webhook_account=_parse_name("webhook-account", values["webhook_account"] or ""),
        public_url=_parse_url("public-url", values["public_url"]),
        agent_url=_parse_url("agent-url", values["agent_url"]),
        webhook_url=_parse_url("webhook-url", values["webhook_url"]),
        run_url=_parse_run_url(values["run_url"]),
        own_namespace=values["namespace_of_its_own"],
        leader_elect=_parse_bool("leader-elect", values["leader_elect"]),
        lease_duration=_parse_int("leader-elect-lease-duration", values["leader_elect_lease_duration"], 3, 3600),
        operator_port=_parse_int("operator-port", port, 0, 65535) if (port := values["operator_port"]) else None,
        admission_port=_parse_int("admission-port", port, 0, 65535) if (port := values["admission_port"]) else None,
        admission_service=_parse_name("admission-service", values["admission_service"] or ""),
        pod_ip=_parse_ip(values["pod_ip"]),
        allowed_hosts=frozenset(each.lower() for each in values["allowed_host"]),
        allowed_origins=frozenset(values["allowed_origin"]),
        dashboard=_parse_bool("enable-dashboard", values["enable_dashboard"]),
        auth_proxy=parse_auth_proxy(values),
        source_limit=_parse_int("source-limit-mib", values["source_limit_mib"], 1, 1 << 20) * MEBIBYTE,
        cache_limit=_parse_int("cache-limit-mib", values["cache_limit_mib"], 1, 1 << 20) * MEBIBYTE,
        # No archive of a step may be larger, so that a larger limit would have no effect.
        workspace_limit=_parse_int("kept-workspace-limit-mib", values["kept_workspace_limit_mib"], 0, 2048) * MEBIBYTE,
        run_artifacts_limit=_parse_mib("run-artifacts-limit-mib", values),
        namespace_caches_limit=_parse_mib("namespace-caches-limit-mib", values),
        namespace_sources_limit=_parse_mib("namespace-sources-limit-mib", values),
        namespace_workspaces_limit=_parse_mib("namespace-workspaces-limit-mib", values),
        log_limit=_parse_int("log-limit-mib", values["log_limit_mib"], 1, 1 << 20) * MEBIBYTE,
        default_branches=tuple(dict.fromkeys(values["default_branch"])),
        log_level=values["log_level"],
    )


def _parse_list(flag: Flag, value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    words = [value] if isinstance(value, str) else value
    if len(words) == 1 and words[0].lstrip().startswith("["):
        try:
            parsed = json.loads(words[0])
        except ValueError:
            parsed = None
        if not isinstance(parsed, list) or not all(isinstance(each, str) for each in parsed):
            raise SettingsError(f"--{flag.name}: expected a JSON list of strings")
        return parsed
    return [part for part in value.split(",") if part] if isinstance(value, str) else words


def _parse_int(name: str, text: str, minimum: int, maximum: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not minimum <= number <= maximum:
        raise SettingsError(f"--{name} {text}: expected a number from {minimum} to {maximum}")
    return number


def _parse_mib(name: str, values: Mapping[str, Any]) -> int:
    """A limit in bytes; 0 for none."""
    return _parse_int(name, values[name.replace("-", "_")], 0, 1 << 30) * MEBIBYTE


def _parse_ip(text: str | None) -> str | None:
    try:
        return str(ip_address(text)) if text else None
    except ValueError:
        raise SettingsError(f"--pod-ip {text}: expected an address like 10.0.0.7") from None


def _parse_name(name: str, text: str) -> str:
    if text and re.fullmatch(NAME_PATTERN, text) is None:
        raise SettingsError(f"--{name} {text}: expected the name of an object, such as c8s-{name.partition('-')[0]}")
    return text


def _parse_bool(name: str, text: str | None) -> bool:
    if text not in (None, "true", "false", "1", "0"):
        raise SettingsError(f"{ENVIRONMENT}{name.upper().replace('-', '_')}={text}: expected true or false")
    return text in ("true", "1")


def _parse_url(name: str, text: str | None) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"--{name} {text}: expected an address like https://c8s.example.org")
    return text.rstrip("/")


def _parse_run_url(text: str | None) -> str | None:
    if text and "{run}" not in text:
        raise SettingsError(f"--run-url {text}: it has no {{run}}, so that all runs would have one page")
    return _parse_url("run-url", text)
