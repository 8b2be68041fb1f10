"""The validating admission webhook: pipelines, runs and connections that can't be right are not stored."""
