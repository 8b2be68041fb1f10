"""The REST API of the controller, with server-sent events and WebSockets for clients and routes for agents in pods.

Everything that a user can do with the controller is a call served here (docs/api.md). The package makes no decisions
about runs: it authorizes callers, reads the cache of runs, writes PipelineRuns and passes bytes through.
"""
