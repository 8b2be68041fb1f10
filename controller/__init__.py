"""What runs in the cluster: the pipeline format, the operator, logs, storage and the API."""
