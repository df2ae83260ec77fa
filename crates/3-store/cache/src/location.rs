//! [`Location`]: address of a cache and its access mode, parsed from text.
//!
//! ```text
//! /mnt/team/cache                                   a folder; relative paths are taken from the working folder
//! file:///mnt/team/cache?mode=read                  the same, and nothing is written to it
//! grpc://cache.example:9092                         a REAPI v2 server, without TLS
//! grpcs://cache.example/team/instance?token-file=/run/secrets/cache&ca=/etc/ssl/team.pem
//! ```
//!
//! Options follow a `?` and are separated by `&`. Values are percent-decoded, and so is the path of a `file:` URL; a bare
//! path is taken as it stands up to its first `?`.
//!
//! | option       | value                                                                       |
//! | ------------ | --------------------------------------------------------------------------- |
//! | `mode`       | `read`, `write` or `both`; `both` where nothing is said                     |
//! | `token-file` | file whose first line is sent as `authorization: Bearer ...`                |
//! | `token-env`  | environment variable that holds the token                                   |
//! | `ca`         | PEM file of the certificate authorities that are trusted, instead of Mozilla's |
//!
//! A token itself never stands in the text, which others can read in the list of processes. It is sent to a server
//! without TLS only where that is on the loopback interface.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

mod percent;

/// Environment variable that names locations where no option does.
pub const VARIABLE: &str = "BASALT_CACHE";

/// Address of a cache and its access mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Folder or server.
    pub place: LocationKind,
    /// Access mode.
    pub mode: Mode,
}

/// A folder or a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationKind {
    /// A folder, local or on a network file system.
    Folder(Utf8PathBuf),
    /// A REAPI v2 server.
    Server(Server),
}

/// Access mode of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Results are taken from it; nothing is written.
    Read,
    /// Results are written to it; nothing is taken.
    Write,
    /// Results are read and written.
    #[default]
    Both,
}

impl Mode {
    /// Returns `true` if results may be read.
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Returns `true` if results may be written.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// Address of a REAPI v2 server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `true` for TLS (`grpcs`).
    pub tls: bool,
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// REAPI's `instance_name`; may hold slashes, may be empty.
    pub instance: String,
    /// Source of the bearer token.
    pub token: Option<TokenSource>,
    /// PEM file of the certificate authorities that are trusted instead of Mozilla's.
    pub ca: Option<Utf8PathBuf>,
}

/// Source of a bearer token. The token itself is read at the first call to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// First line of a file.
    File(Utf8PathBuf),
    /// Content of an environment variable.
    Environment(String),
}

/// Text that names no cache. The text is not repeated where it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum LocationError {
    /// The text is empty.
    #[error("a cache is named by a folder or by grpc(s)://HOST:PORT/INSTANCE, not by an empty text")]
    #[diagnostic(code(cache::location))]
    Empty,
    /// A scheme that is not spoken.
    #[error("`{0}://` is no protocol of a cache")]
    #[diagnostic(
        code(cache::location),
        help("expected is a folder, file:///FOLDER, grpc://HOST:PORT/INSTANCE or grpcs://HOST:PORT/INSTANCE")
    )]
    Scheme(String),
    /// A server's address without a scheme.
    #[error("`{0}` looks like a server, and names a folder")]
    #[diagnostic(
        code(cache::location),
        help("say grpc://{0} or grpcs://{0}; a folder of that name is ./{0}")
    )]
    NoScheme(String),
    /// User or token before the host.
    #[error("a cache's address holds no user or token: others could read it in the list of processes")]
    #[diagnostic(
        code(cache::location),
        help("put the token into a file and say `?token-file=FILE`, or into a variable and say `?token-env=VARIABLE`")
    )]
    Credentials,
    /// The host or its port.
    #[error("`{0}` is not HOST or HOST:PORT")]
    #[diagnostic(code(cache::location), help("an IPv6 address stands in brackets: [::1]:9092"))]
    Host(String),
    /// The instance's name.
    #[error("`{0}` is no name of an instance")]
    #[diagnostic(
        code(cache::location),
        help("no part of it may be empty or one of the protocol's own words (blobs, uploads, actions, ...)")
    )]
    Instance(String),
    /// An option.
    #[error("the option `{name}` of a cache {why}")]
    #[diagnostic(
        code(cache::location),
        help("options are mode=read|write|both, token-file, token-env and ca")
    )]
    Option {
        /// The option's name.
        name: String,
        /// Defect of the option.
        why: &'static str,
    },
    /// A folder that is none.
    #[error("`{0}` is no folder's name")]
    #[diagnostic(
        code(cache::location),
        help("a file: URL has three slashes, file:///FOLDER; blanks and `?` in it are written %20 and %3F")
    )]
    Folder(String),
    /// A secret in clear text.
    #[error("the token for {0} would be sent unencrypted")]
    #[diagnostic(
        code(cache::location),
        help("use grpcs://; grpc:// with a token is for loopback addresses")
    )]
    Cleartext(String),
}

impl Location {
    /// Parses one location.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text, None),
        };
        let options = Options::parse(query)?;
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, address),
        };
        let mode = options.mode;
        let place = match scheme {
            None if rest.is_empty() => return Err(LocationError::Empty),
            None if looks_like_server(rest) => return Err(LocationError::NoScheme(rest.to_owned())),
            None => options.folder(Utf8PathBuf::from(rest))?,
            Some("file") => options.folder(file_path(rest)?)?,
            Some("grpc") => LocationKind::Server(options.server(false, rest)?),
            Some("grpcs") => LocationKind::Server(options.server(true, rest)?),
            Some(other) => return Err(LocationError::Scheme(other.chars().take(40).collect())),
        };
        Ok(Self { place, mode })
    }

    /// Parses several locations, separated by white space, as in `BASALT_CACHE`. The first is asked first.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, LocationError> {
        text.split_whitespace().map(Self::parse).collect()
    }
}

/// Writes the location without its options, as errors and warnings name it.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            LocationKind::Folder(path) => f.write_str(path.as_str()),
            LocationKind::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "grpcs" } else { "grpc" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port)?,
            false => write!(f, "{scheme}://{}:{}", self.host, self.port)?,
        }
        match self.instance.as_str() {
            "" => Ok(()),
            instance => write!(f, "/{instance}"),
        }
    }
}

/// Returns `true` if a bare text is `HOST:PORT` or `HOST:PORT/INSTANCE` rather than a path.
fn looks_like_server(text: &str) -> bool {
    let authority = text.split('/').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
}

fn file_path(rest: &str) -> Result<Utf8PathBuf, LocationError> {
    let wrong = || LocationError::Folder(rest.to_owned());
    let path = percent::decode(rest).ok_or_else(wrong)?;
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err(wrong()),
    }
}

#[derive(Debug, Default)]
struct Options {
    mode: Mode,
    token: Option<TokenSource>,
    ca: Option<Utf8PathBuf>,
}

impl Options {
    fn parse(query: Option<&str>) -> Result<Self, LocationError> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = |why| LocationError::Option {
                name: name.chars().take(40).collect(),
                why,
            };
            let value = percent::decode(value).ok_or_else(|| wrong("is not percent-encoded UTF-8"))?;
            if value.is_empty() {
                return Err(wrong("has no value"));
            }
            if seen.contains(&name) {
                return Err(wrong("is there twice"));
            }
            seen.push(name);
            match name {
                "mode" => options.mode = mode(&value).ok_or_else(|| wrong("is read, write or both"))?,
                "ca" => options.ca = Some(value.into()),
                "token-file" | "token-env" if options.token.is_some() => return Err(wrong("names a second token")),
                "token-file" => options.token = Some(TokenSource::File(value.into())),
                "token-env" => options.token = Some(TokenSource::Environment(value)),
                _ => return Err(wrong("is not known")),
            }
        }
        Ok(options)
    }

    fn folder(&self, path: Utf8PathBuf) -> Result<LocationKind, LocationError> {
        if path.as_str().contains('\0') || path == Utf8Path::new("/") {
            return Err(LocationError::Folder(path.into_string()));
        }
        let name = match (&self.token, &self.ca) {
            (None, None) => return Ok(LocationKind::Folder(path)),
            (Some(TokenSource::File(_)), _) => "token-file",
            (Some(TokenSource::Environment(_)), _) => "token-env",
            (None, Some(_)) => "ca",
        };
        let (name, why) = (name.to_owned(), "is for servers, not for folders");
        Err(LocationError::Option { name, why })
    }

    fn server(self, tls: bool, rest: &str) -> Result<Server, LocationError> {
        let (authority, instance) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(LocationError::Credentials);
        }
        let (host, port) = host_and_port(authority, tls).ok_or_else(|| LocationError::Host(authority.to_owned()))?;
        if !tls && self.ca.is_some() {
            let (name, why) = ("ca".to_owned(), "is for grpcs://, which speaks TLS");
            return Err(LocationError::Option { name, why });
        }
        let server = Server {
            tls,
            host,
            port,
            instance: instance_name(instance)?,
            token: self.token,
            ca: self.ca,
        };
        if server.token.is_some() && !tls && !is_loopback(&server.host) {
            return Err(LocationError::Cleartext(server.to_string()));
        }
        Ok(server)
    }
}

fn mode(text: &str) -> Option<Mode> {
    match text {
        "read" => Some(Mode::Read),
        "write" => Some(Mode::Write),
        "both" => Some(Mode::Both),
        _ => None,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Host without brackets, and port; 443 and 80 where none is said, as gRPC has it.
fn host_and_port(authority: &str, tls: bool) -> Option<(String, u16)> {
    let default = if tls { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':')?),
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return None;
    }
    let port = match port {
        None => default,
        Some(port) if port.bytes().all(|digit| digit.is_ascii_digit()) => port.parse().ok().filter(|port| *port > 0)?,
        Some(_) => return None,
    };
    Some((host.to_owned(), port))
}

/// Reserved words of resource names (REAPI `ByteStream`); an instance name with one of them would be ambiguous.
const RESERVED: [&str; 7] = [
    "blobs",
    "uploads",
    "actions",
    "actionResults",
    "operations",
    "capabilities",
    "compressed-blobs",
];

fn instance_name(text: &str) -> Result<String, LocationError> {
    let wrong = || LocationError::Instance(text.chars().filter(|c| !c.is_control()).take(80).collect());
    let name = percent::decode(text.trim_end_matches('/')).ok_or_else(wrong)?;
    let bad = |part: &str| part.is_empty() || RESERVED.contains(&part) || part.chars().any(char::is_control);
    match !name.is_empty() && name.split('/').any(bad) {
        true => Err(wrong()),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests;
