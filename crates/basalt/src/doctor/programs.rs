//! Checks of the host's programs: each is run.

use std::time::Duration;

use basalt_process::{Command, tool};
use basalt_sdk::DEBIAN_KEYRING as KEYRING;

use super::Context;
use super::hardware::version;
use super::outcome::ProgramOutcome;
use super::report::{BUILDING, CheckFinding, CheckStatus};
use super::store;

/// Time for a program that only tells its version.
const LIMIT: Duration = Duration::from_secs(10);
/// Oldest Rust that compiles this program.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Program of the host that makes the SDK.
struct Host {
    program: &'static str,
    /// Debian and Ubuntu package.
    package: &'static str,
    purpose: &'static str,
}

/// Programs that make the SDK. Once it is made, they are needed only for another one.
const HOST: &[Host] = &[
    host(tool::MMDEBSTRAP.program, "mmdebstrap", "makes the SDK"),
    host(
        tool::APT_GET.program,
        "apt",
        "names the Debian mirror, and resolves packages of the SDK",
    ),
    host(tool::APT_HELPER.program, "apt", "downloads from the Debian mirror"),
    host("dpkg-deb", "dpkg", "reads the packages of the SDK"),
    host("unshare", "util-linux", "makes the namespace in which the SDK is made"),
    host("mount", "mount", "shows the store to mmdebstrap"),
];

const fn host(program: &'static str, package: &'static str, purpose: &'static str) -> Host {
    Host {
        program,
        package,
        purpose,
    }
}

/// Runs the programs that build this tool and make the SDK.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let mut findings: Vec<_> = ["cargo", "rustc"]
        .into_iter()
        .map(|program| assess_rust(program, &ask(program)))
        .collect();
    findings.extend(of_the_sdk(context));
    findings.push(assess_keyring(camino::Utf8Path::new(KEYRING).is_file()));
    findings
}

/// Runs the programs that make the SDK.
pub fn of_the_sdk(context: &Context) -> Vec<CheckFinding> {
    let fault = context.sdk_fault();
    let findings = HOST.iter().map(|host| assess_host(host, &ask(host.program), fault));
    findings.collect()
}

/// Asks a program for its version.
fn ask(program: &str) -> ProgramOutcome {
    let command = Command::new(program).arg("--version").time_limit(LIMIT);
    ProgramOutcome::from(command.output())
}

fn assess_rust(program: &'static str, outcome: &ProgramOutcome) -> CheckFinding {
    let tried = format!("{program} --version");
    let text = match outcome {
        ProgramOutcome::Succeeded(text) => text,
        failed => {
            return CheckFinding::new(
                program,
                CheckStatus::Failed,
                tried,
                failed.failure().unwrap_or_default(),
            )
            .means(
                &["build", "up", "sources", "test"],
                "crates that packages need are not fetched, and this tool is not compiled again",
            )
            .help(format!(
                "install Rust {RUST} or newer: https://www.rust-lang.org/tools/install"
            ));
        }
    };
    let first = text.lines().next().unwrap_or_default();
    let found = first.split_whitespace().nth(1).and_then(version);
    if found.is_some() && found < version(RUST) {
        return CheckFinding::new(program, CheckStatus::Failed, tried, first)
            .means(
                &["build", "up", "test"],
                format!("this tool is compiled by Rust {RUST} or newer"),
            )
            .help("rustup update stable    # or a newer package of the distribution");
    }
    CheckFinding::passed(program, tried, first)
}

/// Assesses a program; `fault` is the status where it does not run.
fn assess_host(host: &Host, outcome: &ProgramOutcome, fault: CheckStatus) -> CheckFinding {
    let tried = format!("{} --version", host.program);
    let name = host.program.rsplit('/').next().unwrap_or(host.program);
    match outcome {
        ProgramOutcome::Succeeded(text) => CheckFinding::passed(name, tried, text.lines().next().unwrap_or_default()),
        failed => CheckFinding::new(name, fault, tried, failed.failure().unwrap_or_default())
            .means(BUILDING, format!("it {}", host.purpose))
            .help(install(host.package)),
    }
}

fn assess_keyring(is_there: bool) -> CheckFinding {
    let (name, tried) = ("Debian's keys", format!("test -f {KEYRING}"));
    if is_there {
        return CheckFinding::passed(name, tried, "they are there");
    }
    CheckFinding::new(name, CheckStatus::Warning, tried, "there is no such file")
        .means(
            &["sdk", "sources"],
            "`sdk lock` and `sources check` cannot verify Debian's indexes",
        )
        .help(install("debian-archive-keyring"))
}

/// Compiles and links a program, as cargo does for crates with C code and for every program.
pub fn c_compiler(context: &Context) -> Vec<CheckFinding> {
    let tried = "cc -x c - (compile and link)";
    let workspace = match store::workspace(context, "C compiler", tried) {
        Ok(workspace) => workspace,
        Err(finding) => return vec![finding],
    };
    let command = Command::new("cc")
        .args(["-x", "c", "-", "-o"])
        .arg(workspace.path().join("linked"))
        .input("#include <stdio.h>\nint main(void) { return puts(\"linked\") < 0; }\n")
        .time_limit(Duration::from_secs(30));
    vec![assess_compiler(tried, &ProgramOutcome::from(command.output()))]
}

fn assess_compiler(tried: &str, outcome: &ProgramOutcome) -> CheckFinding {
    match outcome.failure() {
        None => CheckFinding::passed("C compiler", tried, "a program was compiled and linked"),
        Some(failure) => CheckFinding::new("C compiler", CheckStatus::Failed, tried, failure)
            .means(
                &["test"],
                "this tool cannot be compiled again, which the launcher does after each change of its source",
            )
            .help(install("gcc libc6-dev")),
    }
}

fn install(packages: &str) -> String {
    format!("sudo sh -c 'apt-get update; apt-get install --no-install-recommends {packages}'    # Debian, Ubuntu")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> ProgramOutcome {
        ProgramOutcome::Succeeded(text.to_owned())
    }

    #[test]
    fn rust_has_to_be_there_and_new_enough() {
        let (major, minor) = version(RUST).expect("a version");
        for (outcome, status) in [
            (
                said(&format!("cargo {RUST}.0 (0123456 2026-01-01)")),
                CheckStatus::Passed,
            ),
            (
                said(&format!("cargo {major}.{}.0-nightly", minor + 1)),
                CheckStatus::Passed,
            ),
            (said(&format!("cargo {}.0.0", major + 1)), CheckStatus::Passed),
            (said(&format!("cargo {major}.{}.9", minor - 1)), CheckStatus::Failed),
            (said("cargo of our own"), CheckStatus::Passed),
            (ProgramOutcome::Missing, CheckStatus::Failed),
            (ProgramOutcome::TimedOut, CheckStatus::Failed),
            (
                ProgramOutcome::Failed("error: no override and no default toolchain set".to_owned()),
                CheckStatus::Failed,
            ),
        ] {
            let finding = assess_rust("cargo", &outcome);
            assert_eq!(finding.status, status, "{finding}");
            assert_eq!(finding.help.is_some(), status == CheckStatus::Failed);
        }
    }

    #[test]
    fn a_missing_program_names_its_package() {
        for host in HOST {
            assert_eq!(
                assess_host(host, &said("1.0"), CheckStatus::Failed).status,
                CheckStatus::Passed
            );
            let finding = assess_host(host, &ProgramOutcome::Missing, CheckStatus::Failed);
            assert_eq!(finding.status, CheckStatus::Failed);
            assert!(
                finding.help.is_some_and(|help| help.contains(host.package)),
                "{}",
                host.program
            );
        }
    }

    #[test]
    fn a_linker_without_a_c_library_fails() {
        let output = "/usr/bin/ld: cannot find Scrt1.o: No such file or directory";
        let finding = assess_compiler("cc", &ProgramOutcome::Failed(output.to_owned()));
        assert_eq!((finding.status, finding.result.as_str()), (CheckStatus::Failed, output));
        assert!(finding.help.is_some_and(|help| help.contains("libc6-dev")));
        assert_eq!(assess_compiler("cc", &said("")).status, CheckStatus::Passed);
    }
}
