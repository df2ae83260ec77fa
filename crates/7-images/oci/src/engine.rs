//! Images of the local container engines, exported by their own command-line clients.

use std::str::FromStr;
use std::time::Duration;

use basalt_process::tool::{self, Tool};
use basalt_process::{Command, ProcessError, chain};
use camino::Utf8Path;

use crate::{ImageReference, OciError};

/// Time-out of a question whether an image is there.
const ANSWER: Duration = Duration::from_secs(60);
/// Time-out of an export.
const EXPORT: Duration = Duration::from_secs(30 * 60);

/// Container engine with images of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerEngine {
    /// Docker, by `docker`.
    Docker,
    /// Podman, by `podman`.
    Podman,
    /// containerd, by `nerdctl`, or by `ctr` where there is none.
    Containerd,
}

impl ContainerEngine {
    /// All engines, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Containerd];

    /// Name of the engine.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
        }
    }
}

impl FromStr for ContainerEngine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|engine| engine.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of docker, podman, containerd"))
    }
}

/// Client of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Docker,
    Podman,
    Nerdctl,
    Ctr,
}

impl Client {
    fn of(engine: ContainerEngine) -> &'static [Self] {
        match engine {
            ContainerEngine::Docker => &[Self::Docker],
            ContainerEngine::Podman => &[Self::Podman],
            ContainerEngine::Containerd => &[Self::Nerdctl, Self::Ctr],
        }
    }

    fn tool(self) -> Tool {
        match self {
            Self::Docker => tool::DOCKER,
            Self::Podman => tool::PODMAN,
            Self::Nerdctl => tool::NERDCTL,
            Self::Ctr => tool::CTR,
        }
    }

    /// Arguments that fail when the image is not there.
    fn question<'a>(self, name: &'a str, full: &'a str) -> Vec<&'a str> {
        match self {
            Self::Docker | Self::Nerdctl => vec!["image", "inspect", name],
            Self::Podman => vec!["image", "exists", name],
            // The digests of an image's content: an image that is not there has none, which is an error.
            Self::Ctr => vec!["images", "inspect", full],
        }
    }

    /// Arguments that write the image into an archive.
    fn export<'a>(self, name: &'a str, full: &'a str, archive: &'a str) -> Vec<&'a str> {
        match self {
            Self::Docker | Self::Nerdctl => vec!["save", "--output", archive, name],
            Self::Podman => vec!["save", "--quiet", "--format", "oci-archive", "--output", archive, name],
            Self::Ctr => vec!["images", "export", archive, full],
        }
    }
}

/// Exports an image of one engine, or of the first that has it.
///
/// # Errors
/// [`OciError::Missing`], with the answers of all engines, when none has it.
pub(crate) fn export(word: &str, engine: Option<ContainerEngine>, archive: &Utf8Path) -> Result<(), OciError> {
    let full = word.parse::<ImageReference>().map(|reference| reference.to_string());
    let full = match full {
        Ok(full) => full,
        // The id of an image, which its engine knows.
        Err(_) if is_id(word) => word.to_owned(),
        Err(error) => return Err(error),
    };
    let engines = engine.map_or(ContainerEngine::ALL.to_vec(), |engine| vec![engine]);
    let clients = engines
        .into_iter()
        .flat_map(|engine| Client::of(engine).iter().copied());
    let mut tried = Vec::new();
    for client in clients {
        let command = |arguments: Vec<&str>| Command::tool(client.tool()).args(arguments);
        match command(client.question(word, &full)).time_limit(ANSWER).output() {
            Ok(_) => {
                let export = command(client.export(word, &full, archive.as_str())).time_limit(EXPORT);
                tracing::debug!(word, client = client.tool().program, "exporting");
                return Ok(export.output().map(drop)?);
            }
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(error) => tried.push(answer(client, &error)),
        }
    }
    Err(OciError::Missing {
        word: word.to_owned(),
        tried,
    })
}

/// Answer of a client that does not have the image, in one line.
fn answer(client: Client, error: &ProcessError) -> String {
    let program = client.tool().program;
    match error {
        ProcessError::Missing { .. } => format!("{program}: not on this machine"),
        ProcessError::Failed { tail, .. } => match tail.last() {
            Some(line) => format!("{program}: {line}"),
            None => format!("{program}: does not have it"),
        },
        other => format!("{program}: {}", chain(other)),
    }
}

/// Checks for the id of an image: 12 to 64 hexadecimal digits, or `sha256:` with all of them.
pub(crate) fn is_id(word: &str) -> bool {
    let digits = word.strip_prefix("sha256:").unwrap_or(word);
    (12..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_words() {
        let shown = |client: Client| {
            let export = client.export("app:1", "docker.io/library/app:1", "/a.tar").join(" ");
            let question = client.question("app:1", "docker.io/library/app:1").join(" ");
            let program = client.tool().program;
            format!("{program} {question}; {program} {export}")
        };
        let engines = ContainerEngine::ALL
            .into_iter()
            .flat_map(|engine| Client::of(engine).iter().copied());
        assert_eq!(
            engines.map(shown).collect::<Vec<_>>(),
            [
                "docker image inspect app:1; docker save --output /a.tar app:1",
                "podman image exists app:1; podman save --quiet --format oci-archive --output /a.tar app:1",
                "nerdctl image inspect app:1; nerdctl save --output /a.tar app:1",
                "ctr images inspect docker.io/library/app:1; ctr images export /a.tar docker.io/library/app:1",
            ]
        );
    }

    #[test]
    fn words_that_are_options_reach_no_client() {
        for word in ["--output=/etc/passwd", "-h", "app 1", "../x", ""] {
            let error = export(word, Some(ContainerEngine::Docker), Utf8Path::new("/nowhere")).expect_err("refused");
            assert!(matches!(error, OciError::Reference { .. }), "{word}: {error}");
        }
        assert!(is_id("0123456789ab") && is_id(&format!("sha256:{}", "a".repeat(64))));
        assert!(!is_id("0123456789") && !is_id("0123456789ag"));
    }
}
