"""The Kubernetes family of feeds: JSON manifests, one file a cluster and kind (docs/feeds-kubernetes.md)."""
