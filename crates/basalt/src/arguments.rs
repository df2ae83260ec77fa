//! What can be asked for on the command line.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

pub mod repo;

/// Builds, ships and runs Basalt Linux.
///
/// `basalt up` goes the whole way: from upstream source to a Kubernetes cluster of virtual machines on this computer,
/// without root, and shows a pod answering. Everything that it makes is kept in ~/.cache/basalt (or $BASALT_STORE) under
/// the digest of what it was made from, so doing it twice costs nothing.
#[derive(Debug, Parser)]
#[command(name = "basalt", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Answer in JSON on standard output, for scripts.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Show only warnings and errors.
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// The cache that a team shares: folders and REAPI servers, separated by white space ($BASALT_CACHE unless given).
    #[arg(long, global = true, value_name = "LOCATION", help_heading = "Everywhere")]
    pub cache: Option<String>,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 it worked; 1 it did not, and the error says why; 2 the arguments are wrong; \
3 this machine lacks something; 130 interrupted. `kubectl` and `shell` pass on the code of what they run.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build what is not built yet, start a cluster, and show a pod answering.
    ///
    /// The cluster lives in a network of its own and goes on until `basalt down`. When `up` is interrupted or fails before
    /// the pod has answered, nothing of it is left.
    #[command(after_help = "\
Examples:
  basalt up                          a cluster with one node
  basalt up --nodes 2 --memory 3072  two larger ones, whose pods reach each other
  basalt --json up                   addresses, the kubeconfig's path and how long each stage took, for scripts")]
    Up(Up),
    /// Stop the cluster; leaves nothing behind.
    Down,
    /// Show what is running.
    Status,
    /// Run kubectl against the cluster: the one that was built along with it.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// Passed on as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build packages and images, by name.
    ///
    /// What they need is built first, as far as it is not built. Where the results are is shown at the end.
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
        /// A package, a component (etcd, kube-apiserver, ...) or a node.
        name: String,
        /// Go on showing what is added.
        #[arg(long, short)]
        follow: bool,
    },
    /// Step into the sandbox in which a package is built.
    ///
    /// It is prepared as for the build: the sources, the sysroot of what the spec asks for, the tools, no network. The
    /// command that the build runs is shown, and how to stop it after a phase.
    Shell {
        /// The package.
        package: String,
    },
    /// Fetch, lock and check upstream sources.
    #[command(subcommand)]
    Sources(Sources),
    /// The tree of build tools.
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
    /// Build packages and images again, elsewhere, and see whether every bit comes out the same.
    ///
    /// A package is built in another folder, at another time, on another host, by another user with another umask and
    /// another number of processors, and its RPMs are compared with those that are there. Of an image, first every package
    /// that it installs is built again, then the image is composed again. What differs is shown down to the file and the
    /// section. Verdicts are remembered: a run that was interrupted goes on.
    #[command(after_help = "\
Examples:
  basalt verify zlib                      a package
  basalt verify node --without kernel     an image and its packages, but for one
Exit codes: 0 everything came out the same; 1 something did not, or could not be built again.")]
    Verify(Verify),
    /// Show what a package, an image, or an RPM file was made from: an in-toto statement with SLSA provenance, as JSON.
    #[command(after_help = "\
Examples:
  basalt provenance zlib
  basalt provenance node
  basalt provenance zlib-1.3.1-1.bs1.x86_64.rpm     only if this very file came out of the build, signed or not
docs/trust/provenance.md says what the fields mean.")]
    Provenance {
        /// A package, an image, or the path of an RPM.
        what: String,
    },
    /// Show what is inside a package or an image: its bill of materials, down to Go modules and crates.
    ///
    /// The document is the same as the one that images carry in /usr/share/sbom, byte by byte. With --json, the inventory
    /// that both formats are made of: components, where each is, what requires what.
    #[command(after_help = "\
Examples:
  basalt bom node > node.spdx.json
  basalt bom containerd --format cyclonedx")]
    Bom(Bom),
    /// Show what the licences in an image oblige to.
    ///
    /// For each licence: what it asks of whoever passes the image on, and what is under it. Of alternatives (`MIT OR
    /// Apache-2.0`) the one counts that asks for less. A reading aid, not legal advice.
    #[command(after_help = "\
Examples:
  basalt licenses node
  basalt licenses node --texts node-licences.txt    all that has to go along with it, in one file")]
    Licenses(Licenses),
    /// Tell where something comes from and who needs it: a file, a package, a Go module, a crate.
    #[command(after_help = "\
Examples:
  basalt why /usr/bin/containerd
  basalt why golang.org/x/net
  basalt why rustix@1.1.4")]
    Why(Why),
    /// Tell which known vulnerabilities images and packages have.
    ///
    /// Packages, Go modules and crates are held against a database of OSV records that you bring: a folder, or an archive
    /// such as the `all.zip` that osv.dev offers for each ecosystem. Fetch Go, crates.io, Linux and OSS-Fuzz on a machine
    /// with a network, carry them here, and name each with --database; nothing is fetched by this command.
    ///
    /// What a patch in a package's folder corrects (CVE-2026-1234.patch), and what distro/vex/<package>.toml answers with
    /// `not_affected` or `fixed`, does not count. The exit code is 1 when anything else at the level of --fail-on or above
    /// is found, and when a record cannot be read. What nobody rates counts as high.
    #[command(after_help = "\
Examples:
  basalt audit node -d osv-Go.zip -d osv-Linux.zip
  basalt audit containerd -d osv/ --fail-on critical --sarif containerd.sarif
docs/trust/audit.md says where databases come from, and how to answer to what is found.")]
    Audit(Audit),
    /// Look at how well an image is defended: programs, files, the kernel.
    ///
    /// Every program and library: position independent, relocations read-only, stack protectors, fortified calls, no
    /// executable stack. Every file: nothing that makes one somebody else, nothing that everybody may write to, nothing
    /// that is not root's. The kernel, against the list of the Kernel Self-Protection Project (distro/kspp.toml). What
    /// may be otherwise stands in distro/hardening.toml with its reason; the exit code is 1 when anything else is.
    #[command(after_help = "\
Examples:
  basalt harden node
  basalt harden --all node coredns    what is excepted too, with the reasons")]
    Harden(Harden),
    /// Test everything: the code, the engine, and the real thing, built, booted and broken.
    Test {
        /// Only what needs nothing built: format, lints, tests of the crates.
        #[arg(long)]
        quick: bool,
    },
    /// Measure Basalt beside others.
    #[command(subcommand)]
    Bench(Bench),
    /// Check files that describe things: a NodeConfig, an image definition.
    Check {
        /// The files.
        #[arg(required = true)]
        files: Vec<Utf8PathBuf>,
    },
    /// Remove from the store what was not used for long, or what does not fit.
    ///
    /// Nothing that is removed is lost: it is fetched or built again when it is needed. What a cluster or another basalt uses
    /// stays, and both may go on meanwhile. A thing goes when --days or --keep says so; without any option, --days is 14.
    #[command(after_help = "\
Examples:
  basalt clean --keep 20G            the least recently used goes, until the rest takes 20 GB on the disk
  basalt clean --days 30 --dry-run   shows what was not used for 30 days
  basalt clean --all                 everything that is not in use
Sizes: a number with B, K, M, G, T (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024); 1.5G is one, too.")]
    Clean(Clean),
    /// Share what is built with others: fill a cache, or the store from it.
    ///
    /// A cache is a folder (/mnt/cache, file:///mnt/cache) or a server of the Remote Execution API
    /// (grpcs://cache.example.org/instance); `?mode=read` and `?mode=write` say what may be done with it. What is read is
    /// verified by its digest, and results by the signature of a key that is trusted. docs/build/cache.md says more.
    #[command(subcommand)]
    Cache(CacheVerb),
    /// Look after the store, in which everything is kept that was fetched or built.
    #[command(subcommand)]
    Store(StoreVerb),
    /// Write a completion script for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// What `up` starts in the background.
    #[command(name = "__cluster-supervisor", hide = true)]
    Supervisor {
        /// The cluster's folder.
        state: Utf8PathBuf,
    },
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// How many nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub nodes: u32,
    /// Memory of each node, in MiB.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1024..))]
    pub memory: u64,
    /// Virtual processors of each node.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
}

/// Options of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Packages and images; everything if none is named.
    pub names: Vec<String>,
    /// After a failure, go on with what does not depend on it.
    #[arg(long, short)]
    pub keep_going: bool,
    /// Say which input makes this package be built again, compared with its last build in this store; what it needs is
    /// built, the package itself is not.
    #[arg(long, value_name = "PACKAGE", conflicts_with_all = ["names", "keep_going", "timings"])]
    pub explain: Option<String>,
    /// Write a page that shows where the time went: start, end and processor time of each package, and the critical path.
    #[arg(long)]
    pub timings: bool,
}

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Packages and images; everything if none is named.
    pub names: Vec<String>,
    /// Build again also what is known already.
    #[arg(long)]
    pub again: bool,
    /// Leave out packages, whose verdict is wanted another time.
    #[arg(long, value_name = "PACKAGE")]
    pub without: Vec<String>,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The image.
    #[arg(default_value = "node")]
    pub image: String,
    /// A NodeConfig to give to the machine.
    #[arg(long)]
    pub config: Option<Utf8PathBuf>,
    /// Memory in MiB.
    #[arg(long, default_value_t = 2048)]
    pub memory: u64,
    /// Virtual processors.
    #[arg(long, default_value_t = 2)]
    pub cpus: u32,
}

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Images and packages.
    #[arg(default_value = "node")]
    pub names: Vec<String>,
    /// A folder of OSV records, or a .zip, .tar, .tar.gz or .tar.zst of them. May be given more than once.
    #[arg(long, short, required = true, value_name = "PATH")]
    pub database: Vec<Utf8PathBuf>,
    /// From which level on a vulnerability makes the command fail: low, medium, high or critical.
    #[arg(long, value_name = "LEVEL", default_value = "high")]
    pub fail_on: basalt_advisories::Level,
    /// Write our answers as an OpenVEX document.
    #[arg(long, value_name = "FILE")]
    pub vex: Option<Utf8PathBuf>,
    /// Write what was found as SARIF 2.1.0.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<Utf8PathBuf>,
}

/// What to do with the shared cache.
#[derive(Debug, Subcommand)]
pub enum CacheVerb {
    /// Make a key to sign results with, unless there is one, and show its public half.
    Key {
        /// The name that signatures carry, such as that of a machine.
        #[arg(default_value = "basalt")]
        name: String,
    },
    /// Build what is named, as far as it is not built, and write the results to the cache.
    ///
    /// Without a name: what `up` needs from another machine and no more, that is the RPMs that its images install. Of
    /// everything else that these were built from, digests are written, so that nothing has to be fetched or built to know
    /// that they are up to date. Whoever changes a package builds again what that package is compiled against.
    Push {
        /// Packages and images, with the RPMs of all that they are built from.
        names: Vec<String>,
        /// All packages and images.
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Bring what is named into the store, from the cache as far as that has it.
    Pull {
        /// Packages and images; the images of `up`, if none is named.
        names: Vec<String>,
    },
    /// Say what each location holds, and how much space that takes.
    Status,
    /// Remove from a folder what was not used for long. Servers do so by themselves.
    Gc {
        /// Remove what was used longest ago, until the rest takes no more than this.
        #[arg(long, value_name = "SIZE")]
        keep: Option<bytesize::ByteSize>,
        /// Remove what was not used for so many days.
        #[arg(long, value_name = "N")]
        days: Option<u64>,
        /// Only say what would be removed.
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Read everything again and compare it with its name.
    ///
    /// What is damaged is set aside, so that the next command that needs it fetches or builds it anew; the exit code is 1 then.
    /// Several gigabytes are read.
    Verify,
    /// Say where it is.
    Path,
}

/// Options of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Remove what was not used for so many days.
    #[arg(long, value_name = "N")]
    pub days: Option<u64>,
    /// Remove what was not used for longest, until the rest takes no more than this on the disk.
    #[arg(long, value_name = "SIZE")]
    pub keep: Option<bytesize::ByteSize>,
    /// Remove everything that is not in use.
    #[arg(long, conflicts_with_all = ["days", "keep"])]
    pub all: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long, short = 'n')]
    pub dry_run: bool,
}

/// Options of `harden`.
#[derive(Debug, Args)]
pub struct Harden {
    /// The images.
    #[arg(default_value = "node")]
    pub images: Vec<String>,
    /// Show what is excepted too, with the reasons.
    #[arg(long, short)]
    pub all: bool,
}

/// Options of `bom`.
#[derive(Debug, Args)]
pub struct Bom {
    /// An image or a package.
    #[arg(default_value = "node")]
    pub name: String,
    /// The form of the document.
    #[arg(long, value_enum, default_value_t = BomFormat::Spdx)]
    pub format: BomFormat,
}

/// The form of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BomFormat {
    /// SPDX 2.3.
    Spdx,
    /// CycloneDX 1.5.
    Cyclonedx,
}

/// Options of `licenses`.
#[derive(Debug, Args)]
pub struct Licenses {
    /// An image or a package.
    #[arg(default_value = "node")]
    pub name: String,
    /// Write all licence texts and notices that have to go with it into this file.
    #[arg(long, value_name = "FILE")]
    pub texts: Option<Utf8PathBuf>,
    /// Find out under which licences all Go modules and crates are that are linked into our programs, from their
    /// sources, and write distro/packages/licences.lock.
    #[arg(long, conflicts_with_all = ["texts", "name"])]
    pub lock: bool,
}

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// The path of a file (`/usr/bin/containerd`), or the name of a package, of a Go module (`golang.org/x/net`), of a
    /// crate, with or without `@version`.
    pub what: String,
    /// The image in which it is looked for first.
    #[arg(long, default_value = "node")]
    pub image: String,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// From power-on to the first pod: a Basalt node and a Debian 13 node, by turns. Writes bench/boot.*.
    Boot(BenchBoot),
    /// Time and peak memory of planning a synthetic distribution, from the answers of rpmspec to the list of jobs.
    Plan(BenchPlan),
}

/// Options of `bench plan`.
#[derive(Debug, Args)]
pub struct BenchPlan {
    /// Number of packages.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub packages: u32,
    /// Seed of the distribution: the same packages for the same seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Options of `bench boot`.
#[derive(Debug, Args)]
pub struct BenchBoot {
    /// How often each of them is booted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
}

/// What to do about sources.
#[derive(Debug, Subcommand)]
pub enum Sources {
    /// Fetch the sources of packages, of all if none is named, and verify them.
    Fetch {
        /// The packages.
        packages: Vec<String>,
    },
    /// Fetch what a package's sources.toml names, and write digests and sizes into it.
    Lock {
        /// The package.
        package: String,
    },
    /// See whether locks are complete, what is in the store is whole, and newer releases are out.
    Check {
        /// The packages.
        packages: Vec<String>,
    },
}

/// What to do about the SDK.
#[derive(Debug, Subcommand)]
pub enum Sdk {
    /// Make the tree from its lock, unless it is there, and show where it is.
    Build {
        /// Another tree: `reference` has the tools of others that tests compare with, dnf among them.
        tree: Option<String>,
    },
    /// Resolve the packages of a tree anew and write its lock; of all, if none is named.
    Lock {
        /// The tree: `sdk`, `reference`.
        tree: Option<String>,
    },
    /// Open a shell in the tree.
    Shell {
        /// Another tree: `reference` has the tools of others that tests compare with, dnf among them.
        tree: Option<String>,
        /// Let it reach the network of this machine.
        #[arg(long)]
        network: bool,
    },
}
