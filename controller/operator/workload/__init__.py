"""The Jobs of steps: pod templates, entrypoints, services and the clone step."""
