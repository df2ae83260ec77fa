use super::*;

const DISCOVERY_FILE: &str = include_str!("../../../../9-nodes/join/tests/bootstrap-data/discovery-file.yaml");
const FILES: &str = include_str!("../../../../9-nodes/join/tests/bootstrap-data/files.yaml");
const CLUSTER_INFO: &str = include_str!("../../../../9-nodes/join/tests/vectors/cluster-info.yaml");

fn options(words: &[&str]) -> FromJoin {
    #[derive(clap::Parser)]
    struct Parser {
        #[command(flatten)]
        options: FromJoin,
    }
    let words = std::iter::once(&"from-join").chain(words);
    <Parser as clap::Parser>::try_parse_from(words).unwrap().options
}

fn of_data(text: &str) -> Wanted {
    of_bootstrap_data(
        "user-data",
        text,
        &options(&["--bootstrap-data", "x", "--hostname", "w1"]),
    )
    .unwrap()
}

#[test]
fn kubelets_are_those_that_there_are() {
    assert_eq!(kubelet_minor("v1.35.5").unwrap(), KubeletMinor::V1_35);
    assert_eq!(kubelet_minor(basalt_join::KUBELET).unwrap(), KubeletMinor::NEWEST);
    for other in ["1.99", "1.34.1", "1"] {
        assert!(kubelet_minor(other).is_err(), "{other}");
    }
}

#[test]
fn a_discovery_file_of_bootstrap_data_is_not_looked_for_on_this_machine() {
    let mut wanted = of_data(DISCOVERY_FILE);
    let Discovery::File(file) = wanted.request.discovery.clone() else {
        panic!("{:?}", wanted.request)
    };
    let (cluster, _) = discovery_file(&file, &wanted).unwrap();
    assert_eq!(cluster.endpoint.to_string(), "https://192.0.2.10:6443");
    // One that is there, and is no part of the data.
    let here = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(here.path(), CLUSTER_INFO).unwrap();
    let path = DiscoveryFile::Path(here.path().to_str().unwrap().to_owned());
    let error = discovery_file(&path, &wanted).unwrap_err();
    assert!(
        error.to_string().contains("is not part of the bootstrap data"),
        "{error}"
    );
    // Without bootstrap data, a path is one of this machine, and nobody has to be asked.
    wanted.bootstrap = None;
    wanted.known = Some(discovery_file(&path, &wanted).unwrap());
    let config = offline(&wanted).unwrap().config;
    assert!(config.cluster.ca.is_some_and(|ca| ca.contains("BEGIN CERTIFICATE")));
}

#[test]
fn a_command_may_stand_without_quotes() {
    let command = "kubeadm join 192.0.2.10:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash \
                   sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821";
    let words: Vec<_> = command.split(' ').collect();
    let given = |words: &[&str]| {
        let options = options(words);
        of_command(options.command.as_deref().unwrap(), &options.words)
    };
    let quoted = given(&[command, "--hostname", "w1"]).unwrap();
    let before = [["--hostname", "w1"].as_slice(), words.as_slice()].concat();
    assert_eq!(options(&before).hostname.as_deref(), Some("w1"));
    assert_eq!(given(&before).unwrap().request, quoted.request);
    for (wrong, expected) in [
        (
            [words.as_slice(), ["--hostname=w1"].as_slice()].concat(),
            "unexpected argument `--hostname` after",
        ),
        ([words.as_slice(), ["--offline"].as_slice()].concat(), "`--offline`"),
        (vec![command, "--hostnam", "w1"], "unexpected argument after"),
        (vec!["-", "w1"], "unexpected argument after"),
    ] {
        let error = given(&wrong).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let piped = options(&["-", "--hostname", "w1"]);
    assert_eq!((piped.hostname.as_deref(), piped.words.len()), (Some("w1"), 0));
}

#[test]
fn a_file_in_the_place_of_a_command_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let error = of_command(path, &[]).err().unwrap();
    assert!(error.to_string().contains("is a file, and no join command"), "{error}");
    let help = error.help().unwrap().to_string();
    assert!(help.contains(&format!("`- < {path}`")), "{help}");
    for word in [
        "abcdef.0123456789abcdef",
        "--tokenabcdef.0123456789abcdef",
        "--certificate-key:0123456789abcdef",
    ] {
        let error = of_command("kubeadm join", &[word.to_owned()]).err().unwrap();
        assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
    }
}

#[test]
fn a_join_configuration_is_read_by_its_option_and_by_the_command() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndryRun: true\ndiscovery:\n  bootstrapToken:\n    \
                token: abcdef.0123456789abcdef\n    apiServerEndpoint: 192.0.2.10:6443\n    caCertHashes: \
                ['sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821']\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    let by_option = options(&["--offline", "--hostname", "w1", "--config", path]);
    assert!(by_option.command.is_none() && by_option.config.is_some());
    let code = from_join(&by_option, false).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
    let by_command = options(&["--offline", "kubeadm", "join", "--config", path]);
    assert_eq!(by_command.words, ["join", "--config", path]);
    let wanted = of_command("kubeadm", &by_command.words).unwrap();
    assert_eq!(wanted.request, of_configuration(path, text).unwrap().request);
    // `dryRun` has no effect: the sum counts it with what the check finds in the same file.
    assert_eq!(wanted.warnings.map(|warnings| warnings.warnings()), Some(1));
}

#[test]
fn problems_of_a_file_are_no_report_of_reports() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), "kind: JoinConfiguration\n").unwrap();
    let path = file.path().to_str().unwrap();
    let verb = ConfigVerb::FromJoin(options(&["--config", path]));
    let report = run(&verb, false).unwrap_err();
    let text = crate::error_report::shown(&*report);
    assert!(text.contains(path) && !text.contains("Error:"), "{text}");
}

#[test]
fn a_password_of_a_discovery_file_is_not_shown() {
    let command = "kubeadm join --discovery-file https://u:hunter22@files.example/d.conf --tls-bootstrap-token \
                   abcdef.0123456789abcdef";
    let error = from_join(&options(&[command]), false).unwrap_err();
    let help = error.help().unwrap().to_string();
    assert!(!help.contains("hunter22") && help.contains("files.example"), "{help}");
}

#[test]
fn options_that_are_no_options_of_kubeadm_join_are_known() {
    let own = own_options();
    for option in ["--bootstrap-data", "--instance-data", "--json", "--cache", "--offline"] {
        assert!(own.iter().any(|own| own == option), "{option}: {own:?}");
    }
    for option in ["--config", "--token", "--command"] {
        assert!(!own.iter().any(|own| own == option), "{option}: {own:?}");
    }
}

#[test]
fn an_address_that_no_node_reaches_is_told_with_its_source() {
    let command = "kubeadm join 127.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash \
                   sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821";
    let error = from_join(&options(&["--offline", command]), false).unwrap_err();
    assert!(error.to_string().contains("the address in the join command"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), CLUSTER_INFO.replace("192.0.2.10", "127.0.0.1")).unwrap();
    let path = file.path().to_str().unwrap();
    let command = format!("kubeadm join --discovery-file {path} --tls-bootstrap-token abcdef.0123456789abcdef");
    let error = from_join(&options(&[command.as_str()]), false).unwrap_err();
    assert!(
        error.to_string().contains("the address in the discovery file"),
        "{error}"
    );
}

/// A NodeConfig that is right, or one that is not.
fn made(hostname: &str) -> Made {
    let mut wanted = of_data(DISCOVERY_FILE);
    let Discovery::File(file) = wanted.request.discovery.clone() else {
        panic!("{:?}", wanted.request)
    };
    wanted.known = Some(discovery_file(&file, &wanted).unwrap());
    let mut converted = offline(&wanted).unwrap();
    converted.config.hostname = Some(hostname.to_owned());
    Made::of(converted, KubeletMinor::NEWEST).unwrap()
}

#[test]
fn a_token_is_made_when_nothing_is_wrong_and_deleted_when_something_is_then() {
    use std::cell::RefCell;
    type Step = fn() -> Result<()>;
    let done: Step = || Ok(());
    let fails: Step = || Err(miette!("no"));
    let cases: [(&str, Step, Step, &str, &[&str]); 5] = [
        ("w1", done, done, "w1", &["create", "again"]),
        ("localhost", done, done, "w1", &[]),
        ("w1", fails, done, "w1", &["create"]),
        ("w1", done, fails, "w1", &["create", "again", "delete"]),
        ("w1", done, done, "localhost", &["create", "again", "delete"]),
    ];
    for (first, create, again, second, expected) in cases {
        let steps = RefCell::new(Vec::new());
        let step = |name: &'static str| steps.borrow_mut().push(name);
        let outcome = with_token(
            made(first),
            || {
                step("create");
                create()
            },
            || {
                step("again");
                again().map(|()| made(second))
            },
            || step("delete"),
        );
        assert_eq!(*steps.borrow(), expected, "{first} {second}");
        let is_right = outcome.is_ok_and(|made| made.is_right);
        assert_eq!(is_right, expected == ["create", "again"], "{first} {second}");
    }
}

#[test]
fn files_without_a_place_end_a_conversion_that_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user-data");
    fs_err::write(&path, FILES).unwrap();
    let words = [
        "--offline",
        "--hostname",
        "w1",
        "--bootstrap-data",
        path.to_str().unwrap(),
    ];
    let error = from_join(&options(&words), false).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no place for files: /etc/kubernetes/azure.json (line "),
        "{error}"
    );
}
