# Makes a kubeadm cluster of one machine. NAME, ADDRESS, GATEWAY, MAC and VERSION are set in the lines before these.
set -eu

hostname "$NAME"
echo "$NAME" >/etc/hostname
echo "$ADDRESS $NAME" >>/etc/hosts
mkdir -p /etc/systemd/network
cat >/etc/systemd/network/10-cluster.network <<END
[Match]
MACAddress=$MAC

[Network]
Address=$ADDRESS/24
Gateway=$GATEWAY
DNS=$GATEWAY
END
networkctl reload
/usr/lib/systemd/systemd-networkd-wait-online --ipv4 --timeout=120

# Everything as `kubeadm init` does it by default, but for the time that a machine without KVM takes, and for pods on the
# control plane's node: for a while it is the only one.
cat >/etc/kubeadm.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $ADDRESS}
nodeRegistration:
  name: $NAME
  criSocket: unix:///run/containerd/containerd.sock
  imagePullSerial: false
  kubeletExtraArgs: [{name: node-ip, value: $ADDRESS}]
  taints: []
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
