//! A local Kubernetes cluster: PKI, control plane, network, up and down.
