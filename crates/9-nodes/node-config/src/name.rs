//! Names: of hosts, domains, labels and taints.

use std::fmt;
use std::str::FromStr;

use basalt_document::Finding;

/// Text that follows some rule, with access to it.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Finding;

            fn from_str(text: &str) -> Result<Self, Finding> {
                let check: fn(&str) -> Result<(), Finding> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }
    };
}
pub(super) use checked_text;

checked_text! {
    /// The name of a node: an RFC 1123 domain name of at most 63 characters, as Kubernetes and the kernel take it.
    HostName, |text| {
        if text.len() > 63 {
            let message = format!("the host name has {} characters, and 63 are allowed", text.len());
            return Err(Finding::error(message, "too long").with_help("shorten it"));
        }
        if text == "localhost" || text.starts_with("localhost.") {
            let message = format!("the host name `{text}` is that of each machine itself");
            let finding = Finding::error(message, "not a name of its own");
            return Err(finding.with_help("write a name that no other node of the cluster has"));
        }
        domain(text, "the host name")
    }
}

checked_text! {
    /// A DNS domain: `cluster.local`.
    Domain, |text| domain(text, "the domain")
}

checked_text! {
    /// Name of a time server: a domain name or an address.
    ServerName, |text| match (text.parse::<std::net::IpAddr>(), text.split_once('%')) {
        (Ok(_), _) => Ok(()),
        (_, Some((address, _))) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            let finding = Finding::error(format!("`{text}` holds on one interface only"), "an address with a zone");
            Err(finding.with_help("write an address that the node reaches by any way out, or a name"))
        }
        _ => time_server(text),
    }
}

/// The name of a time server alone: files of chrony and timesyncd have other words in its line.
fn time_server(text: &str) -> Result<(), Finding> {
    let is_server = |word: &str| word.parse::<std::net::IpAddr>().is_ok() || domain(word, "the server").is_ok();
    let wrong = |message: String, help: String| Err(Finding::error(message, "not a name").with_help(help));
    if text.contains(char::is_whitespace) {
        let words = text.split_whitespace();
        let mut words = words.skip_while(|word| matches!(*word, "server" | "pool" | "peer"));
        if let Some(name) = words.next().filter(|name| is_server(name)) {
            let message = format!("`{text}` is more than the name of a server");
            return match words.next() {
                Some(other) if other.contains(['.', ':']) && is_server(other) => {
                    wrong(message, format!("write each one by itself: `[{name}, {other}]`"))
                }
                _ => wrong(message, format!("write `{name}` alone")),
            };
        }
    }
    match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && is_server(name) => {
            let help = format!("write `{name}`: time servers are asked at port 123");
            wrong(format!("`{text}` has a port"), help)
        }
        _ => domain(text, "the server"),
    }
}

checked_text! {
    /// The name of a container image, with a tag or a digest if need be.
    ImageName, |text| {
        let wrong = |help: &str| {
            Err(Finding::error(format!("`{text}` is not the name of an image"), "not an image").with_help(help))
        };
        if text.contains("://") {
            return wrong("leave the scheme out: `registry.example/app:1`");
        }
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return wrong("a digest is `sha256:` and 64 hexadecimal digits");
        }
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name.split_at_checked(start).and_then(|(_, last)| last.split_once(':')) {
            Some((last, tag)) => (name.split_at_checked(start + last.len()).map_or(name, |(name, _)| name), Some(tag)),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return wrong("a tag has at most 128 letters, digits, `_`, `.` and `-`");
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
            _ => (None, name),
        };
        if registry.is_some_and(|registry| registry.parse::<super::address::RegistryName>().is_err()) {
            return wrong("write registry, path and tag: `registry.example/app:1`");
        }
        if name.len() > 255 || !path.split('/').all(is_component) {
            return wrong("write lower-case letters and digits in the path: `registry.example/app:1`");
        }
        Ok(())
    }
}

/// A digest of an image: its algorithm and hexadecimal digits.
fn is_digest(text: &str) -> bool {
    let hexadecimal = |digits: &str| digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    match text.split_once(':') {
        Some(("sha256", digits)) => digits.len() == 64 && hexadecimal(digits),
        Some(("sha512", digits)) => digits.len() == 128 && hexadecimal(digits),
        _ => false,
    }
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

/// A component of an image's path: lower-case letters and digits, between which are a dot, one or two `_`, or some `-`.
fn is_component(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(letter).filter(|separator| !separator.is_empty());
    let known = |separator: &str| matches!(separator, "." | "_" | "__") || separator.chars().all(|c| c == '-');
    text.starts_with(letter) && text.ends_with(letter) && separators.all(known)
}

checked_text! {
    /// The key of a label or taint: `example.com/tier`.
    LabelKey, |text| {
        let (prefix, name) = match text.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, text),
        };
        if let Some(prefix) = prefix {
            domain(prefix, "the part of the key before `/`")?;
        }
        if name.is_empty() {
            let finding = Finding::error("the key has no name", "nothing after the `/`");
            return Err(finding.with_help("write it as `tier` or `example.com/tier`"));
        }
        label_text(name, "the key")
    }
}

checked_text! {
    /// The value of a label or taint.
    LabelValue, |text| if text.is_empty() { Ok(()) } else { label_text(text, "the value") }
}

impl LabelKey {
    /// Returns `true` if the kubelet may put a label with this key on its own node.
    ///
    /// The kubelet refuses to start with any other label in Kubernetes' own namespaces, and the API server's
    /// NodeRestriction would refuse the node.
    pub fn kubelet_may_set(&self) -> bool {
        let Some((prefix, _)) = self.0.split_once('/') else {
            return true;
        };
        let within = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
        if within("node-restriction.kubernetes.io") {
            return false;
        }
        if !within("kubernetes.io") && !within("k8s.io") {
            return true;
        }
        let known = [
            "kubernetes.io/hostname",
            "kubernetes.io/os",
            "kubernetes.io/arch",
            "topology.kubernetes.io/zone",
            "topology.kubernetes.io/region",
            "node.kubernetes.io/instance-type",
            // The names of before, which the kubelet still sets itself.
            "beta.kubernetes.io/arch",
            "beta.kubernetes.io/instance-type",
            "beta.kubernetes.io/os",
            "failure-domain.beta.kubernetes.io/region",
            "failure-domain.beta.kubernetes.io/zone",
        ];
        known.contains(&self.as_str()) || within("kubelet.kubernetes.io") || within("node.kubernetes.io")
    }
}

/// RFC 1123: parts of letters, digits and `-`, joined by dots.
pub(super) fn domain(text: &str, what: &str) -> Result<(), Finding> {
    let wrong = |message: String, help: String| Err(Finding::error(message, "not a name").with_help(help));
    if text.is_empty() {
        return wrong(
            format!("{what} is empty"),
            "write a name such as `worker-1.example.com`".to_owned(),
        );
    }
    if text.len() > 253 {
        return wrong(format!("{what} is longer than 253 characters"), "shorten it".to_owned());
    }
    let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
    if let Some(bad) = text.chars().find(|c| !allowed(c)) {
        let help = match text.to_lowercase().replace(['_', ' '], "-") {
            fixed if fixed.chars().all(|c| allowed(&c)) && domain(&fixed, what).is_ok() => format!("write `{fixed}`"),
            _ => "use lower-case letters, digits, `-` and `.`".to_owned(),
        };
        return wrong(format!("{what} `{text}` contains `{bad}`"), help);
    }
    for part in text.split('.') {
        if part.is_empty() {
            return wrong(
                format!("{what} `{text}` has an empty part"),
                "put exactly one dot between parts".to_owned(),
            );
        }
        if part.len() > 63 {
            return wrong(
                format!("a part of {what} is longer than 63 characters"),
                format!("shorten `{part}`"),
            );
        }
        if part.starts_with('-') || part.ends_with('-') {
            let help = format!("let `{part}` begin and end with a letter or digit");
            return wrong(format!("a part of {what} `{text}` begins or ends with `-`"), help);
        }
    }
    Ok(())
}

/// The names and values of labels.
fn label_text(text: &str, what: &str) -> Result<(), Finding> {
    let wrong = |message: String, help: &str| Err(Finding::error(message, "not a label").with_help(help));
    if text.len() > 63 {
        return wrong(format!("{what} is longer than 63 characters"), "shorten it");
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'))
    {
        return wrong(
            format!("{what} `{text}` contains `{bad}`"),
            "use letters, digits, `-`, `_` and `.`",
        );
    }
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !ends(text.chars().next()) || !ends(text.chars().last()) {
        return wrong(
            format!("{what} `{text}` must begin and end with a letter or digit"),
            "change its first or last character",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn host_names() {
        for good in ["a", "worker-1", "w1.example.com", "0"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "Worker",
            "a_b",
            "-a",
            "a-",
            "a..b",
            ".a",
            "a.",
            "a b",
            "localhost",
            "localhost.localdomain",
            &"a".repeat(64),
            "é",
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn images() {
        for good in [
            "busybox",
            "registry.example:5000/team/app:1.0",
            "localhost/app",
            "10.0.0.1:5000/a__b/c--d.e:v1.0_X",
            "Registry.example/a",
            &format!("a.example/b@sha256:{}", "0123abcd".repeat(8)),
            &format!("a.example/b:1@sha256:{}", "0123abcd".repeat(8)),
        ] {
            assert!(good.parse::<ImageName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "https://a.example/b",
            "a b",
            "a//b",
            "a/",
            "-a",
            "a;b",
            "a:",
            "UPPER/x:1",
            "r/x@sha256:abc",
            "r/X",
            "r.example/a..b",
            "r.example/a___b",
            "r.example:port/a",
            "a@b",
        ] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn time_servers() {
        for good in ["time.example.com", "10.0.0.1", "fd00::1"] {
            assert!(good.parse::<ServerName>().is_ok(), "{good}");
        }
        let finding = "fe80::1%eth0".parse::<ServerName>().unwrap_err();
        assert!(finding.message.contains("one interface only"), "{finding:?}");
        let help = |text: &str| text.parse::<ServerName>().unwrap_err().help.unwrap();
        assert_eq!(help("ntp.corp.example iburst"), "write `ntp.corp.example` alone");
        assert_eq!(help("pool ntp.org"), "write `ntp.org` alone");
        assert_eq!(help("server 10.0.0.1 iburst minpoll 4"), "write `10.0.0.1` alone");
        assert_eq!(
            help("a.example b.example"),
            "write each one by itself: `[a.example, b.example]`"
        );
        assert_eq!(help("a:123"), "write `a`: time servers are asked at port 123");
        assert_eq!(help("Time.example"), "write `time.example`");
    }

    #[test]
    fn a_fixable_host_name_comes_with_the_fix() {
        let finding = "Worker_1".parse::<HostName>().unwrap_err();
        assert_eq!(finding.help.as_deref(), Some("write `worker-1`"));
    }

    #[test]
    fn labels_that_the_kubelet_refuses() {
        let may = |key: &str| key.parse::<LabelKey>().unwrap().kubelet_may_set();
        for good in [
            "tier",
            "example.com/tier",
            "node.kubernetes.io/pool",
            "topology.kubernetes.io/zone",
            "kubernetes.io/os",
            "failure-domain.beta.kubernetes.io/zone",
            "beta.kubernetes.io/arch",
        ] {
            assert!(may(good), "{good}");
        }
        for bad in [
            "node-role.kubernetes.io/worker",
            "kubernetes.io/tier",
            "a.k8s.io/b",
            "x.node-restriction.kubernetes.io/a",
        ] {
            assert!(!may(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_kept(text in "[ -~]{0,70}") {
            if let Ok(name) = text.parse::<HostName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.'));
            }
            let _ = text.parse::<LabelKey>();
            let _ = text.parse::<LabelValue>();
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<HostName>();
            let _ = text.parse::<LabelKey>();
            let _ = text.parse::<ServerName>();
            let _ = text.parse::<ImageName>();
        }
    }
}
