"""Java and Kotlin projects with Maven or Gradle."""

from __future__ import annotations

import re

from workbench.scaffold.files import Folder
from workbench.scaffold.plan import CachedFolder, PlannedStep, Project

MANIFESTS = ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
_LONG_TERM_VERSIONS = (8, 11, 17, 21)
_MAVEN_VERSION = re.compile(
    r"<(?:maven\.compiler\.release|java\.version|release|maven\.compiler\.target|maven\.compiler\.source)>"
    r"\s*(?:1\.)?(\d{1,2})\s*<"
)
_GRADLE_VERSION = re.compile(
    r"(?:languageVersion[^\n]{0,40}\(|jvmToolchain\(|VERSION_(?:1_)?|Compatibility\s*=\s*['\"]?(?:1\.)?)(\d{1,2})"
)


def detect(folder: Folder) -> Project | None:
    """The Maven or Gradle build of a folder, or None."""
    if folder.has("pom.xml"):
        return _maven(folder)
    if build := folder.first(*MANIFESTS[1:]):
        return _gradle(folder, build)
    return None


def covers(folder: Folder) -> bool:
    """Whether its build includes the folders below: modules of Maven, or a Gradle settings file."""
    return "<module>" in folder.text("pom.xml") or folder.has("settings.gradle", "settings.gradle.kts")


def _maven(folder: Folder) -> Project:
    java = _java_version(_MAVEN_VERSION, folder.text("pom.xml"))
    wrapper = folder.has("mvnw")
    image = f"eclipse-temurin:{java}" if wrapper else f"maven:3.9-eclipse-temurin-{java}"
    maven = "sh ./mvnw" if wrapper else "mvn"
    key = "pom.xml"
    caches = (CachedFolder("maven", key, ".cache/maven", "MAVEN_REPOSITORY"),)
    command = f'{maven} --batch-mode --no-transfer-progress -Dmaven.repo.local="$MAVEN_REPOSITORY" verify'
    step = PlannedStep("verify", image, (command,), "Compiles, tests and packages.", (), ("**/target/*.jar",), caches)
    what = "Maven build with modules" if covers(folder) else "Maven build"
    evidence = tuple(name for name in ("pom.xml", "mvnw") if folder.has(name))
    return Project("Java", folder.path, what, evidence, (step,))


def _gradle(folder: Folder, manifest: str) -> Project:
    text = "\n".join(
        folder.text(name) for name in [*folder.matching("build.gradle"), *folder.matching("build.gradle.kts")]
    )
    java = _java_version(_GRADLE_VERSION, text)
    wrapper = folder.has("gradlew")
    image = f"eclipse-temurin:{java}" if wrapper else f"gradle:8-jdk{java}"
    command = f"{'sh ./gradlew' if wrapper else 'gradle'} --no-daemon build"
    artifacts = ("**/build/libs/*.jar",)
    step = PlannedStep("build", image, (command,), "Compiles, tests and packages.", (), artifacts)
    what = "Gradle build with projects" if covers(folder) and "include" in _settings(folder) else "Gradle build"
    evidence = tuple(name for name in (manifest, "gradlew") if folder.has(name))
    return Project("Java", folder.path, what, evidence, (step,))


def _settings(folder: Folder) -> str:
    return folder.text("settings.gradle") + folder.text("settings.gradle.kts")


def _java_version(pattern: re.Pattern[str], text: str) -> int:
    """The lowest version with long-term support that is not older than the highest one asked for."""
    wanted = max((int(version) for version in pattern.findall(text)), default=_LONG_TERM_VERSIONS[-1])
    return next((version for version in _LONG_TERM_VERSIONS if version >= wanted), wanted)
