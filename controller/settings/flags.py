"""The table of the controller's flags, which are environment variables too; docs/settings.md is generated from it."""

from dataclasses import dataclass

ROLES = ("operator", "api", "webhook")
LEVELS = ("debug", "info", "warning", "error")
ENVIRONMENT = "C8S_"


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
        "spare-sources",
        "",
        "make spare copies of the sources of runs with the agent's command, where that is a program of this machine "
        "and has a folder for them (C8S_SHARED_SOURCES)",
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
    Flag(
        "auth-proxy-secret-file",
        "FILE",
        "secret of a proxy that signs people in to the dashboard, see docs/single-sign-on.md; default: no proxy does",
    ),
    Flag("auth-proxy-address", "CIDR", "addresses from which that proxy connects; required with it", repeatable=True),
    Flag("auth-proxy-user-header", "HEADER", "header in which it names the user", "X-Forwarded-User"),
    Flag(
        "auth-proxy-groups-header",
        "HEADER",
        "header in which it names the user's groups, separated by commas",
        "X-Forwarded-Groups",
    ),
    Flag(
        "auth-proxy-name-prefix",
        "PREFIX",
        "what the names of its users and groups begin with in Kubernetes; -: nothing",
        "oidc:",
    ),
    Flag(
        "auth-proxy-sign-out",
        "PATH",
        "where the dashboard's link to sign out leads to, at the same host; -: there is none",
        "/oauth2/sign_out",
    ),
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


def render_table() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings of the controller",
        "",
        "This page is generated from `controller/settings/flags.py`. A flag overrides its variable. The variable of",
        "a repeatable flag contains values separated by commas, or a JSON list.",
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
