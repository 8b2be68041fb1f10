"""When a GitLab job runs: `rules`, `only`, `except` and `when` as the conditions of a step.

A condition without counterpart keeps the step from running until it is reviewed: a job that deploys must not
run because its condition was lost. Source: https://docs.gitlab.com/ci/jobs/job_rules/
"""

from __future__ import annotations

import re
from typing import Any

from workbench.importer.draft import StepDraft
from workbench.importer.source import SourceMap
from workbench.importer.values import table, tables, text, texts

_WHEN = {"on_failure": {"when": "failure"}, "always": {"when": "always"}, "on_success": {}, "": {}}
_COMPARISON = re.compile(
    r"\$(\w{1,100})\s?(==|!=|=~)\s?(?:\"([^\"]{0,300})\"|'([^']{0,300})'|\$(\w{1,100})|(/[^ ]{1,300}/))"
)
_SOURCES = {"merge_request_event": "pull_request", "external_pull_request_event": "pull_request", "push": "push"}
_ANY_REF = frozenset({"branches", "pushes", "web", "api", "triggers"})


def job_condition(step: StepDraft, job: SourceMap) -> None:
    """Set the step's condition, or keep it from running with a note that says what its condition was."""
    when = text(job.get("when"))
    if "rules" in job:
        _apply_rules(step, job, tables(job["rules"]))
        return
    if when in ("manual", "delayed"):
        step.require_review(job.line("when"), f"when: {when}")
        return
    if when == "never":
        step.require_review(job.line("when"), "when: never")
        return
    step.conditional |= _WHEN.get(when, {})
    if "only" in job:
        _apply_only(step, job.line("only"), job["only"])
    if "except" in job and (excluded := texts(job["except"])) != ["tags"]:
        step.require_review(job.line("except"), f"except: {', '.join(excluded) or 'a map'}")


def _apply_rules(step: StepDraft, job: SourceMap, rules: list[SourceMap]) -> None:
    line = job.line("rules")
    positive = [rule for rule in rules if text(rule.get("when")) != "never"]
    never_first = bool(rules) and text(rules[0].get("when")) == "never"
    meanings = [_rule(rule) for rule in positive]
    known = [meaning for meaning in meanings if meaning is not None]
    shown = "; ".join(_show(rule) for rule in rules)
    if not positive:
        step.require_review(line, f"rules: {shown or 'none'}")
    elif any("event" in meaning or "branch" in meaning for meaning in known) and len(known) == len(meanings) == 1:
        step.conditional |= known[0]
    elif len(known) == len(meanings) and not never_first and any(set(each) <= {"when"} for each in known):
        # One of the rules always holds.
        step.conditional |= next(each for each in known if set(each) <= {"when"})
    elif len(known) == len(meanings) and not never_first and all(each == known[0] for each in known):
        step.conditional |= known[0]
    else:
        step.require_review(line, f"rules: {shown}")
    if any(rule.get("variables") for rule in rules):
        step.note(line, "variables of rules have no counterpart")
    if any(rule.get("allow_failure") is True for rule in positive):
        step.allow_failure = True


def _show(rule: SourceMap) -> str:
    parts = [f"{key} {text(value) or ', '.join(texts(value))}" for key, value in rule.items() if key != "variables"]
    return ", ".join(parts)


def _rule(rule: SourceMap) -> dict[str, Any] | None:
    """What a rule means; None if it has no counterpart."""
    when = text(rule.get("when"))
    if when not in _WHEN or "exists" in rule:
        return None
    meaning: dict[str, Any] = dict(_WHEN[when])
    if "if" in rule:
        for term in text(rule["if"]).split("&&"):
            found = _term(" ".join(term.split()))
            if found is None or any(meaning.get(key, value) != value for key, value in found.items()):
                return None
            meaning |= found
    if "changes" in rule:
        paths = texts(table(rule["changes"]).get("paths")) or texts(rule["changes"])
        if not paths or any("$" in path for path in paths):
            return None
        meaning["paths"] = paths[:100]
    return meaning


def _term(term: str) -> dict[str, Any] | None:
    inner = term.strip("() ")
    if inner in ("$CI_COMMIT_TAG", "$CI_COMMIT_TAG != null"):
        return {"event": "tag"}
    if inner in ("$CI_MERGE_REQUEST_ID", "$CI_MERGE_REQUEST_IID"):
        return {"event": "pull_request"}
    if inner in ("$CI_COMMIT_BRANCH", "$CI_COMMIT_TAG == null"):
        return {"event": "push"} if inner == "$CI_COMMIT_BRANCH" else {}
    match = _COMPARISON.fullmatch(inner)
    if match is None or match[2] == "!=":
        return None
    name, value = match[1], match[3] if match[3] is not None else match[4]
    if name == "CI_PIPELINE_SOURCE" and match[2] == "==" and value in _SOURCES:
        return {"event": _SOURCES[value]}
    if name in ("CI_COMMIT_BRANCH", "CI_COMMIT_REF_NAME"):
        if match[5] == "CI_DEFAULT_BRANCH":
            return {"branch": "main"}
        if match[2] == "==" and value:
            return {"branch": value}
        if match[6] and (pattern := _glob(match[6])):
            return {"branch": pattern}
    if name == "CI_COMMIT_TAG" and match[6]:
        pattern = _glob(match[6])
        return {"event": "tag", "tag": pattern} if pattern else None
    return None


def _glob(expression: str) -> str | None:
    """The pattern for a simple regular expression such as `/^release\\/.*$/`; None for others."""
    inner = expression.strip("/").replace("\\/", "/").replace("\\.", ".")
    match = re.fullmatch(r"\^([A-Za-z0-9_./-]{1,200}?)(\.\*|\.\+)?(\$)?", inner)
    if match is None:
        return None
    return match[1] if match[3] and not match[2] else match[1] + "**"


def _apply_only(step: StepDraft, line: int, only: Any) -> None:
    given = table(only)
    refs = texts(given.get("refs")) if given else texts(only)
    if given.get("changes"):
        step.conditional["paths"] = texts(given["changes"])[:100]
    others = [key for key in given if key not in ("refs", "changes")]
    meaning = _refs(refs)
    if meaning is None or others:
        step.require_review(line, f"only: {', '.join([*refs, *others])}")
    else:
        step.conditional |= meaning


def _refs(refs: list[str]) -> dict[str, str] | None:
    names = set(refs)
    if not names or _ANY_REF & names:
        return {}
    if names == {"tags"}:
        return {"event": "tag"}
    if names == {"merge_requests"}:
        return {"event": "pull_request"}
    if len(names) != 1:
        return None
    name = refs[0]
    if name.startswith("/"):
        pattern = _glob(name)
        return {"branch": pattern} if pattern else None
    keywords = ("schedules", "external", "external_pull_requests", "chat", "pipelines", "merge_requests", "tags")
    return None if name in keywords or "@" in name or "$" in name else {"branch": name}
