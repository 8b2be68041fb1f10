"""Logins for registries: those of a pod's `imagePullSecrets`, and those that `docker login` has stored."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedded.kubelet.runtime.engine.images.references import DEFAULT_REGISTRY, ImageReference

Json = dict[str, Any]

_HELPER_TIMEOUT = 10.0
_DOCKER_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")


def secret_logins(secret: Json) -> Mapping[str, Json]:
    """The logins in a Secret of type `kubernetes.io/dockerconfigjson` or `dockercfg`, by registry; empty if invalid."""
    data = secret.get("data") or {}
    with suppress(ValueError, TypeError, AttributeError):
        if encoded := data.get(".dockerconfigjson"):
            return _valid(json.loads(base64.b64decode(encoded)).get("auths"))
        if encoded := data.get(".dockercfg"):
            return _valid(json.loads(base64.b64decode(encoded)))
    return {}


def find_login(logins: Iterable[Mapping[str, Json]], image: ImageReference) -> Json | None:
    """The login for an image, as the engine wants it; the longest matching name wins."""
    wanted = _DOCKER_HUB if image.registry == DEFAULT_REGISTRY else (image.registry,)
    full = image.name if image.registry != DEFAULT_REGISTRY else f"{DEFAULT_REGISTRY}/{image.name}"
    best: tuple[int, Json] | None = None
    for each in logins:
        for name, login in each.items():
            host = name.removeprefix("https://").removeprefix("http://").rstrip("/")
            matches = name in wanted or host in wanted or full.startswith(f"{host}/")
            if matches and (best is None or len(host) > best[0]):
                best = len(host), login
    return None if best is None else engine_login(best[1], image.registry)


def engine_login(login: Json, registry: str) -> Json:
    """A stored login in the form of the engine's header X-Registry-Auth."""
    found = {key: login[key] for key in ("username", "password", "identitytoken", "registrytoken") if login.get(key)}
    with suppress(ValueError, TypeError):
        if login.get("auth") and "username" not in found:
            user, _, password = base64.b64decode(login["auth"]).decode().partition(":")
            found |= {"username": user, "password": password}
    address = _DOCKER_HUB[0] if registry == DEFAULT_REGISTRY else registry
    return {**found, "serveraddress": address}


def header(login: Json) -> str:
    """The value of X-Registry-Auth."""
    return base64.urlsafe_b64encode(json.dumps(login).encode()).decode()


async def stored_login(files: Iterable[Path], image: ImageReference) -> Json | None:
    """The login that the user has stored for an image's registry, in a file of Docker or Podman or its helper."""
    for file in files:
        config = await asyncio.to_thread(_read, file)
        helper = _helpers(config).get(image.registry) or config.get("credsStore")
        server = _DOCKER_HUB[0] if image.registry == DEFAULT_REGISTRY else image.registry
        if helper and (login := await _ask_helper(str(helper), server)) is not None:
            return engine_login(login, image.registry)
        if (login := find_login([_valid(config.get("auths"))], image)) is not None and len(login) > 1:
            return login
    return None


def missing_helpers(files: Iterable[Path], find: Callable[[str], str | None] = shutil.which) -> Mapping[str, Path]:
    """The programs that hold logins and are not in PATH, and the file that names each. Blocks."""
    missing = {}
    for file in files:
        config = _read(file)
        for name in filter(None, (config.get("credsStore"), *_helpers(config).values())):
            if find(f"docker-credential-{name}") is None:
                missing[f"docker-credential-{name}"] = file
    return missing


def _read(file: Path) -> Json:
    with suppress(OSError, ValueError):
        loaded = json.loads(file.read_text())
        return loaded if isinstance(loaded, dict) else {}
    return {}


def _helpers(config: Json) -> Json:
    found = config.get("credHelpers")
    return found if isinstance(found, dict) else {}


async def _ask_helper(helper: str, server: str) -> Json | None:
    """The login of `docker-credential-HELPER get`; None if it has none, fails or takes too long."""
    with suppress(OSError, ValueError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            f"docker-credential-{helper}",
            "get",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_HELPER_TIMEOUT):
                output, _ = await process.communicate(server.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        found = json.loads(output) if process.returncode == 0 else {}
        if found.get("Secret"):
            if found.get("Username") == "<token>":
                return {"identitytoken": found["Secret"]}
            return {"username": found.get("Username", ""), "password": found["Secret"]}
    return None


def _valid(auths: Any) -> Mapping[str, Json]:
    if not isinstance(auths, dict):
        return {}
    return {name: login for name, login in auths.items() if isinstance(name, str) and isinstance(login, dict)}


def login_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """The files in which Docker and Podman store logins."""
    files = [Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    if chosen := environment.get("REGISTRY_AUTH_FILE"):
        files.insert(0, Path(chosen))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        files.append(Path(runtime) / "containers/auth.json")
    return [*files, home / ".config/containers/auth.json"]
