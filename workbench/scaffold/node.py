"""Node projects: the package manager from the lock file, the steps from the scripts of package.json."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.scaffold.files import Folder, Table
from workbench.scaffold.plan import CachedFolder, PlannedStep, Project

MANIFESTS = ("package.json",)
_NEWEST = 22
"""The version of Node to use unless the project says otherwise."""
_LINT = ("lint", "format:check", "check:format", "typecheck", "type-check", "check-types")
_NO_TEST = "no test specified"
"""In the `test` script that `npm init` writes, which fails."""
_BROWSERS = ("karma", "playwright", "cypress", "puppeteer", "testcafe", "@web/test-runner")


@dataclass(frozen=True)
class _Manager:
    """A package manager. `run` stands before a script's name, `everywhere` before one that only packages have."""

    name: str
    lock: str
    install: str
    run: str
    everywhere: str
    cache: str
    """The variable for its folder of downloads; empty if it has none."""


def detect(folder: Folder) -> Project | None:
    """The Node project of a folder, or None."""
    package = folder.json("package.json")
    if not folder.has("package.json"):
        return None
    manager = _manager(folder, package)
    image = "oven/bun:1" if manager.name == "bun" else f"node:{_version(folder, package)}"
    install = (manager.install,) if _has_dependencies(folder, package) else ()
    cache = _cache(manager) if install else ()
    members = is_workspace(folder)

    def step(
        name: str, commands: list[str], why: str, depends_on: tuple[str, ...] = (), artifacts: tuple[str, ...] = ()
    ) -> PlannedStep:
        return PlannedStep(name, image, (*install, *commands), why, depends_on, artifacts, cache)

    steps = []
    if lint := [f"{manager.run} {name}" for name in _LINT if package.string("scripts", name)]:
        steps.append(step("lint", lint, "The checks that package.json has scripts for."))
    tests, runner = _tests(folder, package, manager, members)
    if tests:
        steps.append(step("test", tests, f"Tests: {runner}."))
    if build := _build(folder, package, manager, members):
        why = "The build, kept as an artifact where it writes to one of these folders."
        artifacts = ("dist/**", "build/**", "out/**")
        done = tuple(each.name for each in steps)
        steps.append(step("build", build, why, depends_on=done, artifacts=artifacts))
    if not steps:
        why = "package.json has no script to test or build, so only the installation is checked."
        steps.append(step("install", ["npm pack --dry-run"] if package.string("version") else ["node --version"], why))
    kind = f"{'workspace' if members else 'project'} of {manager.name}"
    evidence = tuple(name for name in ("package.json", manager.lock) if folder.has(name))
    return Project(
        "Node", folder.path, f"Node, {kind}, {runner}", evidence, tuple(steps), _notes(folder, package, manager)
    )


def is_workspace(folder: Folder) -> bool:
    """Whether its package.json is that of a workspace, whose packages are below it."""
    return bool(folder.json("package.json").get("workspaces")) or folder.has("pnpm-workspace.yaml", "lerna.json")


covers = is_workspace


def _manager(folder: Folder, package: Table) -> _Manager:
    named = package.string("packageManager").partition("@")
    if folder.has("bun.lock", "bun.lockb") or named[0] == "bun":
        lock = folder.first("bun.lock", "bun.lockb") or "bun.lock"
        frozen = " --frozen-lockfile" if folder.has(lock) else ""
        return _Manager("bun", lock, f"bun install{frozen}", "bun run", "bun run --filter '*'", "")
    if folder.has("pnpm-lock.yaml", "pnpm-workspace.yaml") or named[0] == "pnpm":
        frozen = " --frozen-lockfile" if folder.has("pnpm-lock.yaml") else " --no-frozen-lockfile"
        pnpm = "corepack pnpm"
        return _Manager(
            "pnpm", "pnpm-lock.yaml", f"{pnpm} install{frozen}", f"{pnpm} run", f"{pnpm} -r --if-present run", ""
        )
    if folder.has("yarn.lock") or named[0] == "yarn":
        modern = folder.has(".yarnrc.yml") or re.match(r"[2-9]", named[2]) is not None
        frozen = " --immutable" if modern else " --frozen-lockfile"
        every = "corepack yarn workspaces foreach --all run" if modern else "corepack yarn workspaces run"
        install = f"corepack yarn install{frozen if folder.has('yarn.lock') else ''}"
        return _Manager("yarn", "yarn.lock", install, "corepack yarn run", every, "YARN_CACHE_FOLDER")
    npm_lock = folder.first("package-lock.json", "npm-shrinkwrap.json")
    install = "npm ci" if npm_lock else "npm install"
    every = "npm run --workspaces --if-present"
    return _Manager(
        "npm", npm_lock or "package-lock.json", install, "npm run", every, "npm_config_cache" if npm_lock else ""
    )


def _version(folder: Folder, package: Table) -> str:
    """Of `.nvmrc` or `.node-version`; else the newest unless `engines` names an older one."""
    for name in (".nvmrc", ".node-version"):
        if match := re.match(r"v?(\d{1,2})\b", folder.text(name).strip()):
            return match[1]
    wanted = package.string("engines", "node")
    if limits := re.findall(r"<\s*(\d{1,2})", wanted):
        return str(min(_NEWEST, *(int(limit) - 1 for limit in limits), _NEWEST))
    exact = re.fullmatch(r"[\^~=v]*(\d{1,2})(\.[\dx*.]+)?", wanted.strip())
    if exact:
        return exact[1]
    if lowest := re.search(r">=?\s*(\d{1,2})", wanted):
        return str(max(_NEWEST, int(lowest[1])))
    return str(_NEWEST)


def _has_dependencies(folder: Folder, package: Table) -> bool:
    kinds = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    return any(package.table(kind) for kind in kinds) or is_workspace(folder)


def _tests(folder: Folder, package: Table, manager: _Manager, members: bool) -> tuple[list[str], str]:
    script = package.string("scripts", "test")
    if script and _NO_TEST not in script:
        return [f"{manager.run} test"], "its `test` script"
    if members and any("test" in folder.json(name).table("scripts") for name in _member_manifests(folder)):
        return [f"{manager.everywhere} test"], "the `test` scripts of its packages"
    if any(folder.matching(pattern) for pattern in ("*.test.js", "*.test.mjs", "*.test.cjs")) and not members:
        return ["node --test"], "the test runner of Node"
    return [], "no tests found"


def _build(folder: Folder, package: Table, manager: _Manager, members: bool) -> list[str]:
    if package.string("scripts", "build"):
        return [f"{manager.run} build"]
    if members and any("build" in folder.json(name).table("scripts") for name in _member_manifests(folder)):
        return [f"{manager.everywhere} build"]
    return []


def _member_manifests(folder: Folder) -> list[str]:
    return [name for name in folder.matching("package.json") if "/" in name][:100]


def _cache(manager: _Manager) -> tuple[CachedFolder, ...]:
    if not manager.cache:
        return ()
    return (CachedFolder(manager.name, manager.lock, f".cache/{manager.name}", manager.cache),)


def _notes(folder: Folder, package: Table, manager: _Manager) -> tuple[str, ...]:
    notes = []
    needed = [name for kind in ("dependencies", "devDependencies") for name in package.table(kind)]
    if browsers := [name for name in _BROWSERS if any(name in each for each in needed)]:
        notes.append(f"{browsers[0]} needs browsers, which the image of its steps may lack")
    if manager.name == "npm" and not folder.has(manager.lock) and _has_dependencies(folder, package):
        notes.append("it has no lock file, so each run installs the newest versions; commit package-lock.json")
    return tuple(notes)
