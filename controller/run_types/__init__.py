"""The types of a PipelineRun: its keys, phases, reasons, and the shape of its spec and status.

This is the one definition of a run's status. The status schema of the CustomResourceDefinition, the schemas of the
REST API's OpenAPI document and `docs/reference/status-reasons.md` are generated from it.

A status is JSON: where the API server or a client wrote it, it holds plain strings. The enums are `str`s that compare
and hash equal to those strings and serialize to them. Code that tests a phase therefore uses `in FINAL_STEP_PHASES`
or `in FINAL_RUN_PHASES`, which work for both.

Modules:
    keys: what identifies a run and an attempt.
    phases: the phases, and which of them are final.
    reasons: the reasons of phases.
    order: the order in which runs were created.
    objects: the shape of a PipelineRun as dictionaries; imported for type checking only, because it takes longer.
    schema: JSON schemas of those shapes.
    reference: the generated reference page.

Import from the modules: a client that needs phases should not pay for the rest.
"""
