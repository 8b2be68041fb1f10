"""The controller's settings: one table of flags, which are environment variables too, and their parsed values.

docs/settings.md is generated from the table (`python -m controller.settings`); a test compares the two.
"""

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

ROLES = ("operator", "api", "webhook")
LEVELS = ("debug", "info", "warning", "error")
ENVIRONMENT = "C8S_"
MEBIBYTE = 1024 * 1024


class SettingsError(Exception):
    """A setting is invalid; the message names it and says what to do."""


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


@dataclass(frozen=True)
class Flag:
    """One setting: a flag and an environment variable. `repeatable`: it may be given several times."""

    name: str
    metavar: str
    description: str
    default: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] | None = None

    @property
    def variable(self) -> str:
        """The environment variable of the same meaning."""
        return ENVIRONMENT + self.name.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """The attribute that argparse stores it in."""
        return self.name.replace("-", "_")


FLAGS = (
    Flag(
        "role",
        "ROLE",
        "a role of this process: operator, api, webhook",
        "operator,api,webhook",
        repeatable=True,
        choices=ROLES,
    ),
    Flag("kubeconfig", "FILE", "kubeconfig of the Kubernetes API; default: the pod's service account"),
    Flag("listen-fd", "N", "file descriptor of an inherited listening socket, used instead of host and port"),
    Flag("host", "ADDRESS", "address to listen on", "127.0.0.1"),
    Flag("port", "N", "port to listen on; 0: a free one", "8080"),
    Flag("store", "URL", "object store: file:///folder or s3://bucket?endpoint=…, see docs/object-store.md; required"),
    Flag(
        "agent-command",
        "WORD",
        "command that starts the agent in a step's pod: a JSON list, or one argument per flag",
        repeatable=True,
    ),
    Flag("agent-image", "IMAGE", "image of the agent, where pods run in images", "c8s-controller"),
    Flag(
        "step-agents",
        "WHEN",
        "when an agent runs beside a step: needed (there are files to fetch or to store), or always (also to report "
        "the end of the step, which a kubelet notices up to a second later)",
        "needed",
        choices=("needed", "always"),
    ),
    Flag(
        "prestart",
        "N",
        "pods of a run that may be made ahead, while the steps that theirs depend on run; 0: none; pipelines and runs "
        "may say otherwise",
        "2",
    ),
    Flag(
        "queue",
        "NAME",
        "queue of the cluster (a LocalQueue of Kueue) that admits the Jobs of steps; runs, pipelines and namespaces "
        "may name another one",
        "",
    ),
    Flag(
        "watch-retention-hours",
        "HOURS",
        "how long runs that were started because a file was saved (`c8s run --watch`) are kept, with their logs and "
        "artifacts",
        "24",
    ),
    Flag(
        "pod-security", "PROFILE", "Pod Security profile of step pods", "baseline", choices=("baseline", "restricted")
    ),
    Flag("agent-key-file", "FILE", "key that signs agent tokens and URLs; created if missing; required"),
    Flag(
        "webhook-key-file",
        "FILE",
        "key of the webhook receiver, where that is a process of its own: it does not get the agent key, of which "
        "this one is derived",
    ),
    Flag(
        "webhook-account",
        "NAME",
        "service account of a receiver that is a process of its own: the operator lets it read the Secrets that "
        "deliveries are signed with, and no other",
    ),
    Flag("public-url", "URL", "URL of the API for agents and signed URLs; default: the listening socket"),
    Flag(
        "agent-url",
        "URL",
        "URL of the API for agents, and in the signed URLs that they get, where that differs from the public one; "
        "default: the public URL",
    ),
    Flag("webhook-url", "URL", "URL at which forges reach the webhook receiver; default: the public URL"),
    Flag(
        "run-url",
        "URL",
        "page of a run, for links at forges, with {namespace} and {run}; default: the run in the REST API",
    ),
    Flag("namespace-of-its-own", "NAME", "namespace of the controller's Leases", "c8s-system"),
    Flag("leader-elect", "", "run the operator only while holding the Lease; required for several replicas"),
    Flag(
        "leader-elect-lease-duration",
        "SECONDS",
        "seconds after which another replica takes over the Lease of a leader that does not renew it",
        "15",
    ),
    Flag(
        "operator-port",
        "N",
        "port of the operator: health, metrics, live logs for an API in another process; 0: a free one",
    ),
    Flag(
        "admission-port",
        "N",
        "port of the validating admission webhook (TLS), which the role api serves; 0: a free one; default: none",
    ),
    Flag(
        "admission-service",
        "NAME",
        "Service in front of that port, in the controller's namespace; default: it is reached on loopback",
    ),
    Flag("pod-ip", "ADDRESS", "address of the operator's port for an API in another process; default: the host"),
    Flag("allowed-host", "NAME", "accepted host name in addition to loopback names", repeatable=True),
    Flag("allowed-origin", "ORIGIN", "web origin whose pages may call the API", repeatable=True),
    Flag("enable-dashboard", "", "serve pages about runs at /ui, see docs/dashboard.md; role api"),
    Flag("source-limit-mib", "MIB", "maximum size of a source, in MiB", "1024"),
    Flag("cache-limit-mib", "MIB", "maximum size of a packed cache, in MiB", "1024"),
    Flag(
        "kept-workspace-limit-mib",
        "MIB",
        "maximum size of a packed workspace of a failed step, in MiB; 0: none is saved",
        "512",
    ),
    Flag(
        "run-artifacts-limit-mib",
        "MIB",
        "maximum size of all artifacts of a run together, packed, in MiB; 0: no limit",
        "10240",
    ),
    Flag(
        "namespace-caches-limit-mib",
        "MIB",
        "maximum size of all caches of a namespace together, in MiB; what exceeds it is not saved; 0: no limit",
        "10240",
    ),
    Flag(
        "namespace-sources-limit-mib",
        "MIB",
        "maximum size of all sources of a namespace together, in MiB; 0: no limit",
        "20480",
    ),
    Flag(
        "namespace-workspaces-limit-mib",
        "MIB",
        "maximum size of all saved workspaces of a namespace together, in MiB; 0: no limit",
        "10240",
    ),
    Flag(
        "log-limit-mib",
        "MIB",
        "maximum size of all logs of a run, in MiB; what exceeds it is not stored, and the log says so",
        "1024",
    ),
    Flag(
        "default-branch",
        "BRANCH",
        "branch whose caches every run may restore, in this order; names that no repository has are harmless",
        "main,master",
        repeatable=True,
    ),
    Flag("log-level", "LEVEL", "log level on stderr", "info", choices=LEVELS),
)


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


def render_table() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings of the controller",
        "",
        "This page is generated from `controller/settings.py`. A flag overrides its variable. The variable of a",
        "repeatable flag contains values separated by commas, or a JSON list.",
        "",
        "| flag | variable | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for flag in FLAGS:
        shown = f"`--{flag.name}{' ' + flag.metavar if flag.metavar else ''}`" + (
            " (repeatable)" if flag.repeatable else ""
        )
        lines.append(
            f"| {shown} | `{flag.variable}` | {f'`{flag.default}`' if flag.default else ''} | {flag.description} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(render_table(), end="")
