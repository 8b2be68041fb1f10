"""The credentials of a repository, for git: given to the server of the repository's own URL and to no other.

A repository is untrusted: it can name any server in `.gitmodules`, and a server can redirect to any other. git says for
which server it needs credentials, so the credential helper and the wrapper of ssh, two scripts written here, compare
that with the scheme, host and port of the URL before they answer.
"""

# ruff: noqa: PTH110, PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import shlex

from ..errors import UsageError

_DEFAULT_PORTS = {"http": "80", "https": "443", "ssh": "22"}

# git passes `name=value` lines: https://git-scm.com/docs/git-credential#IOFMT
_HELPER = """\
#!/bin/sh
[ "$1" = get ] || exit 0
protocol= host= username=
while IFS= read -r line; do
  case $line in
    protocol=*) protocol=${line#protocol=} ;;
    host=*) host=${line#host=} ;;
    username=*) username=${line#username=} ;;
  esac
done
case $protocol://$host in
  %(servers)s) ;;
  *) exit 0 ;;
esac
[ -n "$username" ] || IFS= read -r username 2>/dev/null <%(folder)s/username
IFS= read -r password <%(folder)s/password
printf 'username=%%s\\npassword=%%s\\n' "$username" "$password"
"""

# git calls `ssh [-4|-6] [-o OPTION]... [-p PORT] [USER@]HOST COMMAND` (GIT_SSH_VARIANT=ssh).
_SSH = """\
#!/bin/sh
host= port=22 value=
for word do
  case $value in
    port) port=$word value=; continue ;;
    option) value=; continue ;;
  esac
  case $word in
    -p) value=port ;;
    -o) value=option ;;
    -4|-6) ;;
    *) host=${word##*@}; break ;;
  esac
done
if [ "$host" = %(host)s ] && [ "$port" = %(port)s ]; then
  set -- -i %(key)s "$@"
else
  set -- -o IdentityFile=none "$@"
fi
exec ssh -F /dev/null %(options)s "$@"
"""


class Server:
    """The server of a repository's URL: scheme, host without brackets, and port in digits ("" if it has none)."""

    def __init__(self, scheme: str, host: str, port: str) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port

    def names(self) -> list[str]:
        """The forms in which git may name this server, as `scheme://host[:port]`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _DEFAULT_PORTS.get(self.scheme)
        ports = {"", f":{default}"} if self.port in ("", default) else {f":{self.port}"}
        return sorted({f"{self.scheme}://{name}{port}" for name in (host, host.lower()) for port in ports})


def parse_server(url: str) -> Server:
    """The server of a URL, or of `user@host:path`."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Server("ssh", url.partition(":")[0].rpartition("@")[2], "")
    authority = rest.partition("/")[0].rpartition("@")[2]
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        return Server(scheme, host, port.removeprefix(":"))
    host, _, port = authority.partition(":")
    return Server(scheme, host, port)


class GitCredentials:
    """What git needs to use a mounted Secret: its `options` (configuration) and `variables` (environment)."""

    def __init__(self, options: list[tuple[str, str]], variables: dict[str, str]) -> None:
        self.options = options
        self.variables = variables


def prepare_credentials(url: str, scratch: str, folder: str | None) -> GitCredentials:
    """The credentials in a folder (an SSH key, or a user name and password) for the server of this URL only.

    Args:
        scratch: the folder for the scripts, and for the key with the permissions that ssh requires.

    Raises:
        UsageError: the folder has neither of the two.
    """
    if folder is None:
        return GitCredentials([], {})
    server = parse_server(url)
    if os.path.exists(os.path.join(folder, "ssh-privatekey")):
        return GitCredentials([], {"GIT_SSH": _write_ssh(server, scratch, folder), "GIT_SSH_VARIANT": "ssh"})
    if not os.path.exists(os.path.join(folder, "password")):
        raise UsageError("the secret for the repository has neither ssh-privatekey nor username and password")
    servers = "|".join(shlex.quote(name) for name in server.names())
    script = _HELPER % {"servers": servers, "folder": shlex.quote(folder)}
    helper = _write_file(os.path.join(scratch, "credentials"), script.encode(), 0o700)
    redirects = [("http.followRedirects", "false")]
    # Hosts such as GitLab redirect `…/name` to `…/name.git`; git asks again for the credentials of another server.
    redirects += [(f"http.{name}/.followRedirects", "initial") for name in server.names()]
    return GitCredentials([("credential.helper", f"!{shlex.quote(helper)}"), *redirects], {})


def _write_ssh(server: Server, scratch: str, folder: str) -> str:
    """Write the wrapper of ssh; its path."""
    with open(os.path.join(folder, "ssh-privatekey"), "rb") as given:
        # ssh accepts a key only from a file that no other user can read.
        key = _write_file(os.path.join(scratch, "key"), given.read(), 0o600)
    hosts, check = os.path.join(folder, "known_hosts"), "yes"
    if not os.path.exists(hosts):
        print("the secret has no known_hosts: the host key of the server is accepted unchecked", flush=True)
        hosts, check = os.path.join(scratch, "known_hosts"), "accept-new"
    options = ("IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", f"StrictHostKeyChecking={check}")
    words = [word for option in (*options, f'UserKnownHostsFile="{hosts}"') for word in ("-o", option)]
    script = _SSH % {
        "host": shlex.quote(server.host),
        "port": shlex.quote(server.port or "22"),
        "key": shlex.quote(key),
        "options": " ".join(shlex.quote(word) for word in words),
    }
    return _write_file(os.path.join(scratch, "ssh"), script.encode(), 0o700)


def _write_file(path: str, data: bytes, mode: int) -> str:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    return path
