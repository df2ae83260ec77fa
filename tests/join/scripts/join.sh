# Joins a kubeadm cluster as a worker. ENDPOINT, TOKEN and PIN are set in the lines before these.

# As the join command does it, but for the time that a machine without KVM takes.
cat >/etc/kubeadm.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken: {apiServerEndpoint: "$ENDPOINT", token: "$TOKEN", caCertHashes: ["$PIN"]}
nodeRegistration:
  name: $NAME
  criSocket: unix:///run/containerd/containerd.sock
  imagePullSerial: false
  kubeletExtraArgs: [{name: node-ip, value: $ADDRESS}]
timeouts:
  discovery: 15m
  kubeletHealthCheck: 15m
  kubernetesAPICall: 10m
  tlsBootstrap: 15m
END
kubeadm join --config /etc/kubeadm.yaml
