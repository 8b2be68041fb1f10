"""Validation of pipeline definitions that come as JSON, once for each process that may not trust where they come from.

The API validates what clients send, and the operator what it finds in the cluster, because a run can also be created
without the API. Where both are one process, as in a sandbox, the second call finds the result of the first.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from typing import Any

from pydantic import ValidationError

from controller.pipeline.diagnostics import Diagnostic
from controller.pipeline.lint import check_definition
from controller.pipeline.model import Pipeline

Json = dict[str, Any]

_MAX_KNOWN = 256
_known: OrderedDict[bytes, Pipeline] = OrderedDict()
_lock = threading.Lock()


class InvalidDefinitionError(Exception):
    """The definition is not valid.

    `diagnostics` holds what lint reports, errors only; without any, `model_errors` holds what pydantic reports: the
    little that a schema can't express, such as text with half a character in it.
    """

    def __init__(self, diagnostics: tuple[Diagnostic, ...], model_errors: list[Any]) -> None:
        self.diagnostics = diagnostics
        self.model_errors = model_errors
        super().__init__(f"the pipeline is not valid: {self._summary()}")

    def _summary(self) -> str:
        if not self.diagnostics:
            return str(self.model_errors[0]["msg"])
        return "; ".join(f"{each.path}: {each.message}" if each.path else each.message for each in self.diagnostics[:3])


def validate_definition(definition: Json) -> Pipeline:
    """The model of a definition that the schema, the rules and the model accept.

    The result is remembered for this definition and for its normalized form, so that validating it again costs no more
    than hashing it.

    Raises:
        InvalidDefinitionError: it is not valid.
    """
    key = _key(definition)
    with _lock:
        pipeline = _known.get(key)
        if pipeline is not None:
            _known.move_to_end(key)
            return pipeline
    if diagnostics := check_definition(definition):
        raise InvalidDefinitionError(diagnostics, [])
    try:
        pipeline = Pipeline.model_validate(definition)
    except ValidationError as error:
        raise InvalidDefinitionError((), list(error.errors())) from error
    normalized_key = _key(normalized_definition(pipeline))
    with _lock:
        _known[key] = _known[normalized_key] = pipeline
        while len(_known) > _MAX_KNOWN:
            _known.popitem(last=False)
    return pipeline


def normalized_definition(pipeline: Pipeline) -> Json:
    """The definition in the form that a run carries: `env` as maps, one form of a matrix, no version, no defaults."""
    return pipeline.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"version"})


def _key(definition: Json) -> bytes:
    # The order of keys counts: it is the order of a matrix's dimensions.
    return hashlib.sha256(json.dumps(definition).encode()).digest()
