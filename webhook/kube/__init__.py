"""The real cluster: the only floor that speaks to the Kubernetes client library."""
