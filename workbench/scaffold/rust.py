"""Rust crates and workspaces."""

from __future__ import annotations

import re

from workbench.scaffold.files import Folder
from workbench.scaffold.plan import CachedFolder, PlannedStep, Project

MANIFESTS = ("Cargo.toml",)
_NEWEST = "1"
"""The tag of the newest stable version in the 1.x series."""


def detect(folder: Folder) -> Project | None:
    """The crate or workspace of a folder, or None."""
    if not folder.has("Cargo.toml"):
        return None
    image = f"rust:{_version(folder)}"
    workspace = " --workspace" if covers(folder) else ""
    locked = " --locked" if folder.has("Cargo.lock") else ""
    caches = (CachedFolder("cargo", "Cargo.lock", ".cache/cargo", "CARGO_HOME"),) if _has_packages(folder) else ()
    steps = []
    if folder.has("rustfmt.toml", ".rustfmt.toml"):
        # The image has the minimal profile.
        format_code = ("rustup component add rustfmt", "cargo fmt --all --check")
        steps.append(PlannedStep("format", image, format_code, "The format that rustfmt.toml asks for."))
    test = f"cargo test{workspace}{locked}"
    steps.append(PlannedStep("test", image, (test,), "Builds and tests all crates.", caches=caches))
    if _has_program(folder):
        build = f"cargo build --release{workspace}{locked}"
        why = "The release build."
        steps.append(PlannedStep("build", image, (build,), why, ("test",), caches=caches))
    what = "Rust workspace" if workspace else "Rust crate"
    evidence = tuple(name for name in ("Cargo.toml", "Cargo.lock") if folder.has(name))
    return Project("Rust", folder.path, what, evidence, tuple(steps))


def covers(folder: Folder) -> bool:
    """Whether it is a workspace, whose crates are below it."""
    return "workspace" in folder.toml("Cargo.toml").table() if folder.has("Cargo.toml") else False


def _version(folder: Folder) -> str:
    channel = folder.toml("rust-toolchain.toml").string("toolchain", "channel") or folder.text("rust-toolchain").strip()
    match = re.fullmatch(r"1\.\d{1,3}(\.\d{1,3})?", channel)
    return match[0] if match else _NEWEST


def _has_packages(folder: Folder) -> bool:
    """Whether the lock file names crates to download."""
    return "source = " in folder.text("Cargo.lock")


def _has_program(folder: Folder) -> bool:
    return any(name.endswith("src/main.rs") or "/src/bin/" in f"/{name}" for name in folder.matching("*.rs"))
