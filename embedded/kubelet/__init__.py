"""Runs pods as process groups of this machine. Images are ignored: commands run with the user's own permissions."""

from embedded.kubelet.kubelet import Kubelet, KubeletSettings

__all__ = ["Kubelet", "KubeletSettings"]
