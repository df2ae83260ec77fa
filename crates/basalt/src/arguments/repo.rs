//! What can be asked of `basalt repo`.

use std::net::IpAddr;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

/// What to do about repositories.
#[derive(Debug, Subcommand)]
pub enum Repo {
    /// Build what is named, sign it, and make a snapshot of it the current one.
    Publish(Publish),
    /// Show the snapshots, and which of them is current.
    List {
        #[command(flatten)]
        repository: Repository,
    },
    /// Look a snapshot through as a client would: signatures, digests, places.
    Check {
        /// The snapshot; the current one, if none is named.
        #[arg(long)]
        snapshot: Option<String>,
        #[command(flatten)]
        repository: Repository,
    },
    /// Make another snapshot current: forth after tests, or back after a mistake.
    Promote {
        /// The snapshot.
        snapshot: String,
        #[command(flatten)]
        repository: Repository,
    },
    /// Remove old snapshots, and the RPMs that are in no other.
    Prune {
        /// How many of the newest are kept; the current one is kept in any case.
        #[arg(long, default_value_t = 3)]
        keep: usize,
        #[command(flatten)]
        repository: Repository,
    },
    /// Serve a repository over HTTP until Ctrl-C.
    Serve(Serve),
    /// The keys that sign, and those that are trusted.
    #[command(subcommand)]
    Keys(Keys),
    /// Sign where the key is, rather than here: export what is to be signed, import the signatures.
    #[command(subcommand)]
    Sign(Sign),
}

/// Which repository.
#[derive(Debug, Clone, Args)]
pub struct Repository {
    /// The repository. They lie in ~/.local/share/basalt/repositories, or in $BASALT_REPOSITORIES.
    #[arg(long, default_value = "basalt")]
    pub name: String,
}

/// Where a passphrase is.
#[derive(Debug, Clone, Args)]
pub struct Passphrase {
    /// A file with the passphrase of the secret key. Without it, the variable BASALT_KEY_PASSPHRASE counts.
    #[arg(long)]
    pub passphrase_file: Option<Utf8PathBuf>,
}

/// Options of `repo publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// Packages, with what they require, and images, with what they install; all packages, if none is named.
    pub names: Vec<String>,
    #[command(flatten)]
    pub repository: Repository,
    /// What to call the snapshot; the time, if nothing is said.
    #[arg(long)]
    pub snapshot: Option<String>,
    /// The key that signs: a part of its fingerprint (see `repo keys list`), or a file. If only its public half is known,
    /// what is to be signed elsewhere is prepared (see `repo sign`).
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// Options of `repo serve`.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    pub repository: Repository,
    /// One snapshot, rather than whatever is current.
    #[arg(long)]
    pub snapshot: Option<String>,
    /// The port; 0 takes any that is free.
    #[arg(long, default_value_t = 8642)]
    pub port: u16,
    /// The address to listen on. Everybody who reaches it may read.
    #[arg(long, default_value = "127.0.0.1")]
    pub bind: IpAddr,
}

/// What to do about keys. They lie in ~/.local/share/basalt/keys, or in $BASALT_KEYS.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Show the keys, who signs, and when they end.
    List,
    /// Make the first key.
    New(NewKey),
    /// Make the next key, which signs from now on. The one before stays trusted until its end.
    Rotate(NewKey),
    /// Take in a key from a file: a secret one as it is, locked or not, or a public one that signs elsewhere.
    Import {
        /// What `gpg --export --armor` or `gpg --export-secret-keys --armor` writes.
        file: Utf8PathBuf,
        /// Only trust it; another signs.
        #[arg(long)]
        trust_only: bool,
    },
    /// Let another of the keys sign.
    Use {
        /// A part of its fingerprint.
        key: String,
    },
    /// Write the public keys that count to standard output, as /etc/pki/rpm-gpg holds them.
    Export {
        /// A part of the fingerprint of one of them.
        key: Option<String>,
    },
}

/// Options of `repo keys new` and `rotate`.
#[derive(Debug, Args)]
pub struct NewKey {
    /// Whose key it is.
    #[arg(long)]
    pub user: Option<String>,
    /// After how many days it ends.
    #[arg(long, default_value_t = 730, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub days: u32,
    #[command(flatten)]
    pub passphrase: Passphrase,
}

/// What to do about signatures that are made elsewhere.
#[derive(Debug, Subcommand)]
pub enum Sign {
    /// Show what waits for signatures.
    Status {
        #[command(flatten)]
        repository: Repository,
    },
    /// Write what is to be signed next into a folder, with its digests and how to sign it.
    Export {
        /// The folder.
        folder: Utf8PathBuf,
        #[command(flatten)]
        repository: Repository,
    },
    /// Verify the signatures in a folder and take them in; after the second round, the snapshot is published.
    Import {
        /// The folder.
        folder: Utf8PathBuf,
        #[command(flatten)]
        repository: Repository,
    },
}
