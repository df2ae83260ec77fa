//! Command-line arguments, whose doc comments are the text of `--help`.

use basalt_cluster::ClusterSize;
use basalt_node_config::KubeletMinor;
use camino::Utf8PathBuf;
use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, value_parser};

pub mod bench;
pub mod cluster;
pub mod config;
pub mod migrate;
pub mod node;
pub mod repo;
pub mod test;
pub mod trust;

pub use test::Test;
pub use trust::{
    Addons, Audit, Bom, BomFormat, ComparedNode, Harden, HostPreflight, Licenses, Preflight, PreflightFormat,
    PreflightVerb, Why,
};

/// Builds, ships and runs Basalt Linux.
///
/// `basalt up` does everything: from upstream source to a Kubernetes cluster of virtual machines on this computer,
/// without root, and shows a pod answering. Results are kept in ~/.cache/basalt (or $BASALT_STORE) under the digest of
/// their inputs, so repeating a command costs nothing.
#[derive(Debug, Parser)]
#[command(name = "basalt", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Print results as JSON on standard output, for scripts.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Show only warnings and errors.
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Shared cache of a team: folders and REAPI servers, separated by white space ($BASALT_CACHE unless given).
    #[arg(long, global = true, value_name = "LOCATION", help_heading = "Everywhere")]
    pub cache: Option<String>,
    /// Verb.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 it worked; 1 it did not, and the error says why; 2 the arguments are wrong; \
3 this machine lacks something; 130 interrupted; 141 the output's reader has gone. `kubectl`, `shell` and `node shell` \
pass on the code of what they run.";

/// Verbs of the command.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build what is not built yet, start a cluster, and show a pod answering.
    ///
    /// The cluster runs in a network of its own until `basalt down`. When `up` is interrupted or fails before the pod
    /// has answered, it removes everything that it started.
    #[command(after_help = "\
Examples:
  basalt up                          a cluster with one node
  basalt up --nodes 2 --memory 3072  two larger ones, whose pods reach each other
  basalt up --load app.tar           one that has your image; more later with `basalt load`
  basalt up --config labels.yaml     nodes with labels, taints, sysctls or kubelet settings of yours
  basalt --json up                   addresses, the kubeconfig's path and how long each stage took, for scripts")]
    Up(cluster::Up),
    /// Stop the cluster and remove its state.
    Down,
    /// Show the running cluster.
    Status,
    /// Bring container images into the running cluster.
    ///
    /// An image is a folder with an OCI layout, an archive of `docker save`, `podman save` or `ctr images export`
    /// (compressed with gzip or zstd, if at all), or the name of an image that docker, podman or containerd has on this
    /// machine. Its content is compared with its digests, and goes to the cluster's registry under the image's own name:
    /// a pod with `image: docker.io/library/nginx:1.27`, or `nginx:1.27` for short, gets what was loaded under it.
    ///
    /// The registry takes pushes, too, under the same names: `basalt status` shows its address, and docs/cluster/images.md
    /// how docker, podman, crane, ko and skaffold use it. What was loaded or pushed is gone after `basalt down`.
    #[command(after_help = "\
Examples:
  basalt load app.tar                         what `docker save --output app.tar myapp:dev` wrote
  basalt load myapp:dev                       the image that docker, podman or containerd has, in this order
  basalt load --from podman myapp:dev         that of podman
  basalt load --name myapp:dev build/image    an OCI layout, which has no name of its own
Nodes ask for an image again when its tag is `latest`, or a pod says `imagePullPolicy: Always`; give a new build a new tag.")]
    Load(cluster::Load),
    /// Nodes of a cluster, one by one: what they do, what they write, their start and their end.
    ///
    /// The verb comes first and the nodes after it, as with systemctl: verbs for several nodes take a list, and a node may
    /// have any name.
    ///
    /// `add`, `remove` and `cut-power` are about the machines of the local cluster. All others work on every cluster that a
    /// kubeconfig leads to, with nothing but kubectl's rights: by the kubelet's log and usage queries, and by a privileged pod
    /// that is deleted afterwards. docs/node/access.md has the same as plain kubectl commands.
    #[command(after_help = "\
Examples, machines of the local cluster:
  basalt node add --count 2                   two more, like those of `up`
  basalt node cut-power node-2                what a power cut does; `basalt node reboot node-2` switches it on again
  basalt kubectl drain node-2 --ignore-daemonsets; basalt node remove node-2
Examples, any cluster (--context NAME, --kubeconfig FILE):
  basalt node top node-1                      usage of the node, its services and its pods
  basalt node logs node-1 --unit kubelet --since 15m
  basalt node shell node-1                    a root shell beside the node's root, which is at /host
  basalt node files copy node-1 /var/log/pods ./pods
  basalt node bundle node-1                   an archive for whoever helps you, without secrets
The cluster is the one of --kubeconfig or --context; else the local one, if it runs; else that of $KUBECONFIG.
docs/cluster/nodes.md and docs/node/access.md show what to expect of each.")]
    Node(node::NodeArguments),
    /// Print the kubeconfig of the running cluster, or merge it into your own.
    ///
    /// The kubeconfig holds the administrator's key: who reads it rules the cluster, until `basalt down`.
    #[command(after_help = "\
Examples:
  basalt kubeconfig > basalt.json              a file of its own, for --kubeconfig and KUBECONFIG
  basalt kubeconfig --merge                    the context `basalt` in ~/.kube/config (or the file of KUBECONFIG)
Of your file, everything else stays as it is, but for comments; `basalt kubectl` needs neither.")]
    Kubeconfig {
        /// Merge into the file of KUBECONFIG or ~/.kube/config, and make it the current context.
        #[arg(long)]
        merge: bool,
    },
    /// Run Basalt's kubectl against the running cluster.
    ///
    /// All arguments are kubectl's, `--help` among them: this help is shown while no cluster is running.
    #[command(
        disable_help_flag = true,
        after_help = "\
Examples:
  basalt kubectl get pods -A
  basalt kubectl apply -f app.yaml
  basalt kubectl --help           kubectl's own help, once `basalt up` has started a cluster"
    )]
    Kubectl {
        /// Arguments of kubectl, passed on unchanged.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    // Its help is at its type.
    Migrate(Box<migrate::Migrate>),
    /// Build packages and images, by name.
    ///
    /// Dependencies are built first, unless they are built already. The paths of the results are shown at the end.
    #[command(after_help = "\
Examples:
  basalt build zlib       a package (distro/packages/zlib)
  basalt build node       an image (distro/images/node.yaml), and all packages in it
  basalt build -k         everything, as far as it goes
When a build fails: `basalt logs NAME` shows all that it wrote, `basalt shell NAME` steps into its sandbox.")]
    Build(Build),
    /// Boot an image in one virtual machine, with its console on this terminal (leave with Ctrl-]).
    #[command(after_help = "\
Examples:
  basalt run node-debug                 a node with a root shell on its console
  basalt run node --config node.yaml    what a node makes of a NodeConfig, without a cluster
The machine's disk is thrown away when it ends.")]
    Run(Run),
    /// Show the log of a package's build, of a part of the control plane, or of a node's console.
    #[command(after_help = "\
Examples:
  basalt logs openssl           what its last build wrote
  basalt logs node-1 --follow   the console of a node
  basalt logs kube-apiserver    a part of the control plane")]
    Logs {
        /// Package, component (etcd, kube-apiserver, ...) or node.
        name: String,
        /// Continue with lines that are added, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
    },
    /// Open a shell in the sandbox in which a package is built.
    ///
    /// The sandbox is prepared as for the build: the sources, the sysroot of the spec's BuildRequires, the tools, no
    /// network. The command of the build is shown, with the options that stop it after a phase.
    Shell {
        /// Name of the package.
        package: String,
    },
    /// Fetch, lock and check upstream sources.
    #[command(subcommand)]
    Sources(Sources),
    /// Build, lock or enter the SDK, the tree of build tools.
    #[command(subcommand)]
    Sdk(Sdk),
    /// Publish packages as a signed repository, for dnf, zypper and tdnf.
    #[command(
        subcommand,
        after_help = "\
Examples:
  basalt repo publish node      what the image installs, signed; the first time, a key is made
  basalt repo serve             over HTTP, on this computer
  basalt repo keys list         who signs, and when each key ends
docs/trust/repositories.md shows all of it: clients, releases whose key is elsewhere, rotation."
    )]
    Repo(repo::Repo),
    /// Rebuild packages and images in another environment, and compare every bit.
    ///
    /// A package is built in another folder, at another time, on another host, by another user with another umask and
    /// another number of processors, and its RPMs are compared with the existing ones. For an image, every package that
    /// it installs is rebuilt, then the image is composed again. Differences are shown down to the file and the
    /// section. Results are remembered: an interrupted run continues where it stopped.
    #[command(after_help = "\
Examples:
  basalt verify zlib                      a package
  basalt verify node --without kernel     an image and its packages, but for one
Exit codes: 0 everything came out the same; 1 something did not, or could not be built again.")]
    Verify(Verify),
    /// Show the provenance of a package, an image, or an RPM file: an in-toto statement with SLSA provenance, as JSON.
    #[command(after_help = "\
Examples:
  basalt provenance zlib
  basalt provenance node
  basalt provenance zlib-1.3.1-1.bs1.x86_64.rpm     only if this very file came out of the build, signed or not
docs/trust/provenance.md says what the fields mean.")]
    Provenance {
        /// Package, image, or path of an RPM.
        what: String,
    },
    /// Show the bill of materials of a package or an image, down to Go modules and crates.
    ///
    /// The document is byte for byte the one that images carry in /usr/share/sbom. With --json, the inventory that both
    /// formats are made from is printed: components, their locations, and their relations.
    #[command(after_help = "\
Examples:
  basalt bom node > node.spdx.json
  basalt bom containerd --format cyclonedx")]
    Bom(Bom),
    /// Show the obligations of the licences in an image.
    ///
    /// Each licence is shown with its obligations for whoever passes the image on, and with its components. Of
    /// alternatives (`MIT OR Apache-2.0`), the one with fewer obligations is used. A reading aid, not legal advice.
    #[command(after_help = "\
Examples:
  basalt licenses node
  basalt licenses node --texts node-licences.txt    all that has to go along with it, in one file")]
    Licenses(Licenses),
    /// Show the origin and the dependents of a file, a package, a Go module or a crate.
    #[command(after_help = "\
Examples:
  basalt why /usr/bin/containerd
  basalt why golang.org/x/net
  basalt why rustix@1.1.4")]
    Why(Why),
    /// Show the known vulnerabilities of images and packages.
    ///
    /// Packages, Go modules and crates are matched against a database of OSV records that you provide: a folder, or an
    /// archive such as the `all.zip` that osv.dev offers for each ecosystem. Download Go, crates.io, Linux and OSS-Fuzz
    /// on a machine with a network, copy them here, and name each with --database; this command downloads nothing.
    ///
    /// Vulnerabilities are left out that a patch in the package's folder fixes (CVE-2026-1234.patch), or that
    /// distro/vex/<package>.toml declares as `not_affected` or `fixed`. The exit code is 1 when any other one at the
    /// level of --fail-on or above is found, and when a record cannot be read. A vulnerability without a rating counts
    /// as high.
    #[command(after_help = "\
Examples:
  basalt audit node -d osv-Go.zip -d osv-Linux.zip
  basalt audit containerd -d osv/ --fail-on critical --sarif containerd.sarif
docs/trust/audit.md says where databases come from, and how to answer to what is found.")]
    Audit(Audit),
    /// Check the hardening of an image: programs, files, the kernel.
    ///
    /// Programs and libraries: position independent, relocations read-only, stack protectors, fortified calls, no
    /// executable stack. Files: no set-user-ID or set-group-ID, not writable by everybody, owned by root. The
    /// kernel: the list of the Kernel Self-Protection Project (distro/kspp.toml). Exceptions are in
    /// distro/hardening.toml with their reasons; the exit code is 1 for any other finding.
    #[command(after_help = "\
Examples:
  basalt harden node
  basalt harden --all node coredns    what is excepted too, with the reasons")]
    Harden(Harden),
    /// Compare an image's kernel with the options that Kubernetes add-ons document.
    ///
    /// distro/kernel-requirements.toml lists, for each add-on (Cilium, Longhorn, KubeVirt, kubeadm's preflight, ...), the
    /// kernel options that its documentation names, with the source. They are looked up in the configuration that the
    /// image's kernel was built with.
    ///
    /// Status of an add-on: `complete`, all options are on; `reduced`, optional ones are off, for a stated reason or
    /// without one; `contradicted`, one is on that the table says is off; `lacking`, a required one is off. The exit code
    /// is 1 for the last two.
    #[command(after_help = "\
Examples:
  basalt addons                        all add-ons, one line each
  basalt addons cilium longhorn        every option of these, with sources and reasons
  basalt addons --config /boot/config-6.12.107    another kernel
docs/node/add-ons.md lists what is refused, and why.")]
    Addons(Addons),
    /// Find workloads that will not run on a Basalt node, or run otherwise than on nodes of another distribution.
    ///
    /// Reads manifests (YAML and JSON, several documents, lists; what `helm template` and `kustomize build` write), or a
    /// cluster, and compares each object with what the image really has: its files, its kernel's configuration and modules,
    /// AppArmor profiles, sysctls, and the configuration of the kubelet and of containerd. Each finding names the object, the
    /// place, and what helps. Nothing is changed; of a cluster, only lists are read, and no Secrets.
    ///
    /// Verdicts: `will-not-run`, the workload does not start or fails at what it is there for; `runs-otherwise`, it starts, and
    /// does something else or less; `note`, worth knowing.
    #[command(after_help = "\
Examples:
  helm template my-chart | basalt preflight -
  basalt preflight manifests/ --format sarif > preflight.sarif
  basalt preflight --kubeconfig ~/.kube/config --context production
  basalt preflight --rbac | kubectl apply -f -      the permissions that reading a cluster needs
  basalt preflight --write-facts facts.json manifests/                     and elsewhere, without building anything:
  basalt preflight --facts facts.json --config node.yaml manifests/
  basalt preflight node worker-1.json               what people have done to a node, which the API server does not show
Exit codes: 0 nothing was found at the level of --fail-on; 1 something was; 2 not all could be looked at, the arguments are \
wrong, or the image cannot be built; 130 interrupted.
docs/preflight/README.md shows how to use it, docs/preflight/rules.md lists the rules.")]
    Preflight(Preflight),
    /// Run all tests: code, engine, and images that are built, booted and broken.
    ///
    /// The steps are run from the cheapest on, up to the first that fails; the last line is the sum of their tests. A step
    /// that does not run any of its tests fails. The output of each step is in the store's folder `logs`.
    #[command(after_help = "\
Examples:
  basalt test --quick
  basalt test --repeat 50 --load          tests that wait for something, 50 times beside four busy loops
  basalt test --repeat 200 interrupted    those with `interrupted` in their names, 200 times
  basalt test --conformance --minutes 60  Kubernetes' own tests on the running cluster, an hour of those that are left
  basalt test --conformance=all EmptyDir  those with `EmptyDir` in their names, also where they have a result")]
    Test(Test),
    /// Compare Basalt with other systems by measurement.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Check configuration files: a NodeConfig, an image definition.
    ///
    /// The errors of a file are shown, up to 50, each with its line and column and what helps, and warnings of what works and
    /// is rarely meant. A NodeConfig is checked as the node and its kubelet would read it; nobody is asked, and nothing is
    /// known of the machine. Secrets are shown as `*`.
    #[command(after_help = "\
Examples:
  basalt check node.yaml
  basalt check --kubelet 1.36 node.yaml            for the image node-kubelet-1.36
  basalt check - < node.yaml
  basalt check distro/images/node.yaml
Exit codes: 0 all files are right, with warnings perhaps; 1 one is not. The schema of --json is schemas/check.json.
docs/node/README.md leads to what a NodeConfig may say; distro/examples/node.yaml is one. `basalt config from-join` writes one.")]
    Check {
        /// Paths of the files; `-` is standard input.
        #[arg(required = true)]
        files: Vec<Utf8PathBuf>,
        /// Version of the kubelet that NodeConfigs are for, by minor: feature gates and some fields differ.
        #[arg(long, value_name = "VERSION", default_value = basalt_join::KUBELET, value_parser = kubelet_minor)]
        kubelet: KubeletMinor,
    },
    /// Write configuration files of nodes: `from-join`, a NodeConfig for a cluster that you have.
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Remove store entries that were not used for long, or that exceed a size.
    ///
    /// Removed entries are fetched or built again when they are needed. Entries in use by a cluster or another basalt
    /// stay, and both may keep running. An entry is removed when --days or --keep says so; without any option, --days
    /// is 14.
    #[command(after_help = "\
Examples:
  basalt clean --keep 20G            the least recently used goes, until the rest takes 20 GB on the disk
  basalt clean --days 30 --dry-run   shows what was not used for 30 days
  basalt clean --all                 everything that is not in use
Sizes: a number with B, K, M, G, T (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024); 1.5G is one, too.")]
    Clean(Clean),
    /// Fill a shared cache from the store, or the store from a cache.
    ///
    /// A cache is a folder (/mnt/cache, file:///mnt/cache) or a server of the Remote Execution API
    /// (grpcs://cache.example.org/instance); `?mode=read` and `?mode=write` restrict its use. Content that is read is
    /// verified by its digest, and results by the signature of a trusted key. See docs/build/cache.md.
    #[command(subcommand)]
    Cache(CacheVerb),
    /// Verify or locate the store, in which all fetched and built files are kept.
    #[command(subcommand)]
    Store(StoreVerb),
    /// Check what this machine can do, and name what helps where something is missing.
    ///
    /// Each check tries what the other verbs do: namespaces and mounts are made, programs are run, the Debian mirror is
    /// asked for a file. The store is opened, and made if there is none; nothing else is changed.
    #[command(after_help = "\
Exit codes: 0 no check failed; 1 one did: the verbs that it names fail on this machine. Warnings do not count.
docs/doctor.md lists the checks.")]
    Doctor,
    /// Write a completion script for a shell to standard output.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Supervisor of a cluster, which `up` starts in the background.
    #[command(name = "__cluster-supervisor", hide = true)]
    Supervisor {
        /// Folder of the cluster's state.
        state: Utf8PathBuf,
    },
}

/// Reads the version of a kubelet that this distribution has.
fn kubelet_minor(text: &str) -> Result<KubeletMinor, String> {
    KubeletMinor::of_version(text).ok_or_else(|| {
        let minors: Vec<_> = KubeletMinor::ALL.iter().map(ToString::to_string).collect();
        format!("there are kubelets of Kubernetes {}", minors.join(", "))
    })
}

/// Parser of a machine's memory in MiB: with less, a node does not come up.
fn machine_memory() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(1024..)
}

/// Parser of a machine's number of virtual processors.
fn machine_cpus() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(1..=64)
}

/// Options of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Packages and images, and variants of images; all packages and images if none is named.
    pub names: Vec<String>,
    /// Continue after a failure with packages that do not depend on the failed one.
    #[arg(long, short)]
    pub keep_going: bool,
    /// Show which inputs of this package changed since its last build in this store; its dependencies are built, the
    /// package itself is not.
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["names", "keep_going", "timings"])]
    pub explain: Option<String>,
    /// Write an HTML page of timings: start, end and processor time of each package, and the critical path.
    #[arg(long)]
    pub timings: bool,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Packages and images; all of them if none is named.
    pub names: Vec<String>,
    /// Verify also packages and images that have a result already.
    #[arg(long)]
    pub again: bool,
    /// Leave out these packages.
    #[arg(long, value_name = "PACKAGE")]
    pub without: Vec<String>,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Name of the image.
    #[arg(default_value = "node")]
    pub image: String,
    /// NodeConfig for the machine.
    #[arg(long)]
    pub config: Option<Utf8PathBuf>,
    /// Memory of the machine, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = ClusterSize::DEFAULT.memory_mib, value_parser = machine_memory())]
    pub memory: u32,
    /// Number of virtual processors.
    #[arg(long, default_value_t = ClusterSize::DEFAULT.vcpus, value_parser = machine_cpus())]
    pub cpus: u32,
}

/// Verbs of `basalt cache`.
#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// Make a key that signs results, unless there is one, and show its public half.
    Key {
        /// Name that signatures carry, such as that of a machine.
        #[arg(default_value = "basalt")]
        name: String,
    },
    /// Build packages and images, unless they are built already, and write the results to the cache.
    ///
    /// Without a name: the RPMs that the images of `up` install, which is all that `up` needs on another machine. Of
    /// other inputs and results, only digests are written, so that nothing has to be fetched or built to find that
    /// these RPMs are up to date. After a change of a package, its dependencies are rebuilt, too.
    Push {
        /// Packages and images, with the RPMs of all their dependencies.
        names: Vec<String>,
        /// All packages and images.
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Bring packages and images into the store, from the cache as far as it has them.
    Pull {
        /// Packages and images; the images of `up`, if none is named.
        names: Vec<String>,
    },
    /// Show the number of entries and the used space of each location.
    Status,
    /// Remove entries of a folder that were not used for long. Servers do so by themselves.
    Gc {
        /// Remove the least recently used entries, until the rest takes no more than this.
        #[arg(long, value_name = "SIZE")]
        keep: Option<bytesize::ByteSize>,
        /// Remove entries that were not used for this number of days.
        #[arg(long, value_name = "N")]
        days: Option<u64>,
        /// Show what would be removed, and remove nothing.
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
}

/// Verbs of `basalt store`.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Compare the content of all objects and directories with their digests.
    ///
    /// Damaged entries are set aside, so that the next command that needs one fetches or builds it again; the exit code
    /// is 1 then. Several gigabytes are read.
    Verify,
    /// Show the path of the store.
    Path,
}

/// Options of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Remove entries that were not used for this number of days.
    #[arg(long, value_name = "N")]
    pub days: Option<u64>,
    /// Remove the least recently used entries, until the rest takes no more than this on the disk.
    #[arg(long, value_name = "SIZE")]
    pub keep: Option<bytesize::ByteSize>,
    /// Remove all entries that are not in use.
    #[arg(long, conflicts_with_all = ["days", "keep"])]
    pub all: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// Verbs of `basalt sources`.
#[derive(Debug, Subcommand)]
pub enum Sources {
    /// Fetch and verify the sources of packages; of all, if none is named.
    Fetch {
        /// Names of the packages.
        packages: Vec<String>,
    },
    /// Fetch the sources in a package's sources.toml, and write digests and sizes into it.
    Lock {
        /// Name of the package.
        package: String,
    },
    /// Check that locks are complete and sources in the store are intact, and find newer releases.
    Check {
        /// Names of the packages; all of them if none is named.
        packages: Vec<String>,
    },
}

/// Verbs of `basalt sdk`.
#[derive(Debug, Subcommand)]
pub enum Sdk {
    /// Make the tree from its lock, unless it exists, and show its path.
    Build {
        /// Name of another tree: `reference` has the tools of others that tests compare with, dnf among them.
        tree: Option<String>,
    },
    /// Resolve the packages of a tree again and write its lock; of all trees, if none is named.
    Lock {
        /// Name of the tree: `sdk`, `reference`.
        tree: Option<String>,
    },
    /// Open a shell in the tree.
    Shell {
        /// Name of another tree: `reference` has the tools of others that tests compare with, dnf among them.
        tree: Option<String>,
        /// Allow access to the network of this machine.
        #[arg(long)]
        network: bool,
    },
}
