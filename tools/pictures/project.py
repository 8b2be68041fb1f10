"""A user with empty folders, a sandbox, and runs of a small project in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.pictures.images import ROOT

SANDBOX = "default"
"""In a state folder of its own, see `make_project`."""
_COMMIT = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qm", "Count words")
_DATE = "2026-03-02T09:00:00Z"
"""Of the commit, whose hash is then always the same."""


class PictureError(Exception):
    """Pictures can't be taken; the message says why, and what to do."""


class Project:
    """The sample project in a temporary folder, with the runs that were started, in order."""

    def __init__(self, home: Path) -> None:
        """Become a user with empty folders, in the folder of a git repository."""
        os.environ["HOME"] = str(home)
        for variable, name in (("STATE", "state"), ("CONFIG", "config"), ("CACHE", "cache")):
            os.environ[f"XDG_{variable}_HOME"] = str(home / f".{name}")
        os.environ.pop("NO_COLOR", None)
        os.environ["C8S_RUNTIME"] = "process"
        self.folder = home / "wordcount"
        self.pipeline_file = self.folder / ".c8s.yaml"
        self.runs: list[str] = []
        shutil.copytree(ROOT / "samples" / "wordcount", self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        dates = {"GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
        for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), _COMMIT):
            subprocess.run(["git", *arguments], check=True, cwd=self.folder, env={**os.environ, **dates})
        os.chdir(self.folder)

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file. Raises PictureError if the sample no longer has it."""
        file = self.folder / path
        text = file.read_text()
        if text.count(old) != 1:
            raise PictureError(f"samples/wordcount/{path} does not have {old!r} once: adapt tools/pictures/scenes.py")
        file.write_text(text.replace(old, new))

    def run(self, *arguments: str, code: int = 0) -> None:
        """Run a pipeline to its end."""
        self._note(finish(start("run", *arguments, "--name", SANDBOX), code))

    def run_sample(self, sample: str) -> None:
        self.run(str(ROOT / "samples" / f"{sample}.yaml"), "--no-source", "--branch", "main")

    def start_sample(self, sample: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a run that does not end by itself, and return once it is created."""
        file = str(ROOT / "samples" / f"{sample}.yaml")
        process = start("run", file, *arguments, "--no-source", "--branch", "main", "--name", SANDBOX)
        assert process.stdout is not None
        self._note(next((line for line in process.stdout if line.startswith("run ")), "(it printed nothing)"))
        return process

    def _note(self, output: str) -> None:
        found = re.search(r"^run (\S+)", output, re.MULTILINE)
        if found is None:
            raise PictureError(f"`c8s run` did not name its run:\n{output}")
        self.runs.append(found[1])


def c8s(*arguments: str) -> None:
    """Run a command to its end. Raises PictureError if it fails."""
    finish(start(*arguments), 0)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workbench", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def finish(process: subprocess.Popen[str], code: int) -> str:
    """What a command printed. Raises PictureError if it ends with another exit code."""
    output, _ = process.communicate()
    if process.returncode != code:
        raise PictureError(f"{process.args!r} ended with {process.returncode}, not {code}:\n{output}")
    return output
