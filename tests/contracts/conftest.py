"""The Kubernetes API that real adapters keep the contracts on."""

from tests.cluster.fixtures import cluster, hands, kube, kubeconfig, namespace

__all__ = ["cluster", "hands", "kube", "kubeconfig", "namespace"]
