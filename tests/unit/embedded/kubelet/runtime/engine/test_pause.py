"""The program that holds a pod's network."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.pause import image_tag, program, root_file_system


@pytest.mark.skipif(
    sys.platform != "linux" or program(platform.machine()) is None, reason="made for Linux on x86_64 and arm64"
)
def test_the_program_waits_until_it_is_killed(tmp_path: Path) -> None:
    content = program(platform.machine())
    assert content is not None
    file = tmp_path / "pause"
    file.write_bytes(content)
    file.chmod(0o700)
    with subprocess.Popen([str(file)]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()
        assert process.wait(5) == -9


def test_every_program_has_an_image_of_its_own() -> None:
    contents = [program(name) for name in ("x86_64", "aarch64")]
    assert all(contents)
    assert len({image_tag(content) for content in contents if content}) == 2
    assert program("s390x") is None
    with tarfile.open(fileobj=io.BytesIO(root_file_system(b"x"))) as tar:
        assert [(member.name, member.mode) for member in tar] == [("pause", 0o755)]
