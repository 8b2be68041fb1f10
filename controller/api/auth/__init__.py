"""Authentication by TokenReview and authorization by SubjectAccessReview."""
