from pathlib import Path

import pytest

from workbench.cli.main import main


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("../x", 2, "'../x' is not a valid sandbox name"), ("absent", 1, "sandbox absent does not exist; create it")],
)
def test_runs_of_a_missing_sandbox_are_an_error(
    name: str,
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["runs", "--name", name]) == code
    assert message in capsys.readouterr().err
