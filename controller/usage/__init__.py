"""CPU and memory of steps over time: sampled while they run, from the API `metrics.k8s.io`."""
