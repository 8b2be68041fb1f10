"""Runs pods. What starts their containers is in `embedded.kubelet.runtime`."""
