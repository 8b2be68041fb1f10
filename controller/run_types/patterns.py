"""Patterns and limits of the fields of a run, for the REST API and the CustomResourceDefinition alike.

The patterns are valid in RE2, which Kubernetes uses, in Rust's `regex`, which pydantic uses, and in Python's `re`.
"""

from __future__ import annotations

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
"""A DNS label: names of runs, pipelines and namespaces, and slugs of steps."""
MAX_NAME_LENGTH = 63
UID_PATTERN = r"^[A-Za-z0-9][-A-Za-z0-9_.]*$"
"""The uid of an object of Kubernetes, a UUID as a rule; it becomes a part of keys of stored objects."""
MAX_UID_LENGTH = 128
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"
"""The names of most objects of Kubernetes: DNS labels with dots between them."""
MAX_SUBDOMAIN_LENGTH = 253
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$"
PROVIDERS = ("github", "gitlab", "bitbucket", "bitbucket-server", "gitea")
"""The forges. `bitbucket` is Bitbucket Cloud, `bitbucket-server` Bitbucket Data Center; Forgejo is `gitea`."""
MAX_DELIVERIES = 20
"""How many deliveries the status of a connection lists."""
GIT_URL_PATTERN = (
    r"^(?:(?:https?|ssh|git|file)://[^\s\x00-\x1f\x7f]+|[A-Za-z0-9_.]+@[A-Za-z0-9.-]+:[^\s\x00-\x1f\x7f]+)$"
)
"""Git interprets a leading dash as an option, and `ext::…` as a command to run."""
MAX_GIT_URL_LENGTH = 2048
GIT_REVISION_PATTERN = r"^[A-Za-z0-9_.+=@/#][-A-Za-z0-9_.+=@/#]*$"
GIT_REF_PATTERN = r"^refs/[A-Za-z0-9_.+=@/#][-A-Za-z0-9_.+=@/#]*$"
"""The full name of a reference, such as `refs/pull/12/head`."""
COMMIT_PATTERN = r"^[0-9a-f]{7,64}$"
SHORT_TEXT_PATTERN = r"^[^\x00-\x1f\x7f]*$"
"""Branch, commit and trigger become environment variables, labels of logs and cells of tables: one line, no NUL."""
MAX_SHORT_TEXT_LENGTH = 255
FILE_NAME_PATTERN = r"^[^\x00]*$"
MAX_FILE_NAME_LENGTH = 1024
PARAM_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
PARAM_VALUE_PATTERN = r"^[^\x00]*$"
MAX_PARAM_VALUE_LENGTH = 65_536
MAX_PARAMS = 100
MAX_ATTEMPT = 1000
MAX_PRESTART = 20
"""Pods of a run that may wait at their gates."""
RUN_NUMBER_PATTERN = r"^([0-9]{1,9})?$"
"""The number of a run within its pipeline as text; empty for a run without one."""
MAX_RUN_NUMBER = 999_999_999

EXPLANATIONS = {
    NAME_PATTERN: "must be a DNS label: at most 63 lower-case letters, digits and '-', with a letter or digit at both "
    "ends",
    SUBDOMAIN_PATTERN: "must be the name of an object: lower-case letters, digits, '-' and '.', with a letter or digit "
    "at both ends",
    DIGEST_PATTERN: "must be `sha256:` and 64 hexadecimal digits in lower case",
    GIT_URL_PATTERN: "must be a URL that begins with https://, http://, ssh://, git:// or file://, or have the form "
    "user@host:path",
    GIT_REVISION_PATTERN: "must be a branch, a tag or a commit, without blanks, and not begin with '-'",
    GIT_REF_PATTERN: "must be the full name of a reference, such as refs/pull/12/head",
    COMMIT_PATTERN: "must be a commit: 7 to 64 hexadecimal digits in lower case",
    SHORT_TEXT_PATTERN: "must be one line without control characters",
    FILE_NAME_PATTERN: "must not contain a NUL character",
    PARAM_VALUE_PATTERN: "must not contain a NUL character",
    PARAM_NAME_PATTERN: "must be the name of a variable: letters, digits and '_', and not begin with a digit",
}
"""What the patterns ask for, for people who wrote something else."""
MAX_BREAKPOINTS = 100
"""Of a run."""
