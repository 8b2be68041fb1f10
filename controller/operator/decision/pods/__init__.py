"""What the pod of an attempt, its agent and the kubelet tell about the attempt."""
