//! Arguments of `basalt repo`.

use std::net::IpAddr;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// Verbs of `basalt repo`.
#[derive(Debug, Subcommand)]
pub enum Repo {
    /// Build and sign packages, and publish a snapshot of them as the current one.
    Publish(Publish),
    /// Show the snapshots and the current one.
    List {
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Verify a snapshot as a client would do it: signatures, digests, locations.
    Check {
        /// Name of the snapshot; the current one, if none is named.
        #[arg(long)]
        snapshot: Option<String>,
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Make another snapshot current: forward after tests, or back after a mistake.
    Promote {
        /// Name of the snapshot.
        snapshot: String,
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Remove old snapshots, and the RPMs that are in no other snapshot.
    Prune {
        /// Number of the newest snapshots that are kept; the current one is always kept.
        #[arg(long, default_value_t = 3)]
        keep: usize,
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Serve a repository over HTTP until Ctrl-C.
    Serve(Serve),
    /// Manage the keys that sign, and those that are trusted.
    #[command(subcommand)]
    Keys(Keys),
    /// Sign on another machine: export the files to be signed, import the signatures.
    #[command(subcommand)]
    Sign(Sign),
}

/// Selection of a repository.
#[derive(Debug, Clone, Args)]
pub struct RepositoryName {
    /// Name of the repository, a folder in ~/.local/share/basalt/repositories, or in $BASALT_REPOSITORIES.
    #[arg(long, default_value = "basalt")]
    pub name: String,
}

/// Source of a passphrase.
#[derive(Debug, Clone, Args)]
pub struct Passphrase {
    /// File with the passphrase of the secret key. Without it, the variable BASALT_KEY_PASSPHRASE is used.
    #[arg(long)]
    pub passphrase_file: Option<Utf8PathBuf>,
}

/// Options of `repo publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// Packages, with their requirements, and images, with the packages that they install; all packages, if none is
    /// named.
    pub names: Vec<String>,
    #[command(flatten)]
    pub repository: RepositoryName,
    /// Name of the snapshot; the time of publishing, if none is given.
    #[arg(long)]
    pub snapshot: Option<String>,
    /// Key that signs: a part of its fingerprint (see `repo keys list`), or a file. If only its public half is known,
    /// the files to be signed elsewhere are prepared (see `repo sign`).
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// Options of `repo serve`.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub repository: RepositoryName,
    /// Serve one snapshot, rather than the current one.
    #[arg(long)]
    pub snapshot: Option<String>,
    /// Port to listen on; 0 takes any free port.
    #[arg(long, default_value_t = 8642)]
    pub port: u16,
    /// Address to listen on. Everybody who reaches it may read.
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: IpAddr,
}

/// Verbs of `basalt repo keys`. Keys are kept in ~/.local/share/basalt/keys, or in $BASALT_KEYS.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Show the keys, the one that signs, and their expiry.
    List,
    /// Make the first key.
    New(NewKey),
    /// Make the next key, which signs from now on. The previous one stays trusted until it expires.
    Rotate(NewKey),
    /// Import a key from a file: a secret one, locked or not, or a public one whose owner signs elsewhere.
    Import {
        /// File that `gpg --export --armor` or `gpg --export-secret-keys --armor` wrote.
        file: Utf8PathBuf,
        /// Trust the key without signing with it.
        #[arg(long)]
        trust_only: bool,
    },
    /// Select the key that signs.
    Use {
        /// Part of its fingerprint.
        key: String,
    },
    /// Write the trusted public keys to standard output, in the format of /etc/pki/rpm-gpg.
    Export {
        /// Part of the fingerprint of one of them.
        key: Option<String>,
    },
}

/// Options of `repo keys new` and `rotate`.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Owner of the key, as a user id.
    #[arg(long)]
    pub user: Option<String>,
    /// Validity in days.
    #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub days: u32,
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// Verbs of `basalt repo sign`.
#[derive(Debug, Subcommand)]
pub enum Sign {
    /// Show which signatures are missing.
    Status {
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Write the next files to be signed into a folder, with their digests and instructions.
    Export {
        /// Path of the folder.
        folder: Utf8PathBuf,
        #[command(flatten)]
        repository: RepositoryName,
    },
    /// Verify and import the signatures in a folder; after the second round, the snapshot is published.
    Import {
        /// Path of the folder.
        folder: Utf8PathBuf,
        #[command(flatten)]
        repository: RepositoryName,
    },
}
