//! A client: unmodified dnf, in the tree of others' tools, with an installation root of its own.

use std::time::Duration;

use basalt_process::ProcessError;
use basalt_sandbox::{Network, Relaxation, Sandbox};
use basalt_sdk::SdkTree;
use basalt_test_environment::{Cli, Failed, Ran, Started, TestDirectory, ensure, shown, until};
use camino::{Utf8Path, Utf8PathBuf};

use crate::fixture::TIMEOUT;

/// A user with keys and repositories of their own, and the tree of reference tools.
pub struct User {
    /// Folder with the keys, repositories and clients.
    pub folder: Utf8PathBuf,
    /// The command, which finds these keys and repositories.
    pub cli: Cli,
    reference: SdkTree,
}

/// A server that is ended when this is dropped.
pub struct Served {
    /// Base URL of the repository.
    pub url: String,
    /// The process.
    pub process: Started,
}

/// A client that trusts some keys.
pub struct Client<'p> {
    user: &'p User,
    folder: Utf8PathBuf,
    /// Options of the repository's section.
    pub options: Vec<&'static str>,
}

impl User {
    /// A user whose folder has that name.
    pub fn new(directory: &TestDirectory, name: &str) -> Result<Self, Failed> {
        let folder = directory.folder(&format!("repo-{name}"))?;
        let cli = owned(directory.environment.cli(), &folder);
        let lock = directory.environment.checkout.join("distro/sdk/reference.lock");
        let reference = match SdkTree::find(&directory.store, &lock)? {
            Some(reference) => reference,
            None => {
                // `./basalt test` has made it; a test that is run by hand may come before it.
                cli.run(&["sdk", "build", "reference"], TIMEOUT)?.ended_with(0)?;
                SdkTree::find(&directory.store, &lock)?.ok_or("the tree of others' tools is not there")?
            }
        };
        Ok(Self { folder, cli, reference })
    }

    /// A command on another checkout, which finds this user's keys and repositories.
    pub fn of(&self, cli: Cli) -> Cli {
        owned(cli, &self.folder)
    }

    /// Runs the command; it must work.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran, Failed> {
        self.cli.run(arguments, TIMEOUT)?.ended_with(0)
    }

    /// Answer of the command with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Result<serde_json::Value, Failed> {
        self.cli.json(arguments, TIMEOUT, 0)
    }

    /// Publishes packages; the snapshot's folder.
    pub fn publish(&self, arguments: &[&str]) -> Result<Utf8PathBuf, Failed> {
        let mut words = vec!["repo", "publish"];
        words.extend(arguments);
        let published = self.json(&words)?;
        let folder = published["folder"].as_str().ok_or("it does not say where it is")?;
        Ok(folder.into())
    }

    /// Serves a repository, on any port that is free.
    pub fn serve(&self, name: &str) -> Result<Served, Failed> {
        let process = self
            .cli
            .start(&["--json", "repo", "serve", "--port", "0", "--name", name])?;
        until("the server listens", Duration::from_secs(30), || {
            process.stdout_so_far().contains('}')
        })?;
        let said: serde_json::Value = serde_json::from_str(&process.stdout_so_far())?;
        let url = said["url"].as_str().ok_or("it does not say where it is")?.to_owned();
        Ok(Served { url, process })
    }

    /// A sandbox with the reference tools, this user's folder, and the network of this machine.
    pub fn sandbox(&self) -> Sandbox {
        self.reference
            .sandbox()
            .network(Network::Inherited)
            .relax(Relaxation::PackageManager)
            .show_writable(&self.folder)
    }

    /// Runs a tool of others; it must work.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.sandbox().command(program, arguments).output().map_err(shown)?;
        Ok(output.text())
    }

    /// A client of a repository, which trusts the keys in a file, and no others.
    pub fn client(&self, name: &str, url: &str, keys: &Utf8Path) -> Result<Client<'_>, Failed> {
        let folder = self.folder.join(format!("client-{name}"));
        for part in ["repos", "log", "cache"] {
            fs_err::create_dir_all(folder.join(part))?;
        }
        let client = Client {
            user: self,
            folder,
            options: vec!["gpgcheck=1", "repo_gpgcheck=1"],
        };
        client.point_to(url, keys)?;
        Ok(client)
    }

    /// The public keys that count now, in a file.
    pub fn trusted(&self, name: &str) -> Result<Utf8PathBuf, Failed> {
        let path = self.folder.join(name);
        fs_err::write(&path, self.run(&["repo", "keys", "export"])?.stdout)?;
        Ok(path)
    }
}

fn owned(cli: Cli, folder: &Utf8Path) -> Cli {
    cli.env("BASALT_KEYS", folder.join("keys"))
        .env("BASALT_REPOSITORIES", folder.join("repositories"))
}

impl Client<'_> {
    /// Writes the repository's section.
    pub fn point_to(&self, url: &str, keys: &Utf8Path) -> Result<(), Failed> {
        let options = self.options.join("\n");
        let text = format!("[basalt]\nname=Basalt\nbaseurl={url}\ngpgkey=file://{keys}\nenabled=1\n{options}\n");
        Ok(fs_err::write(self.folder.join("repos/basalt.repo"), text)?)
    }

    /// Runs dnf; returns its output, or its error output if it failed.
    pub fn dnf(&self, arguments: &[&str]) -> Result<Result<String, String>, Failed> {
        let options = [
            "--assumeyes".to_owned(),
            "--releasever=1".to_owned(),
            format!("--installroot={}", self.root()),
            format!("--setopt=reposdir={}", self.folder.join("repos")),
            format!("--setopt=cachedir={}", self.folder.join("cache")),
            format!("--setopt=logdir={}", self.folder.join("log")),
            "--setopt=metadata_expire=0".to_owned(),
            "--setopt=install_weak_deps=0".to_owned(),
            "--setopt=retries=1".to_owned(),
            "--setopt=skip_if_unavailable=0".to_owned(),
        ];
        // Why a download failed stands on the one output, that it did on the other.
        let mut words = vec!["-c", "exec \"$0\" \"$@\" 2>&1", "dnf"];
        words.extend(options.iter().map(String::as_str));
        words.extend(arguments);
        match self.user.sandbox().command("sh", words).output() {
            Ok(output) => Ok(Ok(output.text())),
            Err(ProcessError::Failed { tail, .. }) => Ok(Err(tail.join("\n"))),
            Err(error) => Err(shown(error)),
        }
    }

    /// Installs a package; it must work.
    pub fn installs(&self, package: &str) -> Result<(), Failed> {
        if let Err(words) = self.dnf(&["install", package])? {
            return Err(format!("dnf does not install {package}: {words}").into());
        }
        let nothing = self.root().join("usr").is_dir();
        ensure(nothing, || {
            format!("dnf says that {package} is installed, and it is not")
        })
    }

    /// Tries to install a package, which dnf must refuse, with a message that contains one of the texts.
    pub fn refuses(&self, package: &str, because: &[&str]) -> Result<(), Failed> {
        match self.dnf(&["install", package])? {
            Ok(words) => Err(format!("dnf installs {package}: {words}").into()),
            Err(words) => {
                let lower = words.to_lowercase();
                ensure(
                    because.iter().any(|piece| lower.contains(&piece.to_lowercase())),
                    || format!("dnf refuses {package} for another reason than {because:?}: {words}"),
                )?;
                ensure(!self.root().join("usr/lib/os-release").exists(), || {
                    format!("dnf refuses {package}, and yet it is there")
                })
            }
        }
    }

    /// Installation root of dnf.
    pub fn root(&self) -> Utf8PathBuf {
        self.folder.join("root")
    }
}
