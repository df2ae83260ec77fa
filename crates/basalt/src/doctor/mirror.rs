//! Check of the Debian mirrors: the downloader that fetches the SDK's packages fetches the index of a suite from each,
//! until one answers.

use std::time::Duration;

use basalt_process::{Command, chain, tool};
use basalt_sdk::archive::mirrors;
use camino::Utf8Path;

use super::Context;
use super::outcome::ProgramOutcome;
use super::report::{CheckFinding, CheckStatus};
use super::store;

const NAME: &str = "Debian mirror";
/// Suite that is asked for outside of a checkout.
const STABLE: &str = "stable";
/// Most mirrors that are asked.
const MOST: usize = 4;
/// Time for one mirror, which includes the downloader's own wait for a connection.
const LIMIT: Duration = Duration::from_secs(15);
/// Options of the downloader: a dead mirror is left after seconds.
const PATIENCE: [&str; 3] = [
    "-oAcquire::http::Timeout=8",
    "-oAcquire::https::Timeout=8",
    "-oAcquire::Retries=0",
];

/// Mirror with the outcome of the download.
type Answer = (String, ProgramOutcome);

/// Asks the mirrors.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let suite = context.sdk_lock().map_or_else(|| STABLE.to_owned(), |lock| lock.suite);
    let tried = format!("apt-helper download-file <mirror>/dists/{suite}/InRelease");
    let workspace = match store::workspace(context, NAME, &tried) {
        Ok(workspace) => workspace,
        Err(finding) => return vec![finding],
    };
    let mirrors = mirrors().map_err(|error| chain(&error));
    let answers = mirrors.map(|mirrors| ask(&mirrors, &suite, workspace.path()));
    vec![assess(&tried, &answers, context.sdk_fault())]
}

/// Asks one mirror after the other, until one answers.
fn ask(mirrors: &[String], suite: &str, folder: &Utf8Path) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (number, mirror) in mirrors.iter().take(MOST).enumerate() {
        let command = Command::tool(tool::APT_HELPER)
            .args(PATIENCE)
            .arg("download-file")
            .arg(format!("{mirror}/dists/{suite}/InRelease"))
            .arg(folder.join(number.to_string()));
        let outcome = ProgramOutcome::from(command.time_limit(LIMIT).output());
        let answered = outcome.succeeded();
        answers.push((mirror.clone(), outcome));
        if answered {
            break;
        }
    }
    answers
}

/// Assesses the answers; `fault` is the status where no mirror answered.
fn assess(tried: &str, answers: &Result<Vec<Answer>, String>, fault: CheckStatus) -> CheckFinding {
    let lines: Vec<String> = match answers {
        Ok(answers) => {
            if let Some((mirror, _)) = answers.iter().find(|(_, outcome)| outcome.succeeded()) {
                return CheckFinding::passed(NAME, tried, format!("{} answers", without_password(mirror)));
            }
            let line =
                |(mirror, outcome): &Answer| format!("{}: {}", without_password(mirror), reason(mirror, outcome));
            answers.iter().map(line).collect()
        }
        Err(error) => vec![error.clone()],
    };
    let result = match lines.as_slice() {
        [] => "apt names no mirror of Debian".to_owned(),
        [only] => only.clone(),
        _ => format!("none answers\n{}", lines.join("\n")),
    };
    CheckFinding::new(NAME, fault, tried, result)
        .means(
            &["sdk", "build", "up", "sources"],
            "packages of the SDK and sources that only Debian has are not fetched",
        )
        .help(
            "sudo apt-get update    # does this work? proxies: http_proxy, or Acquire::http::Proxy of apt\n\
             export BASALT_DEBIAN_MIRROR=<URL of a mirror, which holds the folders `dists` and `pool`>",
        )
}

/// Returns the error of apt in the output of a failed download.
fn reason(mirror: &str, outcome: &ProgramOutcome) -> String {
    let text = outcome.failure().unwrap_or_default();
    let error = text.lines().find_map(|line| line.strip_prefix("E: "));
    let line = error.or_else(|| text.lines().next()).unwrap_or_default();
    line.replace(mirror, &without_password(mirror))
}

/// Returns a URL without user and password.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(mirror: &str, outcome: ProgramOutcome) -> Answer {
        (mirror.to_owned(), outcome)
    }

    fn refused(mirror: &str) -> ProgramOutcome {
        let text = format!("Err:1 {mirror}\n  Could not connect\nE: Failed to fetch {mirror}/dists/x/InRelease");
        ProgramOutcome::Failed(text)
    }

    #[test]
    fn one_mirror_that_answers_is_enough() {
        let answers = vec![
            answer("http://dead.example/debian", ProgramOutcome::TimedOut),
            answer(
                "https://me:secret@m.example/debian",
                ProgramOutcome::Succeeded(String::new()),
            ),
        ];
        let finding = assess("tried", &Ok(answers), CheckStatus::Failed);
        assert_eq!(finding.status, CheckStatus::Passed);
        assert_eq!(finding.result, "https://m.example/debian answers");
    }

    #[test]
    fn mirrors_that_do_not_answer_are_named() {
        let dead = vec![
            answer("http://dead.example/debian", ProgramOutcome::TimedOut),
            answer(
                "http://me:secret@m.example/debian",
                refused("http://me:secret@m.example/debian"),
            ),
        ];
        for (answers, named) in [
            (Ok(dead), "http://dead.example/debian: no end within the time limit"),
            (
                Ok(vec![answer("http://m.example", refused("http://m.example/debian"))]),
                "http://m.example: Failed to fetch http://m.example/debian/dists/x/InRelease",
            ),
            (
                Ok(vec![answer("http://m.example", ProgramOutcome::Missing)]),
                "there is no such program",
            ),
            (Ok(Vec::new()), "apt names no mirror"),
            (
                Err("BASALT_DEBIAN_MIRROR is `x`".to_owned()),
                "BASALT_DEBIAN_MIRROR is `x`",
            ),
        ] {
            let finding = assess("tried", &answers, CheckStatus::Failed);
            assert_eq!(finding.status, CheckStatus::Failed);
            assert!(finding.result.contains(named), "{finding}");
            assert!(
                finding.help.is_some() && !finding.to_string().contains("secret"),
                "{finding}"
            );
        }
    }
}
