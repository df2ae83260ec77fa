//! Cases of NodeConfigs by their ends.

use std::time::{Duration, SystemTime};

use basalt_node_config::{Clock, KubeletMinor, check_for};

/// A certificate authority.
pub const CA: &str = include_str!("../certificates/ca.pem");

/// Findings about a NodeConfig that ends like this, and `true` if it can be used.
pub fn said(more: &str) -> (bool, String) {
    said_for(KubeletMinor::NEWEST, more)
}

/// The same for the kubelet of another minor version.
pub fn said_for(kubelet: KubeletMinor, more: &str) -> (bool, String) {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}{more}\n"
    );
    // 2030, when the certificate of these tests is valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    match check_for("node.yaml", &text, Clock::Right(now), kubelet) {
        Ok((_, warnings)) => (true, warnings.brief()),
        Err(problems) => (false, problems.brief()),
    }
}

/// Holds that each of these is accepted without a word.
#[track_caller]
pub fn accepted(cases: &[&str]) {
    for case in cases {
        let (good, said) = said(case);
        assert!(good && said.is_empty(), "{case}: {said}");
    }
}

/// Holds that each of these is refused with these words.
#[track_caller]
pub fn refused(cases: &[(&str, &str)]) {
    for (case, words) in cases {
        let (good, said) = said(case);
        assert!(!good && said.contains(words), "{case}: {said}");
    }
}

/// Holds that each of these is accepted with these words.
#[track_caller]
pub fn warned(cases: &[(&str, &str)]) {
    for (case, words) in cases {
        let (good, said) = said(case);
        assert!(good && said.contains(words), "{case}: {said}");
    }
}
