"""The Common Expression Language (CEL) of validation rules and match conditions.

Supported: the language with its macros, optional values, and the functions for strings, lists, sets, regular
expressions, quantities, times and durations. Not supported: type checking before an expression runs (names and
functions are checked), a separate type for unsigned integers, protobuf messages, IP addresses and CIDRs, authorizers.
"""

from embedded.cel.evaluate import CostBudget, Program, compile_expression, extent
from embedded.cel.values import CelError

__all__ = ["CelError", "CostBudget", "Program", "compile_expression", "extent"]
