"""The listening sockets of the process, and the addresses at which others reach them."""

import socket

from controller.settings import Settings, SettingsError


def open_listener(settings: Settings) -> socket.socket:
    """The listening socket, inherited or bound. Raises SettingsError."""
    try:
        if settings.listen_fd is not None:
            return socket.socket(fileno=settings.listen_fd)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        named = settings.listen_fd is not None
        where = f"--listen-fd {settings.listen_fd}" if named else f"{settings.host}:{settings.port}"
        raise SettingsError(f"can't listen on {where}: {error.strerror}") from error


def open_operator_listener(settings: Settings) -> socket.socket | None:
    """The listening socket of the operator's own port, if one is set. Raises SettingsError."""
    if settings.operator_port is None or "operator" not in settings.roles:
        return None
    return _bind(settings.host, settings.operator_port, "operator-port")


def open_admission_listener(settings: Settings) -> socket.socket | None:
    """The listening socket of the admission webhook, if it is served. Raises SettingsError."""
    if settings.admission_port is None or "api" not in settings.roles:
        return None
    return _bind(settings.host, settings.admission_port, "admission-port")


def _bind(host: str, port: int, flag: str) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(f"--{flag}: can't listen on {host}:{port}: {error.strerror}") from error


def operator_address(settings: Settings, sock: socket.socket) -> str:
    """Where an API elsewhere reaches the operator's port."""
    if settings.pod_ip is None:
        return url_of(sock)
    host = f"[{settings.pod_ip}]" if ":" in settings.pod_ip else settings.pod_ip
    return f"http://{host}:{sock.getsockname()[1]}"


def url_of(sock: socket.socket) -> str:
    """Where the socket can be reached from this machine."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - recognised, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
