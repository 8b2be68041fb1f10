"""Authentication and authorization: tokens, RBAC, escalation checks and review APIs."""
