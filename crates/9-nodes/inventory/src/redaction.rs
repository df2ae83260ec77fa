//! What of a host's settings is shown: values that are known to be public, by the name of the setting and their form. Everything else
//! is left out, be it a secret or not.

use serde_json::Value;

use crate::syntax::{is_name, switch, words};

/// Sign in place of what is left out.
pub(crate) const HIDDEN: &str = "*";
/// Signs between a name and a value that is left out.
const BEFORE_HIDDEN: [char; 2] = ['=', ':'];
/// Parts of names of settings that are secrets.
const SECRETS: [&str; 13] = [
    "pass",
    "pwd",
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "private",
    "credential",
    "cookie",
    "psk",
    "bearer",
    "signature",
];
/// Endings of such names.
const SECRET_ENDINGS: [&str; 4] = ["key", "pw", "auth", "sig"];
/// Whole words that are such names.
const SECRET_WORDS: [&str; 13] = [
    "apikey",
    "auth",
    "authorization",
    "key",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "psk",
    "pw",
    "pwd",
    "secret",
    "token",
];
/// Units of sizes, durations and shares.
const UNITS: [&str; 25] = [
    "%", "B", "G", "GB", "Gi", "GiB", "K", "KB", "Ki", "KiB", "M", "MB", "Mi", "MiB", "T", "Ti", "d", "g", "h", "k",
    "m", "min", "ms", "s", "us",
];
/// Fields of KubeletConfiguration (v1beta1).
const KUBELET_FIELDS: &str = "address allowedUnsafeSysctls apiVersion authentication authorization cgroupDriver cgroupRoot \
    cgroupsPerQOS clusterDNS clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxFiles containerLogMaxSize \
    containerLogMaxWorkers containerLogMonitorInterval containerRuntimeEndpoint contentType cpuCFSQuota cpuCFSQuotaPeriod \
    cpuManagerPolicy cpuManagerPolicyOptions cpuManagerReconcilePeriod crashLoopBackOff defaultPodSysctls enableContentionProfiling \
    enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler enableServer \
    enableSystemLogHandler enableSystemLogQuery enforceNodeAllocatable eventBurst eventRecordQPS evictionHard \
    evictionMaxPodGracePeriod evictionMinimumReclaim evictionPressureTransitionPeriod evictionSoft evictionSoftGracePeriod \
    failCgroupV1 failSwapOn featureGates fileCheckFrequency hairpinMode healthzBindAddress healthzPort httpCheckFrequency \
    imageGCHighThresholdPercent imageGCLowThresholdPercent imageMaximumGCAge imageMinimumGCAge \
    imagePullCredentialsVerificationPolicy imageServiceEndpoint iptablesDropBit iptablesMasqueradeBit kernelMemcgNotification \
    kind kubeAPIBurst kubeAPIQPS kubeReserved kubeReservedCgroup kubeletCgroups localStorageCapacityIsolation logging \
    makeIPTablesUtilChains maxOpenFiles maxParallelImagePulls maxPods memoryManagerPolicy memoryReservationPolicy memorySwap memoryThrottlingFactor \
    mergeDefaultEvictionSettings nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency \
    nodeStatusUpdateFrequency oomScoreAdj podCIDR podLogsDir podPidsLimit podsPerCore port \
    preloadedImagesVerificationAllowlist protectKernelDefaults providerID qosReserved readOnlyPort registerNode \
    registerWithTaints registryBurst registryPullQPS reservedMemory reservedSystemCPUs resolvConf rotateCertificates \
    runOnce runtimeRequestTimeout seccompDefault serializeImagePulls serverTLSBootstrap showHiddenMetricsForVersion \
    shutdownGracePeriod shutdownGracePeriodByPodPriority shutdownGracePeriodCriticalPods singleProcessOOMKill staticPodPath \
    staticPodURL streamingConnectionIdleTimeout swapBehavior syncFrequency systemCgroups systemReserved \
    systemReservedCgroup tlsCertFile tlsCipherSuites tlsCurvePreferences tlsMinVersion tlsPrivateKeyFile \
    topologyManagerPolicy topologyManagerPolicyOptions topologyManagerScope tracing userNamespaces volumePluginDir \
    volumeStatsAggPeriod";

/// Returns `true` for a word of an inventory whose value was left out: `*`, or `name=*`.
pub fn is_hidden(word: &str) -> bool {
    word.strip_suffix(HIDDEN)
        .is_some_and(|name| name.is_empty() || name.ends_with(BEFORE_HIDDEN))
}

/// Address without name and password, query and fragment; and whether it had a name.
///
/// A password may have any characters: everything up to the last `@` is taken for one.
pub(crate) fn address(text: &str) -> (String, bool) {
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (has_name, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    (format!("{scheme}{rest}"), has_name)
}

/// Returns `true` for a name of a setting that is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['.', '/', '_', '-']).next().unwrap_or_default();
    // `imagePullCredentialsVerificationPolicy` is none.
    !name.ends_with("policy") && SECRETS.iter().any(|part| name.contains(part))
        || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || is_secret_word(last)
}

/// Returns `true` for a word that is the whole name of a secret.
pub(crate) fn is_secret_word(word: &str) -> bool {
    SECRET_WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret))
}

/// Returns `true` if the value of a setting is one of a secret: not if it is a switch, or the path in a setting for one.
pub(crate) fn hides(name: &str, value: &str) -> bool {
    let is_path = value.starts_with('/')
        && ["file", "path", "dir", "folder"]
            .iter()
            .any(|ending| name.to_ascii_lowercase().ends_with(ending));
    is_secret(name) && !is_switch(value) && !is_path
}

/// Returns `true` for a value that only switches something, and for the one in place of what is left out.
pub(crate) fn is_switch(value: &str) -> bool {
    ["", HIDDEN].contains(&value) || switch(value).is_some()
}

/// Returns `true` for numbers, sizes, durations and shares, and lists and ranges of them: `2-7,9`, `1h30m`, `0x20`, `10%`.
pub(crate) fn is_amount(value: &str) -> bool {
    value.contains(|letter: char| letter.is_ascii_digit()) && value.split([',', '-', ':', '+']).all(is_one_amount)
}

fn is_one_amount(value: &str) -> bool {
    if let Some(digits) = value.strip_prefix("0x") {
        return digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let units = value.split(|letter: char| letter.is_ascii_digit() || letter == '.');
    units.filter(|unit| !unit.is_empty()).all(|unit| UNITS.contains(&unit))
}

/// Returns `true` for a switch or an amount.
pub(crate) fn is_plain(value: &str) -> bool {
    is_switch(value) || is_amount(value)
}

/// Returns `true` for a word without signs that addresses with passwords and further settings have.
pub(crate) fn is_word(value: &str) -> bool {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "_-./,:+%".contains(letter);
    !value.is_empty() && value.chars().all(is_kept) && !value.contains("://")
}

/// Returns `true` for a name of a host, an address (with a name behind `#`, as systemd-resolved has it) or a pattern of such.
pub(crate) fn is_host(word: &str) -> bool {
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "._-:[]%*~#".contains(letter);
    let is_begun = word.ends_with(':') && !word.ends_with("::");
    !word.is_empty() && !word.starts_with('-') && !is_begun && word.chars().all(is_kept)
}

/// Hosts at the begin of a list: what follows a word that is none is left out.
pub(crate) fn hosts<'t>(words: impl IntoIterator<Item = &'t str>) -> impl Iterator<Item = String> {
    words.into_iter().take_while(|word| is_host(word)).map(str::to_owned)
}

/// Returns `true` if a list of names with spaces between them has a name.
pub(crate) fn lists(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|known| known == name)
}

/// Name that is in a list of names with spaces between them; `*` for another word.
pub(crate) fn known_or_hidden(names: &str, name: &str) -> String {
    match lists(names, name) {
        true => name.to_owned(),
        false => HIDDEN.to_owned(),
    }
}

/// First word of a command line, settings of variables before it and signs of systemd (`-`, `@`, `+`) left out. `None` where it can
/// be something else than a program.
pub(crate) fn first_word(command: &str) -> Option<String> {
    let words = words(command).into_iter();
    let mut words = words.skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_name(name)));
    let word = words.next()?;
    let word = word.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let is_program = word
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "/_.-+[]".contains(letter));
    (is_program && !word.is_empty() && word.len() <= 200).then(|| word.to_owned())
}

/// KubeletConfiguration with the values of its fields; of other fields the names and switches.
pub(crate) fn configuration(config: &Value) -> Value {
    let Value::Object(fields) = config else {
        return hidden(config);
    };
    let fields = fields.iter().filter(|(name, _)| name.as_str() != "staticPodURLHeader");
    let kept = fields.map(|(name, given)| {
        let kept = match lists(KUBELET_FIELDS, name) {
            true => field(given),
            false => hidden(given),
        };
        (name.clone(), kept)
    });
    Value::Object(kept.collect())
}

/// Value of a field that is known. Below it, names of secrets count.
fn field(given: &Value) -> Value {
    match given {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(name, given)| {
                let text = given.as_str().unwrap_or("?");
                // `key` is a taint's.
                let kept = match name != "key" && hides(name, text) {
                    true => hidden(given),
                    false => field(given),
                };
                (name.clone(), kept)
            });
            Value::Object(kept.collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(field).collect()),
        Value::String(text) if text.contains("://") => Value::String(address(text).0),
        other => other.clone(),
    }
}

/// Value without anything but switches.
fn hidden(given: &Value) -> Value {
    match given {
        Value::Bool(_) | Value::Null => given.clone(),
        Value::String(text) if is_switch(text) => given.clone(),
        _ => Value::String(HIDDEN.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_passwords() {
        for (text, kept, has_name) in [
            ("http://proxy:3128", "http://proxy:3128", false),
            ("http://me:p@ss/w?rd@proxy:3128/", "http://proxy:3128/", true),
            ("me:secret@proxy:3128", "proxy:3128", true),
            ("https://a/b?sig=abc#x", "https://a/b", false),
            ("//server/share", "//server/share", false),
        ] {
            assert_eq!(address(text), (kept.to_owned(), has_name));
        }
    }

    #[test]
    fn words_without_a_value_are_known() {
        for (word, is_without) in [
            ("*", true),
            ("token=*", true),
            ("password:*", true),
            ("a=1", false),
            ("kernel.shm*", false),
            ("*.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_hidden(word), is_without, "{word}");
        }
        assert!(is_hidden(HIDDEN));
    }

    #[test]
    fn names_of_secrets_are_known() {
        for (name, value, is_hidden) in [
            ("bootstrap-token", "x", true),
            ("wpa_psk", "x", true),
            ("rootpw", "x", true),
            ("rd.luks.key", "x", true),
            ("azure-sp-secret", "/x/abc", true),
            ("user.pin", "1234", true),
            ("authentication-token-webhook", "true", false),
            ("tlsPrivateKeyFile", "/etc/key.pem", false),
            ("passwordFile", "x", true),
            ("imagePullCredentialsVerificationPolicy", "x", false),
            ("max-pods", "110", false),
        ] {
            assert_eq!(hides(name, value), is_hidden, "{name}");
        }
    }

    #[test]
    fn amounts_are_no_words() {
        for amount in [
            "0",
            "-1",
            "2-7,9",
            "1h30m",
            "200Mi",
            "10%",
            "0x7f",
            "4.2",
            "1024:524288",
            "1G",
            "0.5",
        ] {
            assert!(is_amount(amount), "{amount}");
        }
        for word in [
            "",
            "-",
            "never",
            "abc1",
            "1abc",
            "0xzz",
            "0x00112233445566778899",
            "8f14e45fceea167a",
            "1=2",
        ] {
            assert!(!is_amount(word), "{word}");
        }
    }

    #[test]
    fn programs_have_no_arguments() {
        for (command, kept) in [
            ("-/usr/bin/backup --password x", Some("/usr/bin/backup")),
            ("AWS_SECRET=abc TOKEN='x' aws s3 sync", Some("aws")),
            ("curl -H 'Authorization: x' https://a", Some("curl")),
            ("https://user:pass@host/x", None),
            ("A=\"b c\" d", Some("d")),
            ("", None),
            ("[ -x /usr/bin/a ] && /usr/bin/a", Some("[")),
        ] {
            assert_eq!(first_word(command).as_deref(), kept, "{command}");
        }
    }

    #[test]
    fn lists_of_hosts_end_at_another_word() {
        let found: Vec<String> = hosts("a.example 10.0.0.1 --token b".split_whitespace()).collect();
        assert_eq!(found, ["a.example", "10.0.0.1"]);
        assert!(!is_host("u:x@h") && !is_host("password=x") && !is_host("password:"));
    }

    #[test]
    fn configuration_keeps_what_is_public() {
        let config = serde_json::json!({
            "maxPods": 110, "staticPodURLHeader": {"Authorization": ["x"]},
            "authentication": {"webhook": {"enabled": true, "someToken": {"a": ["abc"]}}},
            "tlsPrivateKeyFile": "/etc/key.pem", "someToken": "abc", "credentials": {"a": {"b": "abc"}}, "other": [["abc"]],
            "isOther": true, "staticPodURL": "http://a:b@c/?sig=abc", "clusterDNS": ["10.96.0.10"],
        });
        let kept = serde_json::json!({
            "maxPods": 110,
            "authentication": {"webhook": {"enabled": true, "someToken": "*"}},
            "tlsPrivateKeyFile": "/etc/key.pem", "someToken": "*", "credentials": "*", "other": "*",
            "isOther": true, "staticPodURL": "http://c/", "clusterDNS": ["10.96.0.10"],
        });
        assert_eq!(configuration(&config), kept);
    }
}
