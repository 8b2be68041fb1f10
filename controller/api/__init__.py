"""The one door: REST, server-sent events and WebSocket for people, and a door of their own for agents.

Everything a person can do with the controller is a call served here (docs/api.md). The room decides nothing
about runs: it checks who asks, reads the cache of runs, writes PipelineRuns, and hands bytes through.
"""
