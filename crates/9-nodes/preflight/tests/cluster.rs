//! Reading a cluster, with a server on loopback in the API server's place.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use basalt_preflight::{ApiConnection, ClusterSource, ObjectSource, PreflightError, UnreadSource};
use basalt_process::Cancellation;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// Answers of the server: status and body by path with query.
type Answers = BTreeMap<String, Vec<(u16, Value)>>;

/// Requests that the server got: method and path, and the token.
type Requests = Arc<Mutex<Vec<(String, Option<String>)>>>;

struct Api {
    server: Arc<tiny_http::Server>,
    thread: Option<std::thread::JoinHandle<()>>,
    requests: Requests,
    folder: tempfile::TempDir,
}

impl Api {
    /// Starts a server. Of several answers to one path, each is given once, the last one for ever; other paths are empty lists.
    fn start(mut answers: Answers) -> Self {
        let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a server"));
        let requests = Requests::default();
        let (inside, seen) = (Arc::clone(&server), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for request in inside.incoming_requests() {
                let token = request
                    .headers()
                    .iter()
                    .find(|header| header.field.equiv("Authorization"));
                let token = token.map(|header| header.value.to_string());
                seen.lock()
                    .expect("lock")
                    .push((format!("{} {}", request.method(), request.url()), token));
                let (status, body) = match answers.get_mut(request.url()) {
                    Some(left) if left.len() > 1 => left.remove(0),
                    Some(left) => left[0].clone(),
                    None => (200, json!({ "kind": "List", "items": [] })),
                };
                let wish = body.get("retryAfter").and_then(Value::as_u64).unwrap_or_default();
                let wish = tiny_http::Header::from_bytes("Retry-After", wish.to_string()).expect("a header");
                let response = tiny_http::Response::from_string(body.to_string())
                    .with_status_code(status)
                    .with_header(wish);
                request.respond(response).expect("answered");
            }
        });
        Self {
            server,
            thread: Some(thread),
            requests,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn kubeconfig(&self, user: &Value) -> Utf8PathBuf {
        let folder = Utf8Path::from_path(self.folder.path()).expect("UTF-8");
        let address = self.server.server_addr().to_ip().expect("an address");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}/") } }],
            "users": [{ "name": "u", "user": user }],
            "contexts": [{ "name": "here", "context": { "cluster": "c", "user": "u" } }],
        });
        let path = folder.join("kubeconfig");
        fs_err::write(&path, config.to_string()).expect("written");
        path
    }

    fn read(&self, user: &Value) -> Result<(Vec<String>, Vec<UnreadSource>), PreflightError> {
        let connection = ApiConnection::open(&self.kubeconfig(user), None)?;
        let (objects, unread) = ClusterSource::new(connection).read()?;
        Ok((objects.iter().map(|object| object.id.to_string()).collect(), unread))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("ended");
        }
    }
}

fn page(name: &str, next: &str) -> (u16, Value) {
    let list = json!({
        "kind": "DaemonSetList", "apiVersion": "apps/v1", "metadata": { "continue": next },
        "items": [{ "metadata": { "name": name, "namespace": "n" }, "spec": {} }],
    });
    (200, list)
}

const FIRST: &str = "/apis/apps/v1/daemonsets?limit=500";
const SECOND: &str = "/apis/apps/v1/daemonsets?limit=500&continue=abc";

#[test]
fn pages_follow_one_another() {
    let api = Api::start(Answers::from([
        (FIRST.to_owned(), vec![page("one", "abc")]),
        (SECOND.to_owned(), vec![page("two", "")]),
    ]));
    let (objects, unread) = api.read(&json!({ "token": "secret" })).expect("read");
    assert_eq!(objects, ["DaemonSet n/one", "DaemonSet n/two"]);
    assert_eq!(unread, []);
    let requests = api.requests.lock().expect("lock").clone();
    assert!(
        requests.iter().all(|(request, _)| request.starts_with("GET ")),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|(_, token)| token.as_deref() == Some("Bearer secret")),
        "{requests:?}"
    );
    assert!(
        !requests.iter().any(|(request, _)| request.contains("secrets")),
        "{requests:?}"
    );
}

#[test]
fn an_expired_page_begins_anew() {
    let api = Api::start(Answers::from([
        (FIRST.to_owned(), vec![page("old", "abc"), page("one", "abc")]),
        (
            SECOND.to_owned(),
            vec![(410, json!({ "message": "expired" })), page("two", "")],
        ),
    ]));
    let (objects, _) = api.read(&json!({})).expect("read");
    assert_eq!(objects, ["DaemonSet n/one", "DaemonSet n/two"]);
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = (429, json!({ "message": "too many requests" }));
    let failing = (503, json!({ "message": "etcdserver: leader changed" }));
    let api = Api::start(Answers::from([
        (FIRST.to_owned(), vec![busy.clone(), page("one", "abc")]),
        (SECOND.to_owned(), vec![failing.clone(), busy, page("two", "")]),
        ("/api/v1/pods?limit=500".to_owned(), vec![failing]),
    ]));
    let (objects, unread) = api.read(&json!({})).expect("read");
    assert_eq!(objects, ["DaemonSet n/one", "DaemonSet n/two"]);
    assert_eq!(unread.len(), 1, "{unread:?}");
    assert_eq!(unread[0].reason, "HTTP status 503: etcdserver: leader changed");
    let requests = api.requests.lock().expect("lock").clone();
    let pods = requests.iter().filter(|(request, _)| request.contains("/pods?"));
    assert_eq!(pods.count(), 5);
}

#[test]
fn an_interruption_ends_the_reading_between_pages_and_in_a_pause() {
    let wait = (429, json!({ "message": "too many requests", "retryAfter": 30 }));
    let api = Api::start(Answers::from([(FIRST.to_owned(), vec![wait])]));
    let cancellation = Cancellation::default();
    let begin = std::time::Instant::now();
    let read = std::thread::scope(|scope| {
        scope.spawn(|| {
            while api.requests.lock().expect("lock").is_empty() && begin.elapsed().as_secs() < 10 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            cancellation.request();
        });
        cancellation.scope(|| api.read(&json!({})))
    });
    assert!(matches!(read, Err(PreflightError::Process(error)) if error.is_interrupt()));
    assert!(begin.elapsed().as_secs() < 20, "the pause was not left");
    let before = api.requests.lock().expect("lock").len();
    assert!(cancellation.scope(|| api.read(&json!({}))).is_err());
    assert_eq!(api.requests.lock().expect("lock").len(), before);
}

#[test]
fn a_pod_whose_containers_are_no_list_is_named() {
    let items = json!([
        { "metadata": { "name": "odd", "namespace": "n" }, "spec": { "containers": { "name": "a" } } },
        { "metadata": { "name": "good", "namespace": "n" }, "spec": { "containers": [{ "name": "a", "image": "b" }] } },
    ]);
    let list = (200, json!({ "kind": "PodList", "apiVersion": "v1", "items": items }));
    let api = Api::start(Answers::from([("/api/v1/pods?limit=500".to_owned(), vec![list])]));
    let (objects, unread) = api.read(&json!({})).expect("read");
    assert_eq!(objects, ["Pod n/good"]);
    assert_eq!(unread.len(), 1, "{unread:?}");
    assert_eq!(unread[0].source, "pods");
    assert!(
        unread[0].reason.starts_with("Pod n/odd: `spec.containers` is no list"),
        "{unread:?}"
    );
}

#[test]
fn what_is_forbidden_is_named() {
    let forbidden = (403, json!({ "message": "daemonsets.apps is forbidden" }));
    let missing = (404, json!({ "message": "not found" }));
    let api = Api::start(Answers::from([
        (FIRST.to_owned(), vec![forbidden]),
        ("/apis/batch/v1/cronjobs?limit=500".to_owned(), vec![missing]),
        ("/api/v1/pods?limit=500".to_owned(), vec![page("pod", "")]),
    ]));
    let (objects, unread) = api.read(&json!({})).expect("read");
    assert_eq!(objects.len(), 1);
    assert_eq!(unread.len(), 1, "{unread:?}");
    assert_eq!(unread[0].source, "daemonsets");
    assert!(unread[0].reason.contains("--rbac"), "{unread:?}");
}

#[test]
fn unknown_users_and_servers_are_errors() {
    let unknown = (401, json!({ "message": "Unauthorized" }));
    let api = Api::start(Answers::from([(FIRST.to_owned(), vec![unknown])]));
    let error = api.read(&json!({ "token": "old" })).expect_err("refused");
    assert!(error.to_string().contains("does not know this user"), "{error}");
    let path = api.kubeconfig(&json!({}));
    let address = api.server.server_addr().to_ip().expect("an address");
    drop(api);
    // The folder of the kubeconfig is gone with it.
    assert!(matches!(
        ApiConnection::open(&path, None),
        Err(PreflightError::Read { .. })
    ));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn credentials_come_from_where_the_kubeconfig_says() {
    let api = Api::start(Answers::new());
    fs_err::write(api.folder.path().join("token"), "of-file\n").expect("written");
    api.read(&json!({ "tokenFile": "token" })).expect("read");
    let answer = json!({ "kind": "ExecCredential", "status": { "token": "of-plug-in" } });
    let exec = json!({ "apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [answer.to_string()], "env": null });
    api.read(&json!({ "exec": exec })).expect("read");
    let tokens: Vec<_> = api
        .requests
        .lock()
        .expect("lock")
        .iter()
        .filter_map(|(_, token)| token.clone())
        .collect();
    assert!(
        tokens.contains(&"Bearer of-file".to_owned()) && tokens.contains(&"Bearer of-plug-in".to_owned()),
        "{tokens:?}"
    );
}

#[test]
fn what_is_not_supported_is_named_with_a_way_out() {
    let api = Api::start(Answers::new());
    let error = api
        .read(&json!({ "username": "admin", "password": "x" }))
        .expect_err("refused");
    assert!(error.to_string().contains("not supported"), "{error}");
    let connection = ApiConnection::open(&api.kubeconfig(&json!({})), Some("elsewhere"));
    let error = connection.expect_err("no such context").to_string();
    assert!(error.contains("elsewhere"), "{error}");
}
