# Makes a kubeadm cluster of this machine. VERSION is set in the lines before these.

# Everything as `kubeadm init` does it by default, but for the time that a machine without KVM takes; certificates of nodes
# last some minutes, so that tests see them rotate, and those of the kubelets' servers are of the cluster, too.
cat >/etc/kubeadm.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $ADDRESS}
nodeRegistration:
  name: $NAME
  criSocket: unix:///run/containerd/containerd.sock
  imagePullSerial: false
  kubeletExtraArgs: [{name: node-ip, value: $ADDRESS}]
timeouts:
  controlPlaneComponentHealthCheck: 15m
  kubeletHealthCheck: 15m
  kubernetesAPICall: 10m
  etcdAPICall: 10m
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $VERSION
networking: {podSubnet: 10.244.0.0/16}
# The address under which tests on the host reach it.
apiServer: {certSANs: [127.0.0.1]}
controllerManager:
  extraArgs:
    - {name: cluster-signing-duration, value: 8m}
    # There is no other leader, and on a machine that is so slow a lease expires while its holder works.
    - {name: leader-elect, value: "false"}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
encryptionAlgorithm: ECDSA-P256
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
serverTLSBootstrap: true
END
kubeadm init --config /etc/kubeadm.yaml

# A value for the host, on one line with its digest: lines of the kernel may come between.
tell() {
    value=$(base64 --wrap=0)
    echo "@@ $1 $(printf %s "$value" | sha256sum | cut -d' ' -f1) $value @@"
}
kubeadm token create --print-join-command >/run/join-command
for round in 1 2 3; do
    tell kubeconfig </etc/kubernetes/admin.conf
    tell join-command </run/join-command
    sleep 2
done
