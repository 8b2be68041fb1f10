"""The widgets of the screens. They communicate by messages and do not know each other.

Names, messages and log lines are untrusted text: they are sanitized by
`workbench.text.sanitize`, drawn as segments, and never parsed as markup.
"""
