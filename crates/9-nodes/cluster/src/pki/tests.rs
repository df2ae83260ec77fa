use std::os::unix::fs::PermissionsExt as _;

use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use super::*;

fn made(now: SystemTime) -> (tempfile::TempDir, Pki) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("pki");
    let pki = make(&path, now).expect("made");
    (folder, pki)
}

fn error(result: Result<(), ClusterError>) -> PkiError {
    match result {
        Err(ClusterError::Pki(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_made_passes_and_is_private() {
    let (folder, pki) = made(SystemTime::now());
    check(&pki, SystemTime::now()).expect("all is well");
    for entry in fs_err::read_dir(folder.path().join("pki")).expect("there") {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn the_api_server_has_every_name_it_is_called_by() {
    let (_folder, pki) = made(SystemTime::now());
    let text = pki.read(&pki.certificate(API_SERVER)).expect("there");
    let (_, pem) = parse_x509_pem(text.as_bytes()).expect("PEM");
    let certificate = pem.parse_x509().expect("a certificate");
    let names = certificate
        .subject_alternative_name()
        .expect("well-formed")
        .expect("there");
    let names: Vec<_> = names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => bytes.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        names,
        [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "127.0.0.1",
            "10.87.0.1",
            "10.96.0.1"
        ]
    );
    let usage = certificate.extended_key_usage().expect("well-formed").expect("there");
    assert!(usage.value.server_auth && !usage.value.client_auth);
}

#[test]
fn clients_are_who_kubernetes_expects() {
    let (_folder, pki) = made(SystemTime::now());
    let subject = |name: &str| {
        let text = pki.read(&pki.certificate(name)).expect("there");
        let (_, pem) = parse_x509_pem(text.as_bytes()).expect("PEM");
        let certificate = pem.parse_x509().expect("a certificate");
        assert!(
            certificate
                .extended_key_usage()
                .expect("well-formed")
                .expect("there")
                .value
                .client_auth
        );
        assert!(!certificate.is_ca());
        certificate.subject().to_string()
    };
    assert_eq!(subject(ADMIN), "CN=basalt-admin, O=system:masters");
    assert_eq!(subject(CONTROLLER_MANAGER), "CN=system:kube-controller-manager");
    assert_eq!(subject(SCHEDULER), "CN=system:kube-scheduler");
    assert_eq!(
        subject(KUBELET_CLIENT),
        "CN=kube-apiserver-kubelet-client, O=system:masters"
    );
}

#[test]
fn an_expired_authority_is_explained() {
    let long_ago = SystemTime::now() - VALIDITY - Duration::from_secs(60);
    let (_folder, pki) = made(long_ago);
    let error = error(check(&pki, SystemTime::now()));
    assert!(
        matches!(&error, PkiError::Expired { path, .. } if path.ends_with("pki/ca.crt")),
        "{error:?}"
    );
    assert!(error.to_string().contains("CN=basalt-cluster"), "{error}");
    assert!(error.help().is_some_and(|help| help.to_string().contains("basalt up")));
}

#[test]
fn a_clock_that_is_behind_is_explained() {
    let (_folder, pki) = made(SystemTime::now() + 2 * BACKDATED);
    assert!(matches!(error(check(&pki, SystemTime::now())), PkiError::Early { .. }));
}

#[test]
fn a_certificate_of_another_cluster_is_found() {
    let (_one, pki) = made(SystemTime::now());
    let (_two, other) = made(SystemTime::now());
    fs_err::copy(other.certificate(ADMIN), pki.certificate(ADMIN)).expect("copied");
    let error = error(check(&pki, SystemTime::now()));
    assert!(
        matches!(&error, PkiError::WrongAuthority { path, .. } if path.ends_with("admin.crt")),
        "{error:?}"
    );
}

#[test]
fn rubbish_is_named() {
    let (_folder, pki) = made(SystemTime::now());
    fs_err::write(pki.certificate(SCHEDULER), "hello").expect("written");
    assert!(matches!(
        error(check(&pki, SystemTime::now())),
        PkiError::Unreadable { .. }
    ));
}
