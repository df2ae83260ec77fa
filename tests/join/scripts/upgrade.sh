# Plans an upgrade of the control plane, and upgrades it to what it is, on its machine. VERSION, NEXT and TIMEOUTS are set in
# the lines before these.
set -eu

# With the patches of `kubeadm init`, and the time that a machine without KVM takes.
cat >/run/kubeadm-upgrade.yaml <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: UpgradeConfiguration
plan: {kubernetesVersion: $NEXT}
apply:
  kubernetesVersion: $VERSION
  certificateRenewal: false
  patches: {directory: /etc/kubeadm-patches}
timeouts: $TIMEOUTS
END

# kubeadm tries the cluster with a Job, which it gives one minute.
try() {
    for round in 1 2 3; do
        "$@" && return
        sleep 10
    done
    false
}
try kubeadm upgrade plan --config /run/kubeadm-upgrade.yaml
try kubeadm upgrade apply --config /run/kubeadm-upgrade.yaml --yes
