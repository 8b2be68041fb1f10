"""A candidate of the official client's leader election, as a program: candidate.py NAMESPACE NAME.

It prints a line when it begins to lead, and runs until it is killed.
"""

from __future__ import annotations

import sys

from kubernetes import config
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock


def main(namespace: str, name: str) -> None:
    config.load_kube_config()
    election = Config(
        ConfigMapLock("lock", namespace, name),
        lease_duration=3,
        renew_deadline=2,
        retry_period=1,
        onstarted_leading=lambda: print(f"{name} leads", flush=True),
        onstopped_leading=None,
    )
    LeaderElection(election).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
