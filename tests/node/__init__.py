"""A real node beside the control plane: containerd, kubelet and kube-proxy, for root on Linux."""
