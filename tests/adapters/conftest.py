"""The Kubernetes API that the adapters' tests talk to."""

from tests.cluster.fixtures import cluster, hands, kube, kubeconfig, namespace

__all__ = ["cluster", "hands", "kube", "kubeconfig", "namespace"]
