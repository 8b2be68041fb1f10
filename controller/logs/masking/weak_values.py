"""Values that the mask can't hide well, to warn of when they are set. Pure."""

from controller.logs.masking.encodings import MAX_ENCODED_BYTES, MIN_VALUE_BYTES

_SHORT_BYTES = 8
_COMMON = frozenset(
    {
        "admin",
        "changeme",
        "default",
        "development",
        "disabled",
        "enabled",
        "example",
        "false",
        "guest",
        "info",
        "localhost",
        "main",
        "master",
        "null",
        "password",
        "password1",
        "postgres",
        "postgresql",
        "prod",
        "production",
        "qwerty",
        "root",
        "secret",
        "staging",
        "test",
        "token",
        "true",
        "undefined",
        "user",
        "username",
        "127.0.0.1",
    }
)


def masking_warning(key: str, value: bytes) -> str | None:
    """What is wrong with this value of a secret for masking it in logs, and what to do; None if nothing is."""
    text = value.strip()
    if len(text) < MIN_VALUE_BYTES:
        return f"the value of {key} is not masked in logs: it has fewer than {MIN_VALUE_BYTES} bytes. Use a longer one"
    if text.lower().decode("utf-8", "replace") in _COMMON or len(set(text)) < 3:
        return (
            f"the value of {key} is a common text: wherever it stands in logs, it is replaced by ***. "
            "Use another one, or a parameter if it is not secret"
        )
    if len(text) < _SHORT_BYTES:
        return (
            f"the value of {key} has fewer than {_SHORT_BYTES} bytes: in logs it is also replaced by *** where it is "
            "a part of other words. Use a longer one"
        )
    if len(value) > MAX_ENCODED_BYTES:
        return (
            f"the value of {key} has more than {MAX_ENCODED_BYTES} bytes: in logs it is masked as it is, line by line, "
            "with escapes and in base64, but not in hexadecimal digits"
        )
    return None
