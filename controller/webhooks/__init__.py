"""Receives the webhooks of forges: a verified push or pull request becomes the PipelineRun that it asks for."""
