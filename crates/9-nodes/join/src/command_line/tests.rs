use miette::NarratableReportHandler;
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "abcdef.0123456789abcdef";
const PIN: &str = "sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821";

/// The command that kubeadm prints, with more words at its end.
fn printed(more: &str) -> String {
    format!("kubeadm join 192.0.2.10:6443 --token {TOKEN} \\\n\t--discovery-token-ca-cert-hash {PIN} {more}")
}

fn request(text: &str) -> JoinRequest {
    match read(text) {
        Ok((_, JoinSpecification::Flags(request), _)) => *request,
        other => panic!("{other:?}"),
    }
}

fn problems(text: &str) -> Vec<CommandLineProblem> {
    match read(text) {
        Ok((_, _, warnings)) => warnings,
        Err(error) => error.problems().to_vec(),
    }
}

#[test]
fn words_that_a_shell_has_split_are_split_again() {
    assert_eq!(
        of_words(["kubeadm", "join", "a b", "--token=x"]),
        "kubeadm join 'a b' --token=x"
    );
}

#[test]
fn the_command_that_kubeadm_prints() {
    let text = printed("");
    let request = request(&text);
    let Discovery::Token(discovery) = &request.discovery else {
        panic!("{request:?}")
    };
    assert_eq!(discovery.endpoint.to_string(), "https://192.0.2.10:6443");
    assert_eq!(discovery.token.reveal(), TOKEN);
    assert_eq!(
        discovery.pins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [PIN]
    );
    assert_eq!(request.tls_bootstrap_token.unwrap().reveal(), TOKEN);
    assert!(problems(&text).is_empty());
}

#[test]
fn other_ways_of_writing_it() {
    let other = "fedcba.fedcba9876543210";
    for text in [
        format!("sudo kubeadm join 192.0.2.10:6443 --token={TOKEN} --discovery-token-ca-cert-hash={PIN}"),
        format!(
            "# sudo -E --non-interactive kubeadm join 192.0.2.10:6443 --token={TOKEN} --discovery-token-ca-cert-hash={PIN}"
        ),
        format!("/usr/bin/kubeadm join --discovery-token-ca-cert-hash '{PIN}' --token \"{TOKEN}\" 192.0.2.10:6443 -v5"),
        format!(
            "# on the node\nkubeadm join --token {TOKEN} --discovery-token-ca-cert-hash {PIN} -- 192.0.2.10:6443\n"
        ),
        format!("root@cp:~# kubeadm join 192.0.2.10:6443 --token {TOKEN} --discovery-token-ca-cert-hash {PIN}"),
        format!("$ sudo kubeadm join 192.0.2.10:6443 --token {TOKEN} \\\n --discovery-token-ca-cert-hash {PIN}"),
        format!("# kubeadm join 192.0.2.10:6443 --token {TOKEN} --discovery-token-ca-cert-hash {PIN}"),
        format!(
            "kubeadm join 192.0.2.10:6443 --discovery-token {TOKEN} --discovery-token-ca-cert-hash {PIN} --v 5 --cri-socket unix:///run/containerd/containerd.sock"
        ),
    ] {
        assert_eq!(request(&text), request(&printed("")), "{text}");
    }
    let both = request(&printed(&format!("--tls-bootstrap-token {other} --node-name worker-1")));
    assert_eq!(both.tls_bootstrap_token.unwrap().reveal(), other);
    assert_eq!(both.registration.node_name().unwrap().as_str(), "worker-1");
    let several = request(&printed(&format!("--discovery-token-ca-cert-hash={PIN},{PIN}")));
    let Discovery::Token(discovery) = several.discovery else {
        panic!()
    };
    // One pin, three times.
    assert_eq!(discovery.pins.iter().count(), 1);
}

#[test]
fn a_command_that_was_pasted_with_too_much_around_it() {
    for text in [
        format!("\u{feff}{}", printed("")),
        format!("'{}'\n", printed("")),
        format!("\"{}\"", printed("").replace("\\\n\t", "")),
    ] {
        assert_eq!(request(&text), request(&printed("")), "{text}");
    }
}

#[test]
fn signs_of_a_word_processor_are_told_alone() {
    for (from, to, name) in [
        ("--token", "\u{2013}token", "an en dash"),
        ("--token ", "--token \u{201c}", "a curly quote"),
        ("abcdef.", "abcdef\u{200b}.", "a sign without width"),
    ] {
        let text = printed("").replace(from, to);
        let found = problems(&text);
        assert!(
            matches!(&found[..], [CommandLineProblem::InvalidValue { message, .. }] if message.contains(name)),
            "{found:?}"
        );
        let shown = format!("{:?}", read(&text).unwrap_err());
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
    // A path may have them.
    assert!(read("kubeadm join --config \u{201c}a\u{201d}").is_ok());
}

#[test]
fn endpoints() {
    let with = |endpoint: &str| printed("").replace("192.0.2.10:6443", endpoint);
    for good in ["api.example.com:6443", "[fd00::1]:6443", "10.0.0.1:443"] {
        let Discovery::Token(discovery) = request(&with(good)).discovery else {
            panic!()
        };
        assert_eq!(discovery.endpoint.to_string(), format!("https://{good}"));
    }
    for (bad, help) in [
        ("https://api.example.com:6443", "write `api.example.com:6443`"),
        ("fd00::1:6443", "write `[fd00::1]:6443`"),
        (
            "api.example.com",
            "write `api.example.com:6443`, if it is the usual one",
        ),
        ("api:0", "write a number from 1 to 65535"),
        ("api:6443/path", "write `api:6443`"),
    ] {
        let found = problems(&with(bad));
        assert!(
            matches!(&found[..], [CommandLineProblem::InvalidValue { help: Some(found), at, .. }]
                if found == help && at.offset() == 13 && at.len() == bad.len()),
            "{bad}: {found:?}"
        );
    }
}

#[test]
fn discovery_files() {
    let file = request("kubeadm join --discovery-file /etc/discovery.conf");
    assert_eq!(
        file.discovery,
        Discovery::File(DiscoveryFile::Path("/etc/discovery.conf".to_owned()))
    );
    assert!(file.tls_bootstrap_token.is_none());
    let url = request(&format!(
        "kubeadm join --discovery-file https://example.com/d.conf --tls-bootstrap-token {TOKEN}"
    ));
    assert!(matches!(url.discovery, Discovery::File(DiscoveryFile::Url(_))));
    assert_eq!(url.tls_bootstrap_token.unwrap().reveal(), TOKEN);
    let plain = problems("kubeadm join --discovery-file http://example.com/d.conf");
    assert!(matches!(&plain[0], CommandLineProblem::InvalidValue { message, .. } if message.contains("http")));
    let both = problems(&printed("--discovery-file /a"));
    assert!(
        matches!(both[..], [CommandLineProblem::TwoDiscoveries { .. }]),
        "{both:?}"
    );
}

#[test]
fn configuration_files() {
    let (_, asked, warnings) = read("kubeadm join --config /run/kubeadm/join.yaml --node-name a -v 5").unwrap();
    assert!(matches!(asked, JoinSpecification::File { path, node_name: Some(_) } if path == "/run/kubeadm/join.yaml"));
    assert!(warnings.is_empty());
    let found = problems(&format!("kubeadm join --config a --token {TOKEN}"));
    assert!(
        matches!(&found[..], [CommandLineProblem::MixedWithConfig { flag, .. }] if flag == "--token"),
        "{found:?}"
    );
}

/// Bad input, the variant of the problem, and the part of the command that it points at.
#[test]
fn what_is_wrong_is_told_at_its_place() {
    let cases: Vec<(String, &str, &str)> = vec![
        (String::new(), "Empty", ""),
        ("# on the node".to_owned(), "Empty", ""),
        ("# kubeadm join".to_owned(), "NoEndpoint", "kubeadm join"),
        ("root@cp:~# kubeadm init".to_owned(), "NotJoin", "kubeadm init"),
        (
            printed("").replace("kubeadm", "$ kubeadm") + "--node-name $NAME",
            "Expansion",
            "$",
        ),
        ("kubeadm init".to_owned(), "NotJoin", "kubeadm init"),
        ("kubectl get nodes".to_owned(), "NotJoin", "kubectl get"),
        ("kubeadm join".to_owned(), "NoEndpoint", "kubeadm join"),
        (
            format!("kubeadm join a:1 --discovery-token-ca-cert-hash {PIN}"),
            "NoToken",
            "kubeadm join",
        ),
        (format!("kubeadm join a:1 --token {TOKEN}"), "NoPin", "kubeadm join"),
        (
            format!("kubeadm join a:1 --token {TOKEN} --discovery-token-unsafe-skip-ca-verification"),
            "NoPin",
            "--discovery-token-unsafe-skip-ca-verification",
        ),
        (printed("--control-plane"), "ControlPlane", "--control-plane"),
        (
            printed("--control-plane=true --certificate-key ab"),
            "ControlPlane",
            "--control-plane=true",
        ),
        (printed("--patches /p"), "Unsupported", "--patches"),
        (
            printed("--cri-socket=/run/crio/crio.sock"),
            "Unsupported",
            "--cri-socket=/run/crio/crio.sock",
        ),
        (printed("--tokem x"), "UnknownFlag", "--tokem"),
        (printed("--node-name"), "MissingValue", "--node-name"),
        (printed("--node-name=Worker_1"), "InvalidValue", "Worker_1"),
        (printed("--node-name 'Worker 1'"), "InvalidValue", "'Worker 1'"),
        (printed("b:2"), "SecondEndpoint", "b:2"),
        (printed("| sh"), "Operator", "|"),
        (printed("--node-name $(hostname)"), "Expansion", "$"),
        (printed("--node-name \"a"), "OpenQuote", "\""),
        (printed("\nreboot"), "SecondCommand", "r"),
        (printed("\\ \n\t--node-name a"), "BlankAfterBackslash", " "),
        (
            "kubeadm join a:1 --token abcdef --discovery-token-ca-cert-hash sha256:00".to_owned(),
            "InvalidValue",
            "abcdef",
        ),
    ];
    for (text, variant, place) in cases {
        let error = read(&text).expect_err(&text);
        let problem = error.problems().iter().find(|problem| !problem.is_warning()).unwrap();
        let shown = format!("{problem:?}");
        assert!(shown.starts_with(variant), "{text}: {shown}");
        let at = problem
            .at()
            .map_or("", |at| text.get(at.offset()..at.offset() + at.len()).unwrap());
        assert_eq!(at, place, "{text}");
    }
}

#[test]
fn flags_without_effect_are_warnings() {
    let text =
        printed("--ignore-preflight-errors=Swap,all --dry-run --discovery-token-unsafe-skip-ca-verification=true");
    let warnings = problems(&text);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(CommandLineProblem::is_warning));
    assert!(read(&text).is_ok());
    assert!(problems(&printed("--control-plane=false"))[0].is_warning());
}

#[test]
fn errors_show_the_command_without_secrets() {
    let error = read(&printed("--control-plane")).unwrap_err();
    let mut text = String::new();
    NarratableReportHandler::new().render_report(&mut text, &error).unwrap();
    assert!(
        text.contains("--control-plane") && text.contains("abcdef.****"),
        "{text}"
    );
    for secret in [text, format!("{error:?}"), format!("{:?}", request(&printed("")))] {
        assert!(!secret.contains("0123456789abcdef"), "{secret}");
    }
    // A token at a wrong place, and where it may be repeated.
    for text in [
        format!("kubeadm join a:1 {TOKEN}"),
        format!("kubeadm join {TOKEN}"),
        format!("kubeadm join a:1 --node-name {TOKEN}x!"),
        format!("kubeadm join a:1 --cri-socket {TOKEN}"),
        format!("kubeadm join a:1 --discovery-token-ca-cert-hash {TOKEN}"),
        // In place of a flag: a sign is wrong or missing, or the name is.
        format!("kubeadm join a:1 --token:{TOKEN}"),
        format!("kubeadm join a:1 --token{TOKEN}"),
        format!("kubeadm join a:1 --odd:{TOKEN}"),
        format!("kubeadm join a:1 --tkoen{TOKEN}"),
    ] {
        let error = read(&text).unwrap_err();
        let mut shown = format!("{error:?}");
        NarratableReportHandler::new()
            .render_report(&mut shown, &error)
            .unwrap();
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
    // What is a secret by its flag or its form, and no token.
    let key = "0f".repeat(32);
    for text in [
        printed(&format!("--control-plane --certificate-key {key}")),
        printed(&format!("--certificate_key {key}")),
        printed(&format!("--control-plane {key}")),
        printed("--tokn hunter22"),
        printed("--tokenhunter22"),
        printed("--tls-bootstrap-token hunter22!"),
        printed("--token 'hunter22 hunter22"),
        printed("--token=hunter22; reboot"),
        printed("hunter.22!4567890123456"),
        "kubeadm init --token hunter22".to_owned(),
        "kubeadm join --discovery-file http://u:hunter22@files.example/d".to_owned(),
    ] {
        let error = read(&text).unwrap_err();
        let mut shown = format!("{error:?}");
        NarratableReportHandler::new()
            .render_report(&mut shown, &error)
            .unwrap();
        assert!(!shown.contains("hunter") && !shown.contains(&key), "{shown}");
    }
    // A token with one wrong character is a secret all the same.
    let error = read(&printed("").replace(TOKEN, "abcdef.0123456789ABCDEF")).unwrap_err();
    assert!(!format!("{error:?}").contains("0123456789ABCDEF"));
}

prop_compose! {
    fn tokens()(text in "[a-z0-9]{6}\\.[a-z0-9]{16}") -> BootstrapToken {
        text.parse().unwrap()
    }
}

prop_compose! {
    fn commands()(
        endpoint in proptest::option::of(("[a-z]{1,8}", 1u16..)),
        token in proptest::option::of(tokens()),
        discovery_token in proptest::option::of(tokens()),
        tls_bootstrap_token in proptest::option::of(tokens()),
        pins in proptest::collection::vec(any::<[u8; 8]>(), 0..3),
        node_name in proptest::option::of("[a-z][a-z0-9]{0,8}"),
    ) -> JoinCommand {
        JoinCommand {
            endpoint: endpoint.map(|(host, port)| Endpoint { host, port }),
            token,
            discovery_token,
            tls_bootstrap_token,
            pins: pins.iter().map(|bytes| crate::pin::pin_of(bytes)).collect(),
            node_name: node_name.map(|name| name.parse().unwrap()),
            ..JoinCommand::default()
        }
    }
}

proptest! {
    #[test]
    fn commands_come_back_whole(command in commands(), file in proptest::option::of("[ -~]{1,12}")) {
        let file = file.filter(|file| !file.contains("://")).map(DiscoveryFile::Path);
        let command = JoinCommand { discovery_file: file, ..command };
        let text = command.reveal();
        let parsed = flags::parse(&words::split(&text).unwrap()).unwrap();
        prop_assert!(parsed.problems.is_empty(), "{}: {:?}", text, parsed.problems);
        prop_assert_eq!(parsed.command, command);
    }

    #[test]
    fn nothing_panics(text in any::<String>(), more in "[-=a-z 'é\"\\\\]{0,30}") {
        let _ = read(&text);
        let _ = read(&format!("kubeadm join {text}"));
        let _ = read(&printed(&more));
        let _ = read(&printed(&format!("-{text} --{more}")));
    }

    #[test]
    fn places_are_within_the_command(more in "[-=a-z0-9:. é]{0,30}") {
        let text = printed(&more);
        for problem in problems(&text) {
            if let Some(at) = problem.at() {
                prop_assert!(text.get(at.offset()..at.offset() + at.len()).is_some(), "{:?}", problem);
            }
        }
    }
}
