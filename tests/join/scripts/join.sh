# Joins a kubeadm cluster as a worker. ENDPOINT, TOKEN, PIN and TIMEOUTS are set in the lines before these.

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
timeouts: $TIMEOUTS
END
kubeadm join --config /etc/kubeadm.yaml
