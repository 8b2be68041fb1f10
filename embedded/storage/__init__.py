"""Storage of objects and their changes. Deals in bytes and revisions; the rules of Kubernetes are in `registry`."""
