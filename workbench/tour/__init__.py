"""The tour of `c8s demo`: its project, its story, and what it says. Nothing here draws."""
