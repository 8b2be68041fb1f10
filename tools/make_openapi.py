"""Generates `embedded/apiserver/handlers/openapi.json.gz`, the schemas of the built-in kinds, from OpenAPI v3.

python -m tools.make_openapi FOLDER

FOLDER holds the documents of `/openapi/v3/api/v1`, `/openapi/v3/apis/batch/v1` and so on, as `*.json`. Not used by the
server, which reads the result.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

from embedded.api.scheme import BUILT_IN
from embedded.types import JsonObject

_ALSO = ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def collect_schemas(folder: Path) -> JsonObject:
    """The schemas of the served kinds and of everything that they reference, by name."""
    known: dict[str, JsonObject] = {}
    for file in sorted(folder.glob("*.json")):
        for name, schema in json.loads(file.read_text())["components"]["schemas"].items():
            known.setdefault(name, schema)
    kinds = {(r.group, r.version, r.kind) for r in BUILT_IN}
    pending = [name for name, schema in known.items() if _kinds(schema) & kinds] + list(_ALSO)
    found: JsonObject = {}
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = known[name]
            pending += _REFERENCE.findall(json.dumps(known[name]))
    return found


def _kinds(schema: JsonObject) -> set[tuple[str, str, str]]:
    return {(k["group"], k["version"], k["kind"]) for k in schema.get("x-kubernetes-group-version-kind") or ()}


if __name__ == "__main__":
    made = json.dumps(collect_schemas(Path(sys.argv[1])), separators=(",", ":"), sort_keys=True)
    target = Path(__file__).parents[1] / "embedded" / "apiserver" / "handlers" / "openapi.json.gz"
    target.write_bytes(gzip.compress(made.encode(), mtime=0))
