"""Writing and removing contexts in the config file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from workbench.client.endpoint import Endpoint
from workbench.config.contexts import ContextError, read_contexts, remove_context, write_context

TEAM = "current-context: team\ncontexts:\n  - {name: team, server: 'https://c8s.example.org', tokenFile: team.token}\n"


def endpoint(folder: Path, port: int = 18080) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{port}", folder / "token", "default", sandbox="c8s")


def test_the_first_context_becomes_the_current_one(tmp_path: Path) -> None:
    file = tmp_path / "c8s" / "config.yaml"
    write_context(file, "kind-c8s", endpoint(tmp_path))
    found = read_contexts(file)
    assert found.current == "kind-c8s"
    assert found.get("kind-c8s") == endpoint(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600


def test_new_context_is_added_to_existing_ones(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(TEAM)
    write_context(file, "kind-c8s", endpoint(tmp_path))
    write_context(file, "kind-c8s", endpoint(tmp_path, 18081))
    found = read_contexts(file)
    assert found.current == "team"
    assert set(found.endpoints) == {"team", "kind-c8s"}
    assert found.get("kind-c8s").url == "http://127.0.0.1:18081"
    remove_context(file, "kind-c8s")
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(TEAM)


def test_removed_context_is_not_current(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    write_context(file, "kind-c8s", endpoint(tmp_path))
    remove_context(file, "kind-c8s")
    assert read_contexts(file).current is None
    remove_context(tmp_path / "missing.yaml", "kind-c8s")
    assert not (tmp_path / "missing.yaml").exists()


def test_token_renewal_settings_are_saved(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    written = Endpoint("https://c8s.example.org", tmp_path / "t", "web", None, tmp_path / "kubeconfig", "team")
    write_context(file, "team", written)
    assert read_contexts(file).get("team") == written


def test_invalid_config_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("contexts: 7\n")
    with pytest.raises(ContextError):
        write_context(file, "kind-c8s", endpoint(tmp_path))
    assert file.read_text() == "contexts: 7\n"
