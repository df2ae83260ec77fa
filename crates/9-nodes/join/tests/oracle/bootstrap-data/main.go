// Writes bootstrap data of workers by Cluster API's own generator: input of the tests of `cloud_config`.
//
// Usage, in an empty folder outside of the repository: copy this file there, then
//
//	go mod init bootstrap-data
//	go get sigs.k8s.io/cluster-api@v1.14.2
//	go mod edit -require sigs.k8s.io/cluster-api/api@v1.14.2 && go mod tidy
//	go run . .../crates/9-nodes/join/tests/bootstrap-data
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/blang/semver/v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/cloudinit"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types"
)

// joinConfiguration is what the controller makes for a worker: token, endpoint and hashes are of the test's cluster-info.
func joinConfiguration() *bootstrapv1.JoinConfiguration {
	return &bootstrapv1.JoinConfiguration{
		NodeRegistration: bootstrapv1.NodeRegistrationOptions{
			Name: "{{ ds.meta_data.local_hostname }}",
			KubeletExtraArgs: []bootstrapv1.Arg{
				{Name: "cloud-provider", Value: ptr.To("external")},
				{Name: "node-labels", Value: ptr.To("node.cluster.x-k8s.io/pool=small")},
				{Name: "provider-id", Value: ptr.To("vsphere://4203-0001")},
			},
			Taints: ptr.To([]corev1.Taint{{Key: "node.cluster.x-k8s.io/uninitialized", Effect: corev1.TaintEffectNoSchedule}}),
		},
		Discovery: bootstrapv1.Discovery{
			BootstrapToken: bootstrapv1.BootstrapTokenDiscovery{
				Token:             "abcdef.0123456789abcdef",
				APIServerEndpoint: "192.0.2.10:6443",
				CACertHashes:      []string{"sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821"},
			},
		},
	}
}

// addedByUsers is what a node can follow.
func addedByUsers(input *cloudinit.NodeInput) {
	input.AdditionalFiles = []bootstrapv1.File{
		{Path: "/etc/sysctl.d/90-somaxconn.conf", Owner: "root:root", Permissions: "0644", Content: "# of users\nnet.core.somaxconn = 4096\n"},
		{Path: "/etc/containerd/certs.d/docker.io/hosts.toml", Content: "server = \"https://registry-1.docker.io\"\n\n[host.\"http://10.0.0.1:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n"},
		{Path: "/etc/modules-load.d/k8s.conf", Encoding: bootstrapv1.Base64, Content: "b3ZlcmxheQpicl9uZXRmaWx0ZXIK"},
	}
	input.PreKubeadmCommands = []string{
		"hostname \"{{ ds.meta_data.hostname }}\"",
		"echo \"::1         ipv6-localhost ipv6-loopback localhost6 localhost6.localdomain6\" >/etc/hosts",
		"echo \"127.0.0.1   {{ ds.meta_data.hostname }} {{ local_hostname }} localhost localhost.localdomain localhost4 localhost4.localdomain4\" >>/etc/hosts",
		"swapoff -a",
	}
	input.PostKubeadmCommands = []string{"sysctl --system"}
	input.NTP = &bootstrapv1.NTP{Enabled: ptr.To(true), Servers: []string{"time.example.com"}}
	input.Users = []bootstrapv1.User{{Name: "capv", Sudo: "ALL=(ALL) NOPASSWD:ALL", SSHAuthorizedKeys: []string{"ssh-ed25519 AAAA user"}}}
}

// refused is what a node cannot follow.
func refused(input *cloudinit.NodeInput) {
	input.BootCommands = []string{"cloud-init-per once x touch /x"}
	input.PreKubeadmCommands = []string{"curl -sSL https://example.com/install.sh | bash"}
	input.PostKubeadmCommands = []string{"apt-get install -y nfs-common"}
	input.AdditionalFiles = []bootstrapv1.File{{Path: "/etc/audit/rules.d/x.rules", Content: "-w /etc/passwd"}}
	input.DiskSetup = &bootstrapv1.DiskSetup{
		Partitions:  []bootstrapv1.Partition{{Device: "/dev/sdb", Layout: ptr.To(true), TableType: "gpt"}},
		Filesystems: []bootstrapv1.Filesystem{{Label: "data", Filesystem: "ext4", Device: "/dev/sdb"}},
	}
	input.Mounts = []bootstrapv1.MountPoints{{"/dev/sdb1", "/var/lib/etcd"}}
}

func main() {
	folder := os.Args[1]
	for name, make := range map[string]struct {
		version   string
		verbosity string
		more      func(*cloudinit.NodeInput)
	}{
		"plain.yaml":   {"1.37.2", "", func(*cloudinit.NodeInput) {}},
		"v1beta3.yaml": {"1.30.4", "", func(*cloudinit.NodeInput) {}},
		"worker.yaml":  {"1.37.2", "--v 5", addedByUsers},
		"refused.yaml": {"1.37.2", "", refused},
	} {
		version := semver.MustParse(make.version)
		configuration, err := types.MarshalJoinConfigurationForVersion(joinConfiguration(), version)
		if err != nil {
			log.Fatal(err)
		}
		input := &cloudinit.NodeInput{JoinConfiguration: configuration}
		input.KubeadmVerbosity = make.verbosity
		input.KubernetesVersion = version
		make.more(input)
		data, err := cloudinit.NewNode(input)
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
