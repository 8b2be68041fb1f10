"""The Common Expression Language, as far as Kubernetes' validation rules use it. Knows nothing of Kubernetes' objects.

Covered: the language with its macros, optional values, and the functions for strings, lists, sets, regular
expressions, quantities, times and durations. Not covered: types checked before an expression runs (only names and
functions are), unsigned integers as a type of their own, protobuf messages, IP addresses and CIDRs, authorizers.
"""

from embedded.cel.evaluate import Program, compile_expression
from embedded.cel.values import CelError

__all__ = ["CelError", "Program", "compile_expression"]
