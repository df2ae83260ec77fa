//! Proxies in drop-ins of the units of containerd and the kubelet: `Environment=` of systemd.exec(5), and nothing else.

use basalt_document::Finding;
use basalt_node_config::raw::Proxy;

/// Folders of drop-ins that may set a proxy.
const FOLDERS: [&str; 2] = [
    "/etc/systemd/system/containerd.service.d/",
    "/etc/systemd/system/kubelet.service.d/",
];

/// Returns `true` for the path of a drop-in that may set a proxy.
pub(super) fn is_drop_in(path: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        let name = path.strip_prefix(folder).and_then(|name| name.strip_suffix(".conf"));
        name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
    })
}

/// Reads a drop-in.
///
/// # Errors
/// When it sets something else than a proxy. No value is shown: it may have a password.
pub(super) fn read(path: &str, content: &str) -> Result<Proxy, Finding> {
    let refused = |what: &str| {
        let message = format!(
            "{what} in `{path}` is not taken over: of such a drop-in, `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are"
        );
        let help = "settings of the kubelet come by `kubeletExtraArgs`, mirrors by /etc/containerd/certs.d";
        Finding::error(message, "not known").with_help(help)
    };
    let mut proxy = Proxy {
        http: None,
        https: None,
        no_proxy: Vec::new(),
    };
    let lines = content.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']) && *line != "[Service]") {
        let Some(("Environment", assignments)) = line.split_once('=').map(|(key, value)| (key.trim(), value)) else {
            let key = line.split('=').next().unwrap_or_default().trim();
            let is_named = line.contains('=') || line.starts_with('[');
            let is_key = is_named && key.chars().all(|c| c.is_ascii_alphanumeric() || "[]-".contains(c));
            return Err(refused(&if is_key {
                format!("`{key}`")
            } else {
                "a line".to_owned()
            }));
        };
        for assignment in words(assignments).ok_or_else(|| refused("a line with open quotes or `\\`"))? {
            let (name, value) = assignment
                .split_once('=')
                .ok_or_else(|| refused("a word without `=`"))?;
            // The sign of specifiers stands for itself when it is doubled.
            let value = value.replace("%%", "%");
            let given = Some(value.clone()).filter(|value| !value.is_empty());
            match name.to_ascii_uppercase().as_str() {
                "HTTP_PROXY" => proxy.http = given,
                "HTTPS_PROXY" => proxy.https = given,
                "NO_PROXY" => {
                    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                    proxy.no_proxy = entries.map(str::to_owned).collect();
                }
                _ => return Err(refused(&format!("the variable `{name}`"))),
            }
        }
    }
    Ok(proxy)
}

/// Adds the settings of one more drop-in.
///
/// # Errors
/// When both name a proxy, and not the same one.
pub(super) fn merge(known: &mut Option<Proxy>, more: Proxy) -> Result<(), Finding> {
    let Some(known) = known else {
        *known = Some(more);
        return Ok(());
    };
    for (name, known, more) in [
        ("HTTP_PROXY", &mut known.http, more.http),
        ("HTTPS_PROXY", &mut known.https, more.https),
    ] {
        if known.is_some() && more.is_some() && *known != more {
            let message = format!("`{name}` is another one than in the drop-in before");
            let finding = Finding::error(message, "another proxy");
            return Err(finding.with_help("write the same one into both: a node has one proxy"));
        }
        *known = known.take().or(more);
    }
    for entry in more.no_proxy {
        if !known.no_proxy.contains(&entry) {
            known.no_proxy.push(entry);
        }
    }
    Ok(())
}

/// Words of a line, without quotes. None for one with open quotes, or with escapes.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => return None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &str = "/etc/systemd/system/containerd.service.d/http-proxy.conf";

    fn proxy(http: Option<&str>, https: Option<&str>, no_proxy: &[&str]) -> Proxy {
        Proxy {
            http: http.map(str::to_owned),
            https: https.map(str::to_owned),
            no_proxy: no_proxy.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn drop_ins_by_their_paths() {
        assert!(is_drop_in(PATH));
        assert!(is_drop_in("/etc/systemd/system/kubelet.service.d/10-proxy.conf"));
        for other in [
            "/etc/systemd/system/containerd.service",
            "/etc/systemd/system/containerd.service.d/.conf",
            "/etc/systemd/system/containerd.service.d/a/b.conf",
            "/etc/systemd/system/docker.service.d/http-proxy.conf",
        ] {
            assert!(!is_drop_in(other), "{other}");
        }
    }

    #[test]
    fn proxies_are_read_as_systemd_does() {
        for (content, expected) in [
            (
                "[Service]\nEnvironment=\"HTTP_PROXY=http://proxy.corp:3128\"\nEnvironment=\"NO_PROXY=10.0.0.0/8, .svc,\"\n",
                proxy(Some("http://proxy.corp:3128"), None, &["10.0.0.0/8", ".svc"]),
            ),
            (
                "# a\n[Service]\nEnvironment = https_proxy=http://u:a%%40b@p:1 'HTTP_PROXY=http://q:2'\n",
                proxy(Some("http://q:2"), Some("http://u:a%40b@p:1"), &[]),
            ),
            ("[Service]\nEnvironment=\"HTTP_PROXY=\"\n", proxy(None, None, &[])),
            ("", proxy(None, None, &[])),
        ] {
            let read = read(PATH, content).unwrap();
            assert_eq!(
                (&read.http, &read.https, &read.no_proxy),
                (&expected.http, &expected.https, &expected.no_proxy)
            );
        }
    }

    #[test]
    fn everything_else_is_refused_by_name_and_without_its_value() {
        for (content, expected) in [
            ("[Service]\nExecStart=\n", "`ExecStart`"),
            ("[Unit]\nAfter=hunter22\n", "`[Unit]`"),
            (
                "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=hunter22\n",
                "`KUBELET_EXTRA_ARGS`",
            ),
            ("[Service]\nEnvironment=\"HTTP_PROXY=hunter22\n", "open quotes"),
            ("[Service]\nEnvironment=hunter22\n", "a word without"),
            ("[Service]\nhunter22 hunter22\n", "a line in"),
            ("[Service]\nhunter22\n", "a line in"),
        ] {
            let finding = read(PATH, content).unwrap_err();
            assert!(finding.message.contains(expected), "{finding:?}");
            assert!(!format!("{finding:?}").contains("hunter22"), "{finding:?}");
        }
    }

    #[test]
    fn drop_ins_of_both_units_say_the_same() {
        let mut known = None;
        merge(&mut known, proxy(Some("http://p:1"), None, &["a"])).unwrap();
        merge(&mut known, proxy(Some("http://p:1"), Some("http://q:1"), &["a", "b"])).unwrap();
        assert_eq!(known, Some(proxy(Some("http://p:1"), Some("http://q:1"), &["a", "b"])));
        let finding = merge(&mut known, proxy(Some("http://other:1"), None, &[])).unwrap_err();
        assert!(finding.message.contains("`HTTP_PROXY`"), "{finding:?}");
    }

    proptest! {
        #[test]
        fn nothing_panics(content in any::<String>()) {
            let _ = read(PATH, &content);
            let _ = read(PATH, &format!("Environment={content}"));
        }
    }
}
