"""Pods as groups of processes of this machine. A container's image is ignored; its command runs here, as you."""

from embedded.kubelet.kubelet import Kubelet, KubeletSettings

__all__ = ["Kubelet", "KubeletSettings"]
