//! Join commands, as `kubeadm token create --print-join-command` prints them.
//!
//! ```text
//! text --words--▶ words with places --flags--▶ JoinCommand --request--▶ JoinRequest
//! ```

use basalt_document::Finding;
use basalt_node_config::address::Endpoint;
use basalt_node_config::name::HostName;
use basalt_node_config::token::BootstrapToken;

mod flags;
mod problem;
mod prompt;
mod secrets;
mod typography;
mod words;

pub use problem::{CommandLineError, CommandLineProblem};

use crate::pin::{CaPin, PinSet};
use crate::request::{Discovery, DiscoveryFile, JoinRequest, Registration, TokenDiscovery};

/// A `kubeadm join` command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JoinCommand {
    /// API server: the word without a flag.
    pub endpoint: Option<Endpoint>,
    /// `--token`: for discovery and for TLS bootstrap, where neither has a token of its own.
    pub token: Option<BootstrapToken>,
    /// `--discovery-token`.
    pub discovery_token: Option<BootstrapToken>,
    /// `--tls-bootstrap-token`.
    pub tls_bootstrap_token: Option<BootstrapToken>,
    /// `--discovery-token-ca-cert-hash`, each of them.
    pub pins: Vec<CaPin>,
    /// `--discovery-file`.
    pub discovery_file: Option<DiscoveryFile>,
    /// `--node-name`.
    pub node_name: Option<HostName>,
    /// `--config`: path of a JoinConfiguration, which says all the rest.
    pub config: Option<String>,
}

/// Specification of a join by its command: in flags, or in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum JoinSpecification {
    /// Flags that say all of it.
    Flags(Box<JoinRequest>),
    /// A JoinConfiguration in a file; a name of the node on the command line counts before that of the file.
    File {
        /// Path of the file.
        path: String,
        /// `--node-name`.
        node_name: Option<HostName>,
    },
}

/// Reads a join command. What comes with one that can be used are warnings, often none.
///
/// # Errors
/// With all that is wrong, each at its place.
pub fn read(text: &str) -> Result<(JoinCommand, JoinSpecification, Vec<CommandLineProblem>), CommandLineError> {
    let text = typography::without_mark(text);
    let failed = |problems| {
        // What follows from one of them is of no use.
        let signs = typography::problems(text);
        CommandLineError::new(text, if signs.is_empty() { problems } else { signs })
    };
    let parse = |text: &str| flags::parse(&words::split(text)?);
    let blanked = |text: &str| prompt::blanked(text).or_else(|| words::unquoted(text));
    let parsed = parse(text).or_else(|problem| match blanked(text) {
        Some(text) => parse(&text),
        None => Err(problem),
    });
    let parsed = parsed.map_err(|problem| failed(vec![problem]))?;
    let mut problems = parsed.problems;
    let specification = parsed.command.specification(&parsed.places, &mut problems);
    match specification {
        Some(specification) if problems.iter().all(CommandLineProblem::is_warning) => {
            Ok((parsed.command, specification, problems))
        }
        _ => Err(failed(problems)),
    }
}

/// Text of a command whose words a shell has split already.
pub fn of_words<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted: Vec<_> = words.into_iter().map(words::quote).collect();
    quoted.join(" ")
}

impl JoinCommand {
    /// The command in one line that a shell takes. It shows the tokens.
    pub fn reveal(&self) -> String {
        let mut words = vec!["kubeadm".to_owned(), "join".to_owned()];
        let endpoint = self.endpoint.as_ref().map(ToString::to_string);
        words.extend(endpoint.map(|endpoint| endpoint.trim_start_matches("https://").to_owned()));
        for (flag, token) in [
            ("--token", &self.token),
            ("--discovery-token", &self.discovery_token),
            ("--tls-bootstrap-token", &self.tls_bootstrap_token),
        ] {
            words.extend(token.iter().flat_map(|token| [flag.to_owned(), token.reveal()]));
        }
        let flag = || "--discovery-token-ca-cert-hash".to_owned();
        words.extend(self.pins.iter().flat_map(|pin| [flag(), pin.to_string()]));
        let file = self.discovery_file.as_ref().map(|file| match file {
            DiscoveryFile::Path(text) | DiscoveryFile::Url(text) => text.clone(),
        });
        for (flag, value) in [
            ("--discovery-file", file),
            ("--node-name", self.node_name.as_ref().map(ToString::to_string)),
            ("--config", self.config.clone()),
        ] {
            // With `=`: a value may begin with a dash.
            words.extend(value.map(|value| format!("{flag}={}", words::quote(&value))));
        }
        words.join(" ")
    }

    /// Specification of the join, if it is whole.
    fn specification(
        &self,
        places: &flags::Places,
        problems: &mut Vec<CommandLineProblem>,
    ) -> Option<JoinSpecification> {
        if let Some(path) = &self.config {
            return Some(JoinSpecification::File {
                path: path.clone(),
                node_name: self.node_name.clone(),
            });
        }
        let discovery = match (&self.discovery_file, &self.endpoint) {
            (Some(_), Some(_)) => {
                problems.push(CommandLineProblem::TwoDiscoveries {
                    at: places.discovery_file(),
                });
                return None;
            }
            (Some(file), None) => Discovery::File(file.clone()),
            (None, Some(endpoint)) => Discovery::Token(self.token_discovery(endpoint, places, problems)?),
            (None, None) => {
                // One that is wrong was told of already.
                if !places.has_endpoint() && !places.has_discovery_file() {
                    problems.push(CommandLineProblem::NoEndpoint { at: places.command() });
                }
                return None;
            }
        };
        let token = self.tls_bootstrap_token.as_ref().or(self.token.as_ref());
        let token = token.cloned().or_else(|| match &discovery {
            Discovery::Token(discovery) => Some(discovery.token.clone()),
            Discovery::File(_) => None,
        });
        Some(JoinSpecification::Flags(Box::new(JoinRequest {
            discovery,
            tls_bootstrap_token: token,
            registration: Registration {
                name: self.node_name.clone(),
                ..Registration::default()
            },
        })))
    }

    fn token_discovery(
        &self,
        endpoint: &Endpoint,
        places: &flags::Places,
        problems: &mut Vec<CommandLineProblem>,
    ) -> Option<TokenDiscovery> {
        let token = self.discovery_token.as_ref().or(self.token.as_ref());
        if token.is_none() && !places.has_token() {
            problems.push(CommandLineProblem::NoToken { at: places.command() });
        }
        if self.pins.is_empty() && !places.has_pin() {
            problems.push(CommandLineProblem::NoPin { at: places.unpinned() });
        }
        let pins = PinSet::new(self.pins.clone());
        Some(TokenDiscovery {
            endpoint: endpoint.clone(),
            token: token?.clone(),
            pins: Some(pins).filter(|pins| !pins.is_empty())?,
        })
    }
}

/// API server as kubeadm takes it: `host:port`, without a scheme.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Finding> {
    if let Some((_, rest)) = text.split_once("://") {
        let message = "kubeadm takes the API server's address without a scheme";
        return Err(
            Finding::error(message, "has a scheme").with_help(format!("write `{}`", rest.trim_end_matches('/')))
        );
    }
    let colons = text.matches(':').count();
    if colons > 1 && !text.starts_with('[') {
        let message = "an IPv6 address is in brackets";
        return Err(Finding::error(message, "without brackets").with_help("write `[fd00::1]:6443`"));
    }
    format!("https://{text}").parse().map_err(|finding: Finding| Finding {
        help: finding.help.map(|help| help.replace("`https://", "`")),
        ..finding
    })
}

/// Place of a discovery file: a path or an HTTPS URL.
pub(crate) fn discovery_file(text: &str) -> Result<DiscoveryFile, Finding> {
    match text.split_once("://") {
        Some(("https", _)) => Ok(DiscoveryFile::Url(text.to_owned())),
        Some((scheme, _)) => {
            let message = format!("a discovery file is not fetched by `{scheme}`");
            Err(Finding::error(message, "not HTTPS").with_help("write a path, or a URL that begins with `https://`"))
        }
        None if text.is_empty() => Err(Finding::error("the discovery file has no name", "empty")),
        None => Ok(DiscoveryFile::Path(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
