"""A real Kubernetes control plane on this machine, for tests and for trying things out.

Here: kube-apiserver, etcd and kube-controller-manager as processes on loopback (no nodes, so
Pods stay Pending), where their binaries come from, and how they go away again. Not here: what
is installed into the cluster.

`control_plane.py` is the way in; `python -m dev.cluster` starts one by hand.
"""
