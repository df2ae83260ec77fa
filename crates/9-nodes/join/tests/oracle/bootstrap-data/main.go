// Writes bootstrap data by Cluster API's own generator: input of the tests of the module cloud_config.
//
//	cd crates/9-nodes/join/tests/oracle/bootstrap-data && go run . ../../bootstrap-data
//
// go.mod pins the generator. `./basalt test --long` runs this again, and compares.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"log"
	"os"
	"path/filepath"

	"github.com/blang/semver/v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/cloudinit"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/ignition"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstream"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/secret"
)

// version is that of Kubernetes in the cluster, but in v1beta3.yaml.
const version = "1.37.2"

// registration is what the controller makes for a worker; the webhook of KubeadmConfigTemplate sets imagePullPolicy.
var registration = bootstrapv1.NodeRegistrationOptions{
	Name:            "{{ ds.meta_data.local_hostname }}",
	ImagePullPolicy: corev1.PullIfNotPresent,
	KubeletExtraArgs: []bootstrapv1.Arg{
		{Name: "cloud-provider", Value: ptr.To("external")},
		{Name: "node-labels", Value: ptr.To("node.cluster.x-k8s.io/pool=small")},
		{Name: "provider-id", Value: ptr.To("vsphere://4203-0001")},
	},
	Taints: ptr.To([]corev1.Taint{{Key: "node.cluster.x-k8s.io/uninitialized", Effect: corev1.TaintEffectNoSchedule}}),
}

// byToken is the discovery that the controller fills in: token, endpoint and hashes are of the tests' cluster-info.
var byToken = bootstrapv1.Discovery{BootstrapToken: bootstrapv1.BootstrapTokenDiscovery{
	Token:             "abcdef.0123456789abcdef",
	APIServerEndpoint: "192.0.2.10:6443",
	CACertHashes:      []string{"sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821"},
}}

// byFile is the other discovery, with a kubeconfig among the files.
var byFile = bootstrapv1.Discovery{
	File:              bootstrapv1.FileDiscovery{KubeConfigPath: "/etc/kubernetes/bootstrap-kubeconfig.yaml"},
	TLSBootstrapToken: "abcdef.0123456789abcdef",
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func join(discovery bootstrapv1.Discovery, version string) string {
	configuration := &bootstrapv1.JoinConfiguration{NodeRegistration: registration, Discovery: discovery}
	return must(types.MarshalJoinConfigurationForVersion(configuration, semver.MustParse(version)))
}

// worker is the bootstrap data of a worker in a cluster of a version.
func worker(discovery bootstrapv1.Discovery, version string, more func(*cloudinit.NodeInput)) []byte {
	input := &cloudinit.NodeInput{JoinConfiguration: join(discovery, version)}
	input.KubernetesVersion = semver.MustParse(version)
	more(input)
	return must(cloudinit.NewNode(input))
}

// addedByUsers is what a node can follow.
func addedByUsers(input *cloudinit.NodeInput) {
	input.KubeadmVerbosity = "--v 5"
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

// files has each encoding, and files below /etc/kubernetes.
func files(input *cloudinit.NodeInput) {
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	must(writer.Write([]byte("vm.max_map_count = 300000\n")))
	must(0, writer.Close())
	text := base64.StdEncoding.EncodeToString(zipped.Bytes())
	input.AdditionalFiles = []bootstrapv1.File{
		{Path: "/etc/sysctl.d/91-map.conf", Encoding: bootstrapv1.GzipBase64, Content: text},
		{Path: "/etc/sysctl.d/92-inotify.conf", Content: "fs.inotify.max_user_watches = 600000", Append: ptr.To(true)},
		{Path: "/etc/kubernetes/azure.json", Owner: "root:root", Permissions: "0600", Content: "{\n  \"cloud\": \"AzurePublicCloud\",\n  \"aadClientSecret\": \"a secret\"\n}"},
		{Path: "/etc/hostname", Content: "{{ ds.meta_data.local_hostname }}"},
	}
	input.NTP = &bootstrapv1.NTP{Enabled: ptr.To(false), Servers: []string{"unused.example.com"}}
}

// discoveryFile is the kubeconfig that the controller writes for discovery.file.kubeConfig.
func discoveryFile(input *cloudinit.NodeInput) {
	input.AdditionalFiles = []bootstrapv1.File{{
		Path: "/etc/kubernetes/bootstrap-kubeconfig.yaml", Owner: "root:root", Permissions: "0640",
		Content: string(must(os.ReadFile("../../vectors/cluster-info.yaml"))),
	}}
}

// allOfUsers has every field of a user.
func allOfUsers(input *cloudinit.NodeInput) {
	input.Users = []bootstrapv1.User{
		{
			Name: "ops", Gecos: "Operators", Groups: "wheel, adm", HomeDir: "/home/ops", Inactive: ptr.To(false), Shell: "/bin/bash",
			Passwd: "$6$rounds=4096$salt$hash", PrimaryGroup: "ops", LockPassword: ptr.To(true), Sudo: "ALL=(ALL) ALL",
			SSHAuthorizedKeys: []string{"ssh-ed25519 AAAA one", "ssh-ed25519 AAAA two"},
		},
		{Name: "audit"},
	}
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

// certificates are those of a control plane, without keys: what a file is, its path says.
func certificates() secret.Certificates {
	pair := &certs.KeyPair{Cert: []byte("a certificate"), Key: []byte("a key")}
	return secret.Certificates{{
		Purpose: secret.ClusterCA, CertFile: "/etc/kubernetes/pki/ca.crt", KeyFile: "/etc/kubernetes/pki/ca.key", KeyPair: pair,
	}}
}

// controlPlaneJoin is for a further control-plane node.
func controlPlaneJoin() []byte {
	configuration := &bootstrapv1.JoinConfiguration{
		NodeRegistration: registration, Discovery: byToken,
		ControlPlane: &bootstrapv1.JoinControlPlane{LocalAPIEndpoint: bootstrapv1.APIEndpoint{AdvertiseAddress: "192.0.2.11", BindPort: 6443}},
	}
	text := must(types.MarshalJoinConfigurationForVersion(configuration, semver.MustParse(version)))
	return must(cloudinit.NewJoinControlPlane(&cloudinit.ControlPlaneJoinInput{Certificates: certificates(), JoinConfiguration: text}))
}

// controlPlaneInit is for the first control-plane node.
func controlPlaneInit() []byte {
	kubernetes := semver.MustParse(version)
	cluster := must(types.MarshalClusterConfigurationForVersion(&bootstrapv1.ClusterConfiguration{ControlPlaneEndpoint: "192.0.2.10:6443"}, kubernetes, &upstream.AdditionalData{
		KubernetesVersion: ptr.To("v" + version), ClusterName: ptr.To("tests"),
	}))
	init := must(types.MarshalInitConfigurationForVersion(&bootstrapv1.InitConfiguration{NodeRegistration: registration}, kubernetes))
	return must(cloudinit.NewInitControlPlane(&cloudinit.ControlPlaneInput{
		Certificates: certificates(), ClusterConfiguration: cluster, InitConfiguration: init,
	}))
}

// inIgnition is for a worker, in the other format.
func inIgnition() []byte {
	input := &cloudinit.NodeInput{JoinConfiguration: join(byToken, version)}
	data, warnings, err := ignition.NewNode(&ignition.NodeInput{NodeInput: input})
	if warnings != "" {
		log.Fatal(warnings)
	}
	return must(data, err)
}

func main() {
	nothing := func(*cloudinit.NodeInput) {}
	for name, data := range map[string][]byte{
		"plain.yaml":              worker(byToken, version, nothing),
		"v1beta3.yaml":            worker(byToken, "1.30.4", nothing),
		"worker.yaml":             worker(byToken, version, addedByUsers),
		"files.yaml":              worker(byToken, version, files),
		"users.yaml":              worker(byToken, version, allOfUsers),
		"discovery-file.yaml":     worker(byFile, version, discoveryFile),
		"refused.yaml":            worker(byToken, version, refused),
		"control-plane-join.yaml": controlPlaneJoin(),
		"control-plane-init.yaml": controlPlaneInit(),
		"ignition.json":           inIgnition(),
	} {
		must(0, os.WriteFile(filepath.Join(os.Args[1], name), data, 0o644))
	}
}
