"""The calls of the REST API, one module per resource. `workbench.client.client.Client` combines them."""
