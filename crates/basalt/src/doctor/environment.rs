//! Checks of the environment: HOME, TMPDIR, proxies, terminal and locale.

use std::fs::Permissions;
use std::io::IsTerminal as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use basalt_process::Command;

use super::Context;
use super::outcome::ProgramOutcome;
use super::report::{BUILDING, CheckFinding, CheckStatus, STORING};

const HOME: &str = "HOME";
const TMPDIR: &str = "TMPDIR";
const PROXIES: &str = "proxies";
const TERMINAL: &str = "terminal and locale";

/// Script that shows that programs run in a folder.
const SCRIPT: &str = "#!/bin/sh\nexit 0\n";

/// Examines the variables of the environment.
pub fn examine(_: &Context) -> Vec<CheckFinding> {
    let temporary = std::env::temp_dir();
    let (_, executes) = try_folder(&temporary);
    vec![
        assess_home(&Home::read()),
        assess_temporary(&temporary.to_string_lossy(), &executes),
        assess_proxies(&proxies()),
        assess_terminal(std::io::stderr().is_terminal(), &|name| std::env::var(name).ok()),
    ]
}

/// Value and usability of HOME.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Home {
    /// The variable is not set, or empty.
    Unset,
    /// The variable has this value, which is no path from the root.
    Relative(String),
    /// The folder cannot be used, for this reason.
    Broken(String, String),
    /// Files can be made in the folder.
    Usable(String),
}

impl Home {
    fn read() -> Self {
        let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) else {
            return Self::Unset;
        };
        let path = Path::new(&home);
        let shown = path.display().to_string();
        if !path.is_absolute() {
            return Self::Relative(shown);
        }
        match tempfile::tempfile_in(path) {
            Ok(_) => Self::Usable(shown),
            Err(error) => Self::Broken(shown, error.to_string()),
        }
    }
}

/// Writes a script into a folder and runs it. Returns the path that was tried.
pub fn try_folder(folder: &Path) -> (String, ProgramOutcome) {
    let shown = folder.display().to_string();
    let written = tempfile::Builder::new()
        .prefix("basalt-doctor-")
        .tempdir_in(folder)
        .and_then(|place| {
            let script = place.path().join("script");
            fs_err::write(&script, SCRIPT)?;
            fs_err::set_permissions(&script, Permissions::from_mode(0o755))?;
            Ok((place, script))
        });
    let outcome = match written {
        Ok((_place, script)) => run_script(&script),
        Err(error) => ProgramOutcome::Failed(error.to_string()),
    };
    (shown, outcome)
}

/// Runs the script, once more where another thread's child still holds it open for writing (ETXTBSY).
fn run_script(script: &Path) -> ProgramOutcome {
    let run = || ProgramOutcome::from(Command::new(script).time_limit(Duration::from_secs(5)).output());
    match run() {
        ProgramOutcome::Failed(text) if text.contains("busy") => {
            std::thread::sleep(Duration::from_millis(100));
            run()
        }
        outcome => outcome,
    }
}

fn assess_home(home: &Home) -> CheckFinding {
    let tried = "make a file in $HOME";
    let finding = |status, result: String| CheckFinding::new(HOME, status, tried, result);
    match home {
        Home::Usable(path) => finding(CheckStatus::Passed, format!("{path} can be written")),
        Home::Unset => finding(CheckStatus::Warning, "HOME is not set".to_owned())
            .means(
                STORING,
                "the store has no default path, and cargo's folder is not found",
            )
            .help("export HOME=<your home folder>"),
        Home::Relative(path) => finding(CheckStatus::Warning, format!("HOME is `{path}`, a relative path"))
            .means(STORING, "the store has no default path")
            .help("export HOME=<your home folder, from / on>"),
        Home::Broken(path, why) => finding(CheckStatus::Warning, format!("HOME is `{path}`: {why}"))
            .means(
                STORING,
                "the store cannot be made at its default path, and cargo keeps nothing",
            )
            .help("export HOME=<a folder that you may write to>    # or BASALT_STORE and CARGO_HOME"),
    }
}

fn assess_temporary(path: &str, outcome: &ProgramOutcome) -> CheckFinding {
    let tried = format!("run a script in {path}");
    match outcome.failure() {
        None => CheckFinding::passed(TMPDIR, tried, "it runs"),
        Some(failure) => CheckFinding::new(TMPDIR, CheckStatus::Failed, tried, failure)
            .means(
                &["build", "up", "sdk", "test"],
                "compilers and mmdebstrap write temporary files there and run programs in them",
            )
            .help("export TMPDIR=<a folder that you may write to, on a file system without `noexec`>"),
    }
}

/// Returns the proxies that the environment names, as name and value.
fn proxies() -> Vec<(String, String)> {
    let names = ["http_proxy", "https_proxy", "all_proxy"];
    let names = names
        .into_iter()
        .flat_map(|name| [name.to_owned(), name.to_uppercase()]);
    names
        .filter_map(|name| Some((std::env::var(&name).ok()?, name)))
        .filter(|(value, _)| !value.is_empty())
        .map(|(value, name)| (name, value))
        .collect()
}

fn assess_proxies(proxies: &[(String, String)]) -> CheckFinding {
    let tried = "read http_proxy, https_proxy, all_proxy";
    let malformed = proxies.iter().find(|(_, value)| proxy_host(value).is_none());
    if let Some((name, _)) = malformed {
        return CheckFinding::new(
            PROXIES,
            CheckStatus::Warning,
            tried,
            format!("{name} is not the URL of a proxy"),
        )
        .means(BUILDING, "sources and packages of the SDK may not be fetched")
        .help(format!("export {name}=http://<host>:<port>    # or: unset {name}"));
    }
    if proxies.is_empty() {
        return CheckFinding::passed(PROXIES, tried, "none");
    }
    // Values may hold passwords: only hosts are shown.
    let shown: Vec<_> = proxies
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}: {}", proxy_host(value)?)))
        .collect();
    CheckFinding::passed(PROXIES, tried, shown.join(", "))
}

/// Returns host and port of a proxy: `[scheme://][user[:password]@]host[:port][/...]`.
fn proxy_host(value: &str) -> Option<&str> {
    let rest = match value.split_once("://") {
        Some((scheme, rest)) => {
            let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
            known.contains(&scheme.to_ascii_lowercase().as_str()).then_some(rest)?
        }
        None => value,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_:[]".contains(letter);
    if host.is_empty() || host.starts_with(':') || !host.chars().all(is_plain) {
        return None;
    }
    match host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((_, port)) if !host.ends_with(']') => port.parse::<u16>().ok().map(|_| host),
        _ => Some(host),
    }
}

/// Assesses terminal and locale. None of them makes a verb fail; a locale that is not UTF-8 spoils lines of progress.
fn assess_terminal(is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> CheckFinding {
    let set = |name: &&str| variable(name).is_some_and(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(set);
    let locale = locale.and_then(|name| Some((name, variable(name)?)));
    let terminal = match variable("TERM") {
        _ if !is_terminal => "standard error is no terminal: progress is plain lines".to_owned(),
        None => "TERM is not set: progress is plain lines".to_owned(),
        Some(kind) => format!("a terminal of the type {kind}"),
    };
    let tried = "read TERM, LC_ALL, LC_CTYPE, LANG";
    let is_utf8 = |value: &str| value.to_ascii_lowercase().replace('-', "").contains("utf8");
    match locale {
        Some((_, value)) if is_utf8(&value) => CheckFinding::passed(TERMINAL, tried, format!("{terminal}; {value}")),
        _ if !is_terminal => CheckFinding::passed(TERMINAL, tried, terminal),
        other => {
            let named = other.map_or_else(
                || "no locale is set".to_owned(),
                |(name, value)| format!("{name}={value}"),
            );
            CheckFinding::new(TERMINAL, CheckStatus::Warning, tried, format!("{terminal}; {named}"))
                .means(
                    &["build", "up"],
                    "bars and frames of errors may be shown as other characters",
                )
                .help("export LC_ALL=C.UTF-8")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_that_cannot_be_used_are_named() {
        let text = |text: &str| text.to_owned();
        for (home, status) in [
            (Home::Usable(text("/home/me")), CheckStatus::Passed),
            (Home::Unset, CheckStatus::Warning),
            (Home::Relative(text("me")), CheckStatus::Warning),
            (
                Home::Broken(text("/nonexistent"), text("No such file")),
                CheckStatus::Warning,
            ),
        ] {
            assert_eq!(assess_home(&home).status, status, "{home:?}");
        }
    }

    #[test]
    fn folders_are_tried_with_a_script() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, outcome) = try_folder(folder.path());
        assert_eq!(
            assess_temporary(&path, &outcome).status,
            CheckStatus::Passed,
            "{outcome:?}"
        );
        assert_eq!(
            fs_err::read_dir(folder.path()).expect("listed").count(),
            0,
            "nothing is left"
        );
        let (path, outcome) = try_folder(&folder.path().join("missing"));
        let finding = assess_temporary(&path, &outcome);
        assert_eq!(finding.status, CheckStatus::Failed, "{finding}");
    }

    #[test]
    fn proxies_are_parsed_and_passwords_not_shown() {
        for (value, host) in [
            ("http://proxy.example.org:3128", Some("proxy.example.org:3128")),
            (
                "http://me:secret@proxy.example.org:3128/",
                Some("proxy.example.org:3128"),
            ),
            ("proxy:8080", Some("proxy:8080")),
            ("socks5h://[::1]:1080", Some("[::1]:1080")),
            ("http://[fe80::1]", Some("[fe80::1]")),
            ("http://", None),
            ("http://proxy:many", None),
            ("gopher://proxy", None),
            ("http://a b", None),
            (":3128", None),
        ] {
            assert_eq!(proxy_host(value), host, "{value}");
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let finding = assess_proxies(&[pair("https_proxy", "http://me:secret@proxy:1")]);
        assert_eq!(finding.status, CheckStatus::Passed);
        assert!(!finding.to_string().contains("secret"), "{finding}");
        let finding = assess_proxies(&[
            pair("https_proxy", "http://me:secret@:x"),
            pair("HTTP_PROXY", "proxy:1"),
        ]);
        assert_eq!(finding.status, CheckStatus::Warning);
        assert!(!finding.to_string().contains("secret"), "{finding}");
        assert_eq!(assess_proxies(&[]).result, "none");
    }

    #[test]
    fn the_first_variable_of_the_locale_counts() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, bool, CheckStatus); 5] = [
            (&[("LANG", "en_US.UTF-8"), ("TERM", "xterm")], true, CheckStatus::Passed),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], true, CheckStatus::Warning),
            (&[("LC_ALL", ""), ("LANG", "C.utf8")], true, CheckStatus::Passed),
            (&[], true, CheckStatus::Warning),
            (&[], false, CheckStatus::Passed),
        ];
        for (variables, is_terminal, status) in cases {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let finding = assess_terminal(is_terminal, &variable);
            assert_eq!(finding.status, status, "{variables:?}");
        }
    }
}
