//! Metadata services of clouds, by a server on loopback that behaves as each of them does.

#![cfg(test)]

use std::cell::RefCell;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use basalt_node::azure::WireServer;
use basalt_node::cloud::Cloud;
use basalt_node::http::HttpLimits;
use basalt_node::metadata::{
    self, Asking, MetadataService, ServiceError, UserDataError, UserDataService, UserDataState,
};
use basalt_node::source::{Found, Source, SourceError};
use basalt_node::{bootstrap_data, paths};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

mod clock;
mod http_server;

use clock::TestClock;
use http_server::Server;

/// Pages by their paths; 404 for others.
fn page(pages: &[(&str, &str)], path: &str) -> (u16, Vec<u8>) {
    let found = pages.iter().find(|(known, _)| *known == path);
    found.map_or((404, b"Not Found".to_vec()), |(_, text)| (200, (*text).into()))
}

const LIMITS: HttpLimits = HttpLimits {
    connect: Duration::from_secs(20),
    answer: Duration::from_secs(60),
    largest: 2 << 20,
};

/// A NodeConfig, with a token.
const CONFIG: &str =
    "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster: { bootstrapToken: abcdef.0123456789abcdef }\n";

/// A server as the metadata service of a cloud.
trait MetadataServer {
    fn ask(&self, cloud: Cloud) -> Result<Option<Found>, ServiceError>;
}

impl MetadataServer for Server {
    fn ask(&self, cloud: Cloud) -> Result<Option<Found>, ServiceError> {
        MetadataService::at(cloud, vec![self.address], LIMITS).ask()
    }
}

fn metadata(found: &Found) -> Value {
    serde_json::from_str(&found.metadata).unwrap()
}

const EC2: [(&str, &str); 6] = [
    ("/latest/user-data", CONFIG),
    ("/latest/meta-data/instance-id", "i-0123456789abcdef0"),
    (
        "/latest/meta-data/local-hostname",
        "ip-10-0-0-7.eu-west-1.compute.internal other.example",
    ),
    ("/latest/meta-data/local-ipv4", "10.0.0.7"),
    ("/latest/meta-data/placement/availability-zone", "eu-west-1a"),
    ("/latest/meta-data/placement/region", "eu-west-1"),
];

/// IMDSv2: a token by PUT with its lifetime, which all other requests have to show.
fn ec2(user_data: Option<Vec<u8>>) -> Server {
    Server::new(move |request| {
        if request.path == "/latest/api/token" {
            let lifetime = request
                .header("x-aws-ec2-metadata-token-ttl-seconds")
                .unwrap_or_default();
            return match (request.method.as_str(), lifetime.parse::<u32>()) {
                ("PUT", Ok(1..=21600)) => (200, b"SESSION==".to_vec()),
                _ => (400, Vec::new()),
            };
        }
        if request.header("x-aws-ec2-metadata-token") != Some("SESSION==") {
            return (401, Vec::new());
        }
        match (&user_data, request.path.as_str()) {
            (Some(bytes), "/latest/user-data") => (200, bytes.clone()),
            (None, "/latest/user-data") => (404, Vec::new()),
            (_, path) => page(&EC2, path),
        }
    })
}

#[test]
fn user_data_of_ec2() {
    let server = ec2(Some(CONFIG.into()));
    let found = server.ask(Cloud::Ec2).unwrap().unwrap();
    assert_eq!(found.text, CONFIG);
    assert_eq!(found.origin, "user data of EC2's metadata service");
    let values = metadata(&found);
    assert_eq!(values["instance-id"], "i-0123456789abcdef0");
    assert_eq!(values["placement"]["availability-zone"], "eu-west-1a");
    assert_eq!(values["ami-id"], Value::Null);
    // The name by which the cloud's controller knows the machine.
    let name = bootstrap_data::machine_name(&found.metadata).unwrap();
    assert_eq!(name.as_str(), "ip-10-0-0-7.eu-west-1.compute.internal");
    assert_eq!(server.log()[..2], ["PUT /latest/api/token", "GET /latest/user-data"]);
    // Cluster API for AWS compresses it.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(CONFIG.as_bytes()).unwrap();
    let server = ec2(Some(encoder.finish().unwrap()));
    assert_eq!(server.ask(Cloud::Ec2).unwrap().unwrap().text, CONFIG);
    // No instance data is asked for where there is no user data.
    let server = ec2(None);
    assert_eq!(server.ask(Cloud::Ec2).unwrap(), None);
    assert_eq!(server.log().len(), 2);
    assert_eq!(ec2(Some(b"\n".to_vec())).ask(Cloud::Ec2).unwrap(), None);
}

#[test]
fn a_service_of_ec2_without_sessions_is_not_asked_without_one() {
    let server = Server::new(|request| match request.method.as_str() {
        "PUT" => (403, Vec::new()),
        _ => page(&EC2, &request.path),
    });
    let error = server.ask(Cloud::Ec2).unwrap_err();
    assert!(
        matches!(&error, ServiceError::NoAnswer(why) if why.contains("403") && why.contains("turned on")),
        "{error}"
    );
    assert_eq!(server.log(), ["PUT /latest/api/token"]);
    let server = Server::new(|_| (200, b"a\r\nInjected: b".to_vec()));
    let error = server.ask(Cloud::Ec2).unwrap_err();
    assert!(
        matches!(&error, ServiceError::NoAnswer(why) if why.contains("no session token")),
        "{error}"
    );
}

/// Google's service, which answers nobody without its header.
fn gce(encoding: &'static str, user_data: String) -> Server {
    Server::new(move |request| {
        if request.header("metadata-flavor") != Some("Google")
            || request.header("host") != Some("metadata.google.internal")
        {
            return (403, Vec::new());
        }
        let pages = [
            ("attributes/user-data", user_data.as_str()),
            ("id", "4711"),
            ("name", "pool-a"),
            ("hostname", "pool-a.europe-west1-b.c.project-1.internal"),
            ("zone", "projects/123/zones/europe-west1-b"),
            ("attributes/user-data-encoding", encoding),
        ];
        let is_encoded = !encoding.is_empty();
        let pages = if is_encoded { &pages[..] } else { &pages[..5] };
        page(
            pages,
            request
                .path
                .strip_prefix("/computeMetadata/v1/instance/")
                .unwrap_or_default(),
        )
    })
}

#[test]
fn user_data_of_gce() {
    for server in [gce("", CONFIG.to_owned()), gce("base64", STANDARD.encode(CONFIG))] {
        let found = server.ask(Cloud::Gce).unwrap().unwrap();
        assert_eq!(found.text, CONFIG);
        let values = metadata(&found);
        assert_eq!(
            (&values["availability-zone"], &values["region"]),
            (&json!("europe-west1-b"), &json!("europe-west1"))
        );
        assert_eq!(
            bootstrap_data::machine_name(&found.metadata).unwrap().as_str(),
            "pool-a"
        );
    }
    let error = gce("base64", "not: base64".to_owned()).ask(Cloud::Gce).unwrap_err();
    assert!(
        matches!(error, ServiceError::Unusable(SourceError::Damaged { .. })),
        "{error}"
    );
}

#[test]
fn user_data_of_azure() {
    let azure = |user_data: String| {
        Server::new(move |request| {
            let known = request
                .path
                .starts_with("/metadata/instance/compute?api-version=2021-02-01");
            if request.header("metadata") != Some("true") || !known {
                return (400, Vec::new());
            }
            let compute = json!({
                "location": "westeurope", "name": "pool-md-0_7", "osProfile": { "computerName": "pool-md-0000007" },
                "userData": user_data, "vmId": "d0c9f1d4", "zone": "1", "customData": "",
            });
            (200, compute.to_string().into_bytes())
        })
    };
    let found = azure(STANDARD.encode(CONFIG)).ask(Cloud::Azure).unwrap().unwrap();
    assert_eq!(found.text, CONFIG);
    assert_eq!(metadata(&found)["local-hostname"], "pool-md-0000007");
    assert_eq!(metadata(&found)["region"], "westeurope");
    assert_eq!(azure(String::new()).ask(Cloud::Azure).unwrap(), None);
    let error = azure("abcdef.0123456789abcdef".to_owned())
        .ask(Cloud::Azure)
        .unwrap_err();
    assert!(!format!("{error:?}").contains("0123456789"), "{error:?}");
    let odd = Server::new(|_| (200, b"<html>abcdef.0123456789abcdef</html>".to_vec()));
    let error = odd.ask(Cloud::Azure).unwrap_err();
    assert!(!format!("{error:?}").contains("0123456789"), "{error:?}");
}

#[test]
fn user_data_of_others() {
    let cases = [
        (
            Cloud::OpenStack,
            vec![
                ("/openstack/latest/user_data", CONFIG),
                (
                    "/openstack/latest/meta_data.json",
                    r#"{"uuid": "762931c8", "hostname": "worker-9.novalocal", "name": "worker-9", "admin_pass": "secret", "keys": []}"#,
                ),
            ],
            "worker-9",
        ),
        (
            Cloud::Hetzner,
            vec![
                ("/hetzner/v1/userdata", CONFIG),
                ("/hetzner/v1/metadata/hostname", "worker.example.com"),
                ("/hetzner/v1/metadata/instance-id", "42"),
            ],
            "worker.example.com",
        ),
        (
            Cloud::DigitalOcean,
            vec![
                ("/metadata/v1/user-data", CONFIG),
                (
                    "/metadata/v1.json",
                    r#"{"droplet_id": 105820143, "hostname": "pool-1", "region": "fra1", "auth_key": "secret", "user_data": "x"}"#,
                ),
            ],
            "pool-1",
        ),
    ];
    for (cloud, pages, expected) in cases {
        let server = Server::new(move |request| page(&pages, &request.path));
        let found = server.ask(cloud).unwrap().unwrap();
        assert_eq!(found.text, CONFIG, "{cloud}");
        let name = bootstrap_data::machine_name(&found.metadata).unwrap();
        assert_eq!(name.as_str(), expected, "{cloud}");
        assert!(!found.metadata.contains("secret"), "{}", found.metadata);
        let nothing = Server::new(|_| (404, Vec::new()));
        assert_eq!(nothing.ask(cloud).unwrap(), None, "{cloud}");
        assert_eq!(nothing.log().len(), 1, "{cloud}");
    }
}

#[test]
fn what_is_no_answer_is_told_from_what_is_of_no_use() {
    for status in [400, 401, 403, 410, 429, 500, 503] {
        let server = Server::new(move |_| (status, b"abcdef.0123456789abcdef".to_vec()));
        for cloud in [
            Cloud::Ec2,
            Cloud::Gce,
            Cloud::Azure,
            Cloud::OpenStack,
            Cloud::Hetzner,
            Cloud::DigitalOcean,
        ] {
            let error = server.ask(cloud).unwrap_err();
            let named = format!("HTTP status {status}");
            assert!(
                matches!(&error, ServiceError::NoAnswer(why) if why.starts_with(&named)),
                "{cloud}: {error}"
            );
        }
    }
    let of = |body: Vec<u8>| {
        Server::new(move |_| (200, body.clone()))
            .ask(Cloud::Hetzner)
            .unwrap_err()
    };
    let huge = of(vec![b'#'; (1 << 20) + 1]);
    assert!(
        matches!(huge, ServiceError::Unusable(SourceError::TooLarge { .. })),
        "{huge}"
    );
    let larger = of(vec![b'#'; 3 << 20]);
    assert!(
        matches!(larger, ServiceError::Unusable(SourceError::TooLarge { .. })),
        "{larger}"
    );
    let binary = of(vec![0xff, 0xfe, 0xfd]);
    assert!(
        matches!(binary, ServiceError::Unusable(SourceError::NotText { .. })),
        "{binary}"
    );
    let nobody = MetadataService::at(Cloud::Gce, vec!["127.0.0.1:1".parse().unwrap()], LIMITS);
    assert!(matches!(nobody.ask(), Err(ServiceError::NoAnswer(_))));
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = HttpLimits {
        answer: Duration::from_millis(100),
        ..LIMITS
    };
    let slow = MetadataService::at(Cloud::Gce, vec![silent.local_addr().unwrap()], limits);
    assert!(matches!(slow.ask(), Err(ServiceError::NoAnswer(_))));
}

/// Answers of a service that are left, the next one at the end.
type ScriptedAnswers = Vec<Result<Option<Found>, ServiceError>>;

/// A service that gives these answers one after the other, the last one for ever, and to which there is a way from the second
/// look on.
struct ScriptedService(RefCell<(u32, ScriptedAnswers)>);

impl ScriptedService {
    fn new(answers: impl IntoIterator<Item = Result<Option<Found>, ServiceError>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self(RefCell::new((0, answers)))
    }
}

impl UserDataService for ScriptedService {
    fn has_way(&self) -> bool {
        self.0.borrow_mut().0 += 1;
        self.0.borrow().0 > 1
    }

    fn ask(&self) -> Result<Option<Found>, ServiceError> {
        self.0.borrow_mut().1.pop().unwrap()
    }
}

/// A drive whose answers come one after the other; after that it has nothing.
struct Drive(Vec<Result<Option<Found>, SourceError>>);

impl Source for Drive {
    fn name(&self) -> String {
        "drive".to_owned()
    }

    fn look(&mut self) -> Result<Option<Found>, SourceError> {
        self.0.pop().unwrap_or(Ok(None))
    }

    fn may_come_late(&self) -> bool {
        true
    }
}

fn found(origin: &str) -> Found {
    Found {
        origin: origin.to_owned(),
        text: CONFIG.to_owned(),
        metadata: String::new(),
    }
}

fn no_answer(why: &str) -> Result<Option<Found>, ServiceError> {
    Err(ServiceError::NoAnswer(why.to_owned()))
}

/// Outcome, states that were told, and the last state.
fn run(
    root: &Path,
    service: &ScriptedService,
    drive: Vec<Result<Option<Found>, SourceError>>,
) -> (Result<Option<Found>, UserDataError>, Vec<String>, UserDataState) {
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Drive(drive))];
    let mut told = Vec::new();
    let mut asking = Asking {
        root,
        cloud: Cloud::Ec2,
        service,
        sources: &mut sources,
    };
    let outcome = asking.run(&TestClock::at(Duration::ZERO), |state| told.push(state.to_owned()));
    let state = metadata::read(root).unwrap().state;
    (outcome, told, state)
}

#[test]
fn a_service_is_asked_until_it_answers() {
    let root = tempfile::tempdir().unwrap();
    let service = ScriptedService::new([
        no_answer("Connection refused"),
        no_answer("HTTP status 503"),
        no_answer("HTTP status 503"),
        Ok(Some(found("user data"))),
    ]);
    let (outcome, told, state) = run(root.path(), &service, Vec::new());
    assert_eq!(outcome.unwrap().unwrap().origin, "user data");
    assert_eq!(state, UserDataState::Found);
    insta::assert_snapshot!(told.join("\n"), @r"
    waiting for a way to the metadata service of EC2
    asking the metadata service of EC2 for user data
    asking the metadata service of EC2 for user data (tries without an answer: 1; the last: Connection refused)
    asking the metadata service of EC2 for user data (tries without an answer: 1; the last: HTTP status 503)
    ");
    // The state is all that is left, and it has no user data.
    let state = fs_err::read_to_string(root.path().join(paths::METADATA_STATE.trim_start_matches('/'))).unwrap();
    assert_eq!(state, "{\"cloud\":\"ec2\",\"state\":\"found\"}\n");
    let files = fs_err::read_dir(root.path().join("run/basalt")).unwrap().count();
    assert_eq!(files, 1);
    assert!(!root.path().join("var").exists());
    metadata::forget(root.path()).unwrap();
    assert_eq!(metadata::read(root.path()), None);
}

#[test]
fn a_machine_without_user_data_joins_no_cluster() {
    let root = tempfile::tempdir().unwrap();
    let service = ScriptedService::new([no_answer("timed out"), Ok(None)]);
    let (outcome, _, state) = run(root.path(), &service, Vec::new());
    assert_eq!(outcome.unwrap(), None);
    assert_eq!(state, UserDataState::Absent);
    let unusable = SourceError::TooLarge {
        place: "user data".to_owned(),
    };
    let service = ScriptedService::new([Err(unusable.into())]);
    let (outcome, _, state) = run(root.path(), &service, Vec::new());
    assert!(matches!(
        outcome,
        Err(UserDataError::Source(SourceError::TooLarge { .. }))
    ));
    assert!(matches!(state, UserDataState::Unusable(why) if why.contains("larger than 1 MiB")));
}

#[test]
fn a_disk_that_comes_late_counts_first() {
    let root = tempfile::tempdir().unwrap();
    let unreadable = || SourceError::Read {
        place: "node.yaml on /dev/sr0".to_owned(),
        source: std::io::Error::other("no medium"),
    };
    let nothing = || Ok(None);
    let late = || Ok(Some(found("drive")));
    let asked = || {
        vec![
            no_answer("timed out"),
            no_answer("timed out"),
            Ok(Some(found("service"))),
        ]
    };
    // There is a way from the second look on. A disk that cannot be read is waited for, and the service is not asked meanwhile.
    for (looks, answers) in [
        (vec![late()], Vec::new()),
        (vec![Err(unreadable()), late()], Vec::new()),
        (vec![nothing(), nothing(), nothing(), late()], asked()),
        (
            vec![nothing(), nothing(), Err(unreadable()), Err(unreadable()), late()],
            Vec::new(),
        ),
    ] {
        let name = format!("{looks:?}");
        // Taken from the end.
        let drive = looks.into_iter().rev().collect();
        let (outcome, _, state) = run(root.path(), &ScriptedService::new(answers), drive);
        assert_eq!(outcome.unwrap().unwrap().origin, "drive", "{name}");
        assert_eq!(state, UserDataState::Found);
    }
    let damaged = SourceError::NotText {
        place: "drive".to_owned(),
    };
    let service = ScriptedService::new([Ok(Some(found("service")))]);
    let (outcome, ..) = run(root.path(), &service, vec![Err(damaged)]);
    assert!(matches!(
        outcome,
        Err(UserDataError::Source(SourceError::NotText { .. }))
    ));
}

#[test]
fn azure_hears_that_a_machine_is_ready() {
    let goal = "<?xml version=\"1.0\"?><GoalState><Version>2012-11-30</Version><Incarnation>1</Incarnation><Container>\
                <ContainerId>c-1</ContainerId><RoleInstanceList><RoleInstance><InstanceId>i-1</InstanceId></RoleInstance>\
                </RoleInstanceList></Container></GoalState>";
    let wire = |health: u16| {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let written = bodies.clone();
        let server = Server::new(move |request| {
            if request.header("x-ms-version") != Some("2012-11-30") {
                return (400, Vec::new());
            }
            match (request.method.as_str(), request.path.as_str()) {
                ("GET", "/machine?comp=goalstate") => (200, goal.into()),
                ("POST", "/machine?comp=health")
                    if request.header("content-type") == Some("text/xml;charset=utf-8") =>
                {
                    written.lock().unwrap().push(request.body.clone());
                    (health, Vec::new())
                }
                _ => (404, Vec::new()),
            }
        });
        (server, bodies)
    };
    let (server, bodies) = wire(200);
    WireServer::at(server.address).report_ready().unwrap();
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies.len(), 1);
    for part in [
        "<ContainerId>c-1<",
        "<InstanceId>i-1<",
        "<State>Ready<",
        "<GoalStateIncarnation>1<",
    ] {
        assert!(bodies[0].contains(part), "{}", bodies[0]);
    }
    let (server, _) = wire(410);
    let error = WireServer::at(server.address).report_ready().unwrap_err();
    assert!(
        error.to_string().contains("health report with HTTP status 410"),
        "{error}"
    );
    let odd = Server::new(|_| (200, b"<html/>".to_vec()));
    let error = WireServer::at(odd.address).report_ready().unwrap_err();
    assert!(error.to_string().contains("goal state"), "{error}");
}
