# Makes a kubeadm cluster of this machine. VERSION and TIMEOUTS are set in the lines before these.

# Without KVM the control plane of one machine takes both of its processors, in part for the garbage collection of small heaps
# and for probes that open a TLS connection each second; and where these fail, the kubelet ends what is merely slow. Requests
# are weights: the API server and etcd go before what only asks them again and again.
mkdir -p /etc/kubeadm-patches
for component in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    case $component in
    etcd) cpu=300m ;;
    kube-apiserver) cpu=700m ;;
    *) cpu=100m ;;
    esac
    cat >"/etc/kubeadm-patches/$component+strategic.yaml" <<END
spec:
  containers:
    - name: $component
      env: [{name: GOGC, value: "500"}]
      resources: {requests: {cpu: $cpu}}
      livenessProbe: {periodSeconds: 60, timeoutSeconds: 60}
      $([ "$component" = kube-controller-manager ] || [ "$component" = kube-scheduler ] || echo 'readinessProbe: {periodSeconds: 15, timeoutSeconds: 60}')
END
done

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
patches: {directory: /etc/kubeadm-patches}
timeouts: $TIMEOUTS
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
