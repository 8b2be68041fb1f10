"""Paths of files in addresses: any characters.

Starlette's own `path` ends at a line break, which the name of a file can have.
"""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor


class _FilePathConvertor(PathConvertor):
    regex = "(?s:.*)"


register_url_convertor("file", _FilePathConvertor())
FILE_PATH = "{path:file}"
"""The part of a route's path that is the parameter `path`."""
