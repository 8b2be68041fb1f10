"""The cluster over HTTP: paths to resources, verbs to the registry, streams to watchers."""
