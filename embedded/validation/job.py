"""What is wrong with a whole Job: its selector, its template and (in `job_validation`) the rest of its spec."""

from __future__ import annotations

from typing import Any

from embedded.api.field_errors import invalid, not_supported, required
from embedded.api.names import validate_labels
from embedded.api.selectors import matches_label_selector
from embedded.api.status_errors import FieldError
from embedded.validation import job_update
from embedded.validation.defaults import job_labels
from embedded.validation.pod import validate_pod_spec

Json = dict[str, Any]

_RESTART_POLICIES = ("OnFailure", "Never")


def validate_job(job: Json) -> list[FieldError]:
    spec = job["spec"]
    template = spec["template"]
    labels = template.get("metadata", {}).get("labels") or {}
    found = job_update.validate_job_spec(spec)
    found += validate_labels(labels, "spec.template.labels")
    at = "spec.template.spec"
    found += validate_pod_spec(template["spec"], at)
    policy = template["spec"]["restartPolicy"]
    if policy == "":
        found.append(required(f"{at}.restartPolicy", 'valid values: "OnFailure", "Never"'))
    elif policy not in _RESTART_POLICIES:
        found.append(not_supported(f"{at}.restartPolicy", policy, _RESTART_POLICIES))
    if spec.get("manualSelector") and not spec.get("selector"):
        found.append(required("spec.selector"))
    elif not spec.get("manualSelector") and not matches_label_selector(spec["selector"], job_labels(job)):
        found.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    if not spec.get("manualSelector"):
        for label, value in job_labels(job).items():
            if labels.get(label) != value:
                where = f"spec.template.metadata.labels[{label}]"
                found.append(invalid(where, labels.get(label), f'must be "{value}"'))
    if not matches_label_selector(spec.get("selector") or {}, labels):
        found.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return found


def validate_job_update(old: Json, new: Json) -> list[FieldError]:
    found = validate_job(new)
    if old["spec"].get("selector") != new["spec"].get("selector"):
        found.append(invalid("spec.selector", new["spec"].get("selector"), "field is immutable"))
    # While a Job is suspended and has not started, its template may still be aimed at other nodes; not here.
    if old["spec"].get("template") != new["spec"].get("template"):
        found.append(invalid("spec.template.spec", new["spec"]["template"].get("spec"), "field is immutable"))
    return found + job_update.validate_job_spec_update(old["spec"], new["spec"])
