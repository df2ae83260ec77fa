use super::*;

/// A tar file with these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in files {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = b'0';
        bytes.extend(header);
        bytes.extend(*content);
        bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

fn images(folder: &Path) -> (Images, Digest) {
    let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;
    let digest = Digest::of(manifest);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "digest":"sha256:{digest}","size":{},"annotations":{{"io.containerd.image.name":"basalt.local/pause:1"}}}}]}}"#,
        manifest.len()
    );
    let blob = format!("./blobs/sha256/{digest}");
    fs_err::write(
        folder.join("pause.tar"),
        tar(&[("index.json", index.as_bytes()), (&blob, manifest)]),
    )
    .unwrap();
    fs_err::write(folder.join("damaged.tar"), [0xff; 700]).unwrap();
    fs_err::write(folder.join("notes.txt"), "not an archive").unwrap();
    (Images::open(folder, "basalt.local"), digest)
}

fn ask(images: &Images, requests: &str) -> String {
    let mut output = Vec::new();
    images.serve(requests.as_bytes(), &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

#[test]
fn a_pull_finds_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (images, digest) = images(folder.path());
    let request = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: basalt.local\r\n\r\n");

    // One connection, several requests: by tag without the body, then by digest.
    let both = request("HEAD", "/v2/pause/manifests/1?ns=basalt.local")
        + &request("GET", &format!("/v2/pause/manifests/sha256:{digest}"));
    let answer = ask(&images, &both);
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(
        answer.matches("application/vnd.oci.image.manifest.v1+json\r\n").count(),
        2,
        "{answer}"
    );
    assert_eq!(answer.matches(r#""schemaVersion":2"#).count(), 1, "{answer}");
    assert!(
        answer.contains(&format!("Docker-Content-Digest: sha256:{digest}")),
        "{answer}"
    );

    let blob = ask(&images, &request("GET", &format!("/v2/pause/blobs/sha256:{digest}")));
    assert!(
        blob.contains("application/octet-stream") && blob.contains("Content-Length: 76\r\n"),
        "{blob}"
    );
    assert!(ask(&images, &request("GET", "/v2/")).starts_with("HTTP/1.1 200"));
    for missing in [
        "/v2/pause/manifests/2",
        "/v2/other/manifests/1",
        "/v2/pause/blobs/1",
        "/",
        "/v2/../etc/passwd",
    ] {
        assert!(
            ask(&images, &request("GET", missing)).starts_with("HTTP/1.1 404"),
            "{missing}"
        );
    }
    assert!(ask(&images, &request("PUT", "/v2/pause/manifests/1")).starts_with("HTTP/1.1 405"));
}

#[test]
fn a_folder_that_is_not_there_has_no_images() {
    let images = Images::open(Path::new("/nowhere"), "basalt.local");
    assert!(ask(&images, "GET /v2/pause/manifests/1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
}
