"""Kubeconfigs in the forms that people have, and errors that say what is wrong without quoting a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kube import KubeconfigError, connect
from controller.kube.client import ConnectionConfig
from controller.kube.kubeconfig import TokenFile, _from_file

Json = dict[str, Any]


def kubeconfig(folder: Path, user: Json, cluster: Json | None = None, **more: Any) -> Path:
    path = folder / "config"
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
        **more,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def read(path: Path, context: str | None = None) -> ConnectionConfig:
    return _from_file(path, context)


def test_a_token(tmp_path: Path) -> None:
    server = read(kubeconfig(tmp_path, {"token": "t"}))
    assert server.url == "http://127.0.0.1:1"
    assert server.token() == "t"
    assert server.namespace == "team"
    assert server.tls is None


def test_no_credentials_at_all(tmp_path: Path) -> None:
    assert read(kubeconfig(tmp_path, {})).token() is None


def test_token_file_is_relative_and_reread_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    server = read(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert server.token() == "first"
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").replace(tmp_path / "token")
    assert server.token() == "second"
    (tmp_path / "token").unlink()
    assert server.token() == "second", "the last one is still worth a try"


def test_a_token_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(KubeconfigError, match=r"can't read the token file .*/token"):
        read(kubeconfig(tmp_path, {"tokenFile": "token"})).token()


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"can't read the token file .*/nope"):
        TokenFile(tmp_path / "nope").read()


def test_the_name_in_the_certificate_and_a_proxy_are_heeded(tmp_path: Path) -> None:
    more = {"tls-server-name": "kube.example", "proxy-url": "http://proxy.example:3128"}
    server = read(kubeconfig(tmp_path, {"token": "t"}, more))
    assert (server.tls_server_name, server.proxy_url) == ("kube.example", "http://proxy.example:3128")


def test_another_context_can_be_chosen(tmp_path: Path) -> None:
    contexts = [{"name": "other", "context": {"cluster": "c", "user": "u"}}]
    server = read(kubeconfig(tmp_path, {"token": "t"}, contexts=contexts), "other")
    assert server.namespace == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "can't read the kubeconfig"),
        ("- a\n", "is no kubeconfig"),
        ("{}", "has no current-context"),
        ("current-context: x\n", "has no context 'x'"),
        ("current-context: x\ncontexts: [1, {name: x, context: 3}]\n", "the context 'x' is no mapping"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n", "has no cluster 'c'"),
        ("users:\n- {token: hush-hush\n- x: [", "is not YAML: there is a mistake at line"),
    ],
)
def test_what_cannot_be_used_is_said_without_quoting_it(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KubeconfigError) as caught:
        connect(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_missing_server_and_bad_certificates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="cluster c has no server"):
        read(kubeconfig(tmp_path, {}, {"server": ""}))
    wrong = {"server": "https://x", "certificate-authority-data": "bm90IGEgY2VydA=="}
    with pytest.raises(KubeconfigError, match="the certificates can't be used"):
        read(kubeconfig(tmp_path, {}, wrong))


def test_a_program_that_gives_tokens_is_asked(tmp_path: Path) -> None:
    program = tmp_path / "give"
    credential = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made"}}'
    program.write_text(f"#!/bin/sh\necho '{credential}'\n")
    program.chmod(0o755)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    assert read(kubeconfig(tmp_path, {"exec": plugin})).token() == "made"


def test_outside_of_a_cluster_a_kubeconfig_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubeconfigError, match="not inside a cluster"):
        connect(None)
