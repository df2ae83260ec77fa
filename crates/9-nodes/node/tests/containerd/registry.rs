//! A registry of one image, and the token server that it names.
//!
//! Both follow the specifications of the project distribution: token authentication by a request with a name and a password
//! (`docs/content/spec/auth/token.md`) and by OAuth 2 (`oauth.md`).

use basalt_digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::http_server::{Answer, Request, Server};

/// Name and password that are right; the password is the refresh token, too.
pub const USER: &str = "robot";
pub const PASSWORD: &str = "hunter 22+&=";

/// Token that the token server gives, and the registry takes.
const TOKEN: &str = "Good.Token";

/// An archive without entries (POSIX pax): two blocks of zeros.
const LAYER: [u8; 1024] = [0; 1024];

/// Challenge of a registry (RFC 9110, `WWW-Authenticate`), and the form in which its token server takes credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token for a name and a password, in a form of OAuth 2.
    PasswordGrant,
    /// A token for a name and a password in the header of a `GET`, and in no other form.
    BasicToken,
    /// A token for a refresh token, in a form of OAuth 2.
    RefreshToken,
}

/// A registry with the image `app:1`.
pub struct Registry {
    registry: Server,
    token_server: Server,
}

impl Registry {
    /// A registry on loopback, and its token server on another port.
    pub fn new(challenge: Challenge) -> Self {
        let token_server = Server::new(move |request| token(challenge, request));
        let realm = format!("http://{}/token", token_server.address);
        let image = Image::new();
        let registry = Server::new(move |request| answer(challenge, &realm, &image, request));
        Self { registry, token_server }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.registry.address.to_string()
    }

    /// Requests that came to the token server.
    pub fn token_requests(&self) -> Vec<String> {
        self.token_server.log()
    }
}

fn json_answer(status: u16, body: &serde_json::Value) -> Answer {
    Answer {
        status,
        header: "Content-Type: application/json\r\n".to_owned(),
        body: body.to_string().into_bytes(),
    }
}

/// Value of `Authorization` with the right name and password.
fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

/// Answer of the token server.
fn token(challenge: Challenge, request: &Request) -> Answer {
    let field = |name: &str| {
        let mut fields = request.body.split('&').filter_map(|field| field.split_once('='));
        fields.find_map(|(known, value)| (known == name).then_some(value))
    };
    // As a form has it (application/x-www-form-urlencoded).
    let password = Some("hunter+22%2B%26%3D");
    let scope = Some("repository%3Aapp%3Apull");
    let (is_form, right) = match challenge {
        Challenge::Basic => return (404, Vec::new()).into(),
        Challenge::BasicToken => (false, request.header("authorization") == Some(&basic())),
        Challenge::PasswordGrant => (
            true,
            field("grant_type") == Some("password") && field("username") == Some(USER) && field("password") == password,
        ),
        Challenge::RefreshToken => (
            true,
            field("grant_type") == Some("refresh_token") && field("refresh_token") == password,
        ),
    };
    match (request.method.as_str(), is_form) {
        ("POST", true) if right && field("scope") == scope => json_answer(200, &json!({ "access_token": TOKEN })),
        ("GET", false) if right => json_answer(200, &json!({ "token": TOKEN })),
        ("POST", false) => json_answer(405, &json!({ "errors": [{ "code": "UNSUPPORTED" }] })),
        _ => json_answer(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] })),
    }
}

/// Answer of the registry, which shows nothing without what it asks for.
fn answer(challenge: Challenge, realm: &str, image: &Image, request: &Request) -> Answer {
    let (wanted, ask) = match challenge {
        Challenge::Basic => (basic(), "Basic realm=\"registry\"".to_owned()),
        _ => (
            format!("Bearer {TOKEN}"),
            format!("Bearer realm=\"{realm}\",service=\"registry\",scope=\"repository:app:pull\""),
        ),
    };
    if request.header("authorization") != Some(&wanted) {
        let mut answer = json_answer(401, &json!({ "errors": [{ "code": "UNAUTHORIZED" }] }));
        answer.header += &format!("WWW-Authenticate: {ask}\r\n");
        return answer;
    }
    image.answer(&request.path)
}

/// An image of one empty layer.
struct Image {
    manifest: String,
    configuration: String,
}

impl Image {
    fn new() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let layer = format!("sha256:{}", Digest::of(LAYER));
        let configuration = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer] },
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": format!("sha256:{}", Digest::of(&configuration)),
                "size": configuration.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer,
                "size": LAYER.len(),
            }],
        })
        .to_string();
        Self {
            manifest,
            configuration,
        }
    }

    fn answer(&self, path: &str) -> Answer {
        if path.starts_with("/v2/app/manifests/") {
            return Answer {
                status: 200,
                header: format!(
                    "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: sha256:{}\r\n",
                    Digest::of(&self.manifest)
                ),
                body: self.manifest.clone().into_bytes(),
            };
        }
        let blobs: [&[u8]; 2] = [self.configuration.as_bytes(), &LAYER];
        let found = blobs
            .into_iter()
            .find(|blob| path.strip_prefix("/v2/app/blobs/sha256:") == Some(&Digest::of(blob).to_string()));
        found.map_or((404, Vec::new()), |blob| (200, blob.to_vec())).into()
    }
}
