//! API server: keeps objects with resource versions, and answers requests as Kubernetes does.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use serde_json::{Value, json};

/// Place of an object: resource (plural), namespace, name.
pub type Key = (String, String, String);

/// Permission that a request asks for: API group, resource with subresource, verb.
pub type Permission = (String, String, String);

/// State of the cluster.
#[derive(Default)]
pub struct State {
    /// Objects by place.
    pub objects: BTreeMap<Key, Value>,
    /// Present time, set before each request.
    pub now: Timestamp,
    /// Permissions that requests asked for.
    pub permissions: BTreeSet<Permission>,
    /// Pods whose eviction was accepted, dry runs aside.
    pub evicted: Vec<String>,
    /// Pods that were deleted otherwise than by eviction.
    pub deleted: Vec<String>,
    /// Number of writes.
    pub writes: usize,
    /// Version and time at which everything that was due had happened.
    pub settled: Option<(u64, Timestamp)>,
    /// Version of the newest object.
    pub version: u64,
    names: u64,
}

/// Request, taken apart.
#[derive(Debug, Clone)]
pub struct Call {
    /// Process that asks.
    pub client: String,
    /// HTTP method.
    pub method: Method,
    /// API group; empty for the core.
    pub group: String,
    /// Namespace; empty for objects without one.
    pub namespace: String,
    /// Resource, plural.
    pub resource: String,
    /// Name, unless the request is about a collection.
    pub name: Option<String>,
    /// Subresource.
    pub subresource: Option<String>,
    /// Parameters.
    pub query: BTreeMap<String, String>,
    /// Body.
    pub body: Value,
}

impl Call {
    /// Reads a request.
    pub async fn read(client: String, request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("a body");
        let path = parts.uri.path().trim_matches('/').to_owned();
        let segments: Vec<&str> = path.split('/').collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            other => panic!("no path of the API: {other:?}"),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |index: usize| rest.get(index).map(|text| (*text).to_owned());
        Self {
            client,
            method: parts.method,
            group: group.to_owned(),
            namespace: namespace.to_owned(),
            resource: at(0).expect("a resource"),
            name: at(1),
            subresource: at(2),
            query: parts.uri.query().map(query).unwrap_or_default(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Returns `true` if the request changes something.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.is_dry_run()
    }

    fn is_dry_run(&self) -> bool {
        self.query.get("dryRun").is_some_and(|value| value == "All")
    }

    fn verb(&self) -> &'static str {
        match (&self.method, &self.name) {
            (&Method::GET, None) => "list",
            (&Method::GET, Some(_)) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            other => panic!("no verb: {other:?}"),
        }
    }

    fn permission(&self) -> Permission {
        let resource = match &self.subresource {
            Some(sub) => format!("{}/{sub}", self.resource),
            None => self.resource.clone(),
        };
        (self.group.clone(), resource, self.verb().to_owned())
    }

    fn key(&self) -> Key {
        let name = self.name.clone().expect("a name");
        (self.resource.clone(), self.namespace.clone(), name)
    }
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| {
            let plain = value
                .replace("%3D", "=")
                .replace("%2C", ",")
                .replace("%2F", "/")
                .replace('+', " ");
            (key.to_owned(), plain)
        })
        .collect()
}

/// Answer of the API server.
pub struct Answer {
    code: u16,
    body: Value,
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self { code: 200, body }
    }

    /// Failure with a Status.
    pub fn status(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": reason, "message": message });
        Self { code, body }
    }

    /// HTTP response.
    pub fn response(self) -> Response<Body> {
        let body = serde_json::to_vec(&self.body).expect("JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.code).expect("a status");
        response
    }
}

/// Merge patch of RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let object = target.as_object_mut().expect("an object");
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Text at a JSON pointer; empty if there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl State {
    /// Answers a request.
    pub fn answer(&mut self, call: &Call) -> Answer {
        self.permissions.insert(call.permission());
        if call.is_write() {
            self.writes += 1;
        }
        match (call.verb(), call.subresource.as_deref()) {
            ("list", None) => self.list(call),
            ("get", None) => match self.objects.get(&call.key()) {
                Some(object) => Answer::ok(object.clone()),
                None => not_found(call),
            },
            ("create", None) => self.create(call),
            ("create", Some("eviction")) => self.evict(call),
            ("update", None) => self.change(call, |object, body| *object = body.clone()),
            ("patch", None) => self.change(call, merge),
            ("delete", None) => {
                if self.is_stale(call) {
                    return Answer::status(
                        409,
                        "Conflict",
                        "the resource version of the precondition is an old one",
                    );
                }
                let answer = self.delete(&call.key(), text(&call.body, "/preconditions/uid"), grace(&call.body));
                if answer.code == 200 {
                    self.deleted.extend(call.name.clone());
                }
                answer
            }
            other => panic!("not simulated: {other:?}"),
        }
    }

    fn list(&self, call: &Call) -> Answer {
        let matches = |object: &Value| {
            let labels = call.query.get("labelSelector").is_none_or(|selector| {
                selector.split(',').all(|term| match term.split_once('=') {
                    Some((key, value)) => object["metadata"]["labels"][key] == value,
                    None => !object["metadata"]["labels"][term].is_null(),
                })
            });
            let fields = call.query.get("fieldSelector").is_none_or(|selector| {
                let node = selector.strip_prefix("spec.nodeName=").expect("a known field");
                text(object, "/spec/nodeName") == node
            });
            labels && fields
        };
        let all = self.objects.iter();
        let all = all.filter(|((resource, namespace, _), _)| {
            *resource == call.resource && (call.namespace.is_empty() || *namespace == call.namespace)
        });
        let items: Vec<&Value> = all.map(|(_, object)| object).filter(|object| matches(object)).collect();
        // Pages of at most seven, so that every longer list has several.
        let offset: usize = call
            .query
            .get("continue")
            .map_or(0, |token| token.parse().expect("a token"));
        let page: Vec<&Value> = items.iter().copied().skip(offset).take(7).collect();
        let next = offset + page.len();
        let token = if next < items.len() {
            next.to_string()
        } else {
            String::new()
        };
        Answer::ok(json!({ "kind": "List", "apiVersion": "v1", "items": page,
            "metadata": { "resourceVersion": self.version.to_string(), "continue": token } }))
    }

    fn create(&mut self, call: &Call) -> Answer {
        let mut object = call.body.clone();
        if text(&object, "/metadata/name").is_empty() {
            self.names += 1;
            let name = format!("{}{:05}", text(&object, "/metadata/generateName"), self.names);
            object["metadata"]["name"] = json!(name);
        }
        let name = text(&object, "/metadata/name").to_owned();
        if self
            .objects
            .contains_key(&(call.resource.clone(), call.namespace.clone(), name.clone()))
        {
            return Answer::status(409, "AlreadyExists", &format!("{name} already exists"));
        }
        if call.resource == "pods" {
            object["status"] = json!({ "phase": "Pending" });
        }
        Answer::ok(self.put(&call.resource, &call.namespace, object))
    }

    /// Puts an object into the cluster, with a new version, and an identifier if it is new.
    pub fn put(&mut self, resource: &str, namespace: &str, mut object: Value) -> Value {
        self.version += 1;
        let name = text(&object, "/metadata/name").to_owned();
        if text(&object, "/metadata/uid").is_empty() {
            self.names += 1;
            object["metadata"]["uid"] = json!(format!("uid-{:05}", self.names));
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        self.objects
            .insert((resource.to_owned(), namespace.to_owned(), name), object.clone());
        object
    }

    fn change(&mut self, call: &Call, change: impl FnOnce(&mut Value, &Value)) -> Answer {
        let Some(object) = self.objects.get(&call.key()) else {
            return not_found(call);
        };
        let expected = text(&call.body, "/metadata/resourceVersion");
        if !expected.is_empty() && expected != text(object, "/metadata/resourceVersion") {
            return Answer::status(
                409,
                "Conflict",
                "the object has been modified; please apply your changes to it",
            );
        }
        let mut object = object.clone();
        change(&mut object, &call.body);
        Answer::ok(self.put(&call.resource, &call.namespace, object))
    }

    /// Changes an object as another writer of the cluster does.
    pub fn edit(&mut self, resource: &str, namespace: &str, name: &str, patch: Value) {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = self.objects.get(&key).expect("the object").clone();
        merge(&mut object, &patch);
        self.put(resource, namespace, object);
    }

    /// Returns a number that was not given before.
    pub fn next_serial(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// Returns `true` if a deletion is for a version of an object that is not its present one.
    fn is_stale(&self, call: &Call) -> bool {
        let wanted = text(&call.body, "/preconditions/resourceVersion");
        let present = self.objects.get(&call.key());
        present.is_some_and(|object| !wanted.is_empty() && text(object, "/metadata/resourceVersion") != wanted)
    }

    fn delete(&mut self, key: &Key, uid: &str, grace: Option<i64>) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return Answer::status(404, "NotFound", "not found");
        };
        if !uid.is_empty() && uid != text(object, "/metadata/uid") {
            return Answer::status(409, "Conflict", "the UID in the precondition does not match");
        }
        let mut object = object.clone();
        if key.0 == "nodes" {
            // Nothing holds a Node object.
            self.version += 1;
            self.objects.remove(key);
            return Answer::ok(object);
        }
        if text(&object, "/metadata/deletionTimestamp").is_empty() {
            let own = object
                .pointer("/spec/terminationGracePeriodSeconds")
                .and_then(Value::as_i64);
            let grace = grace.or(own).unwrap_or(30);
            let due = self
                .now
                .saturating_add(SignedDuration::from_secs(grace))
                .expect("a time");
            object["metadata"]["deletionTimestamp"] = json!(due.to_string());
            object = self.put(&key.0, &key.1, object);
        }
        Answer::ok(object)
    }

    /// Eviction, as `pkg/registry/core/pod/storage/eviction.go` of Kubernetes decides.
    fn evict(&mut self, call: &Call) -> Answer {
        let key = call.key();
        let Some(pod) = self.objects.get(&key).cloned() else {
            return not_found(call);
        };
        let options = &call.body["deleteOptions"];
        let uid = text(options, "/preconditions/uid");
        assert!(
            !uid.is_empty(),
            "an eviction without a precondition may hit another pod of the same name"
        );
        assert_eq!(call.is_dry_run(), options["dryRun"] == json!(["All"]));
        if uid != text(&pod, "/metadata/uid") {
            return Answer::status(409, "Conflict", "the UID in the precondition does not match");
        }
        let is_over = matches!(text(&pod, "/status/phase"), "Pending" | "Succeeded" | "Failed");
        let is_ending = !text(&pod, "/metadata/deletionTimestamp").is_empty();
        let budgets: Vec<Value> = self.budgets_of(&pod);
        if !is_over && !is_ending {
            if budgets.len() > 1 {
                let message =
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
                return Answer::status(500, "InternalError", message);
            }
            if let Some(refused) = budgets
                .first()
                .filter(|budget| budget["status"]["disruptionsAllowed"] == 0)
            {
                return refusal(refused);
            }
        }
        if call.is_dry_run() {
            return Answer {
                code: 201,
                body: json!({ "kind": "Status", "status": "Success" }),
            };
        }
        self.evicted.extend(call.name.clone());
        let mut answer = self.delete(&key, uid, grace(options));
        answer.code = 201;
        answer.body = json!({ "kind": "Status", "status": "Success" });
        answer
    }

    fn budgets_of(&self, pod: &Value) -> Vec<Value> {
        let all = self.objects.iter().filter(|((resource, namespace, _), _)| {
            resource == "poddisruptionbudgets" && namespace == text(pod, "/metadata/namespace")
        });
        let covers = |budget: &&Value| {
            let wanted = budget["spec"]["selector"]["matchLabels"].as_object().expect("labels");
            wanted
                .iter()
                .all(|(key, value)| pod["metadata"]["labels"][key] == *value)
        };
        all.map(|(_, budget)| budget).filter(covers).cloned().collect()
    }
}

fn refusal(budget: &Value) -> Answer {
    let status = &budget["status"];
    let cause = format!(
        "The disruption budget {} needs {} healthy pods and has {} currently",
        text(budget, "/metadata/name"),
        status["desiredHealthy"],
        status["currentHealthy"]
    );
    let mut answer = Answer::status(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    answer.body["details"] = json!({ "causes": [{ "reason": "DisruptionBudget", "message": cause }] });
    answer
}

fn grace(options: &Value) -> Option<i64> {
    options["gracePeriodSeconds"].as_i64()
}

fn not_found(call: &Call) -> Answer {
    let name = call.name.as_deref().unwrap_or_default();
    Answer::status(404, "NotFound", &format!("{} \"{name}\" not found", call.resource))
}
