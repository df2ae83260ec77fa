//! Jobs of cron. Of a command, only the program is kept: arguments have passwords, often enough.

use std::collections::BTreeSet;

use crate::HostCronJob;
use crate::host_files::HostFiles;
use crate::programs::program;
use crate::redaction::first_word;
use crate::syntax::is_name;

/// Folders whose scripts are run at times.
const FOLDERS: [&str; 4] = ["hourly", "daily", "weekly", "monthly"];
/// Names of times.
const TIMES: [&str; 8] = [
    "@annually",
    "@daily",
    "@hourly",
    "@midnight",
    "@monthly",
    "@reboot",
    "@weekly",
    "@yearly",
];
/// Names of months and days.
const NAMES: [&str; 19] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mon", "tue", "wed", "thu",
    "fri", "sat", "sun",
];
const ANACRONTAB: &str = "/etc/anacrontab";

/// Reads the tables of the system and of accounts, and the folders of scripts.
pub(crate) fn read(files: &mut HostFiles<'_>, conffiles: &BTreeSet<String>) -> Vec<HostCronJob> {
    let mut jobs = Vec::new();
    let passwd = files.text("/etc/passwd").unwrap_or_default();
    let accounts = accounts(&passwd);
    let mut paths = vec!["/etc/crontab".to_owned(), ANACRONTAB.to_owned()];
    paths.extend(files.paths("/etc/cron.d", ""));
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        let is_of_package = conffiles.contains(&path);
        let found = text.lines().filter_map(|line| match path == ANACRONTAB {
            true => anacron_job(files, line),
            false => job(files, line, Some(&accounts)),
        });
        let found = found.map(|job| HostCronJob {
            file: path.clone(),
            is_of_package,
            ..job
        });
        let found: Vec<HostCronJob> = found.collect();
        jobs.extend(found);
    }
    for user in files.names("/var/spool/cron/crontabs") {
        let path = format!("/var/spool/cron/crontabs/{user}");
        let text = files.text(&path).unwrap_or_default();
        let found = text.lines().filter_map(|line| job(files, line, None));
        let found = found.map(|job| HostCronJob {
            file: path.clone(),
            user: Some(user.clone()),
            ..job
        });
        let found: Vec<HostCronJob> = found.collect();
        jobs.extend(found);
    }
    for times in FOLDERS {
        for path in files.paths(&format!("/etc/cron.{times}"), "") {
            let name = path.rsplit('/').next().unwrap_or_default();
            jobs.push(HostCronJob {
                schedule: times.to_owned(),
                program: first_word(name),
                is_of_package: conffiles.contains(&path),
                file: path,
                user: None,
            });
        }
    }
    files.bound_by(&mut jobs, |job| &job.file);
    jobs
}

/// Names of accounts.
fn accounts(passwd: &str) -> BTreeSet<&str> {
    let names = passwd.lines().filter_map(|line| Some(line.split_once(':')?.0));
    names.chain(["root"]).collect()
}

/// Job of a line; `None` for comments, settings of variables and what else has no times at its begin. A line whose account there is
/// not has forgotten it: no other word of it is kept.
fn job(files: &HostFiles<'_>, line: &str, accounts: Option<&BTreeSet<&str>>) -> Option<HostCronJob> {
    let line = line.trim();
    let is_setting = line.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
    if line.is_empty() || line.starts_with('#') || is_setting {
        return None;
    }
    let (first, after) = word(line);
    let (schedule, mut rest) = match TIMES.contains(&first) {
        true => (first.to_owned(), after),
        false => times(line)?,
    };
    let user = match accounts {
        None => None,
        Some(accounts) => {
            let (user, after) = word(rest);
            let is_known = accounts.contains(user);
            rest = if is_known { after } else { "" };
            is_known.then(|| user.to_owned())
        }
    };
    Some(HostCronJob {
        schedule,
        user,
        program: program(files, rest),
        ..HostCronJob::default()
    })
}

/// Job of a line of anacron: a period in days or its name, a delay in minutes, the job's name, a command. It runs as root.
fn anacron_job(files: &HostFiles<'_>, line: &str) -> Option<HostCronJob> {
    let (period, rest) = word(line.trim());
    let (delay, rest) = word(rest);
    let (_, command) = word(rest);
    let is_number = |text: &str| !text.is_empty() && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(delay) || command.is_empty() {
        return None;
    }
    let schedule = match TIMES.contains(&period) {
        true => period.to_owned(),
        false if is_number(period) => format!("every {period} days"),
        false => return None,
    };
    Some(HostCronJob {
        schedule,
        user: Some("root".to_owned()),
        program: program(files, command),
        ..HostCronJob::default()
    })
}

/// First word of a line, and what follows.
fn word(line: &str) -> (&str, &str) {
    let (word, after) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, after.trim_start())
}

/// Five fields of times, and what follows.
fn times(line: &str) -> Option<(String, &str)> {
    let mut fields = Vec::new();
    let mut rest = line;
    for _ in 0..5 {
        let (field, after) = word(rest);
        if !is_time(field) {
            return None;
        }
        fields.push(field);
        rest = after;
    }
    Some((fields.join(" "), rest))
}

/// Returns `true` for a field of times: `*/5`, `1-5,7`, `mon-fri`.
fn is_time(field: &str) -> bool {
    let mut parts = field.split(['*', '/', ',', '-', '~']).filter(|part| !part.is_empty());
    !field.is_empty()
        && field.len() <= 200
        && parts.all(|part| {
            let is_number = part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number || NAMES.iter().any(|name| part.eq_ignore_ascii_case(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnobservedReason;

    #[test]
    fn commands_have_no_arguments() {
        let root = tempfile::tempdir().expect("a folder");
        fs_err::create_dir_all(root.path().join("sbin/sysctl")).expect("made");
        let files = HostFiles::new(root.path());
        let accounts = accounts("app:x:1:1::/:/bin/sh\n");
        let of_system = |line: &str| job(&files, line, Some(&accounts));
        let found = of_system("*/5 * * * mon-fri app  PGPASSWORD=x /usr/bin/pg_dump -U app").expect("a job");
        assert_eq!(
            (found.schedule.as_str(), found.user.as_deref()),
            ("*/5 * * * mon-fri", Some("app"))
        );
        assert_eq!(found.program.as_deref(), Some("/usr/bin/pg_dump"));
        let found = job(&files, "@reboot sysctl -w vm.max_map_count=1", None).expect("a job");
        assert_eq!(
            (found.schedule.as_str(), found.program.as_deref()),
            ("@reboot", Some("sysctl"))
        );
        for line in [
            "MAILTO=root",
            "# x",
            "",
            "hunter2 b c d e root f",
            "1 2",
            "\"PW\"=\"x b c d e f\"",
        ] {
            assert_eq!(of_system(line), None, "{line}");
        }
        for line in [
            "0 1 * * * /usr/bin/backup hunter2",
            "0 3 * * * root hunter2",
            "0 1 * * *",
        ] {
            let found = of_system(line).expect("a job");
            assert!(!format!("{found:?}").contains("hunter2"), "{line}");
            assert_eq!(found.program, None, "{line}");
        }
    }

    #[test]
    fn tables_of_anacron_have_no_accounts() {
        let root = tempfile::tempdir().expect("a folder");
        let files = HostFiles::new(root.path());
        let found = anacron_job(&files, "7 10 backup /usr/local/bin/backup hunter2 now").expect("a job");
        assert_eq!(
            (found.schedule.as_str(), found.program.as_deref()),
            ("every 7 days", Some("/usr/local/bin/backup"))
        );
        assert_eq!(
            anacron_job(&files, "@monthly 45 x run-parts y")
                .expect("a job")
                .schedule,
            "@monthly"
        );
        for line in ["SHELL=/bin/sh", "# a b c d", "1 5 x", "hunter2 5 x y"] {
            assert_eq!(anacron_job(&files, line), None, "{line}");
        }
    }

    #[test]
    fn jobs_are_bounded() {
        let root = tempfile::tempdir().expect("a folder");
        fs_err::create_dir_all(root.path().join("etc")).expect("made");
        fs_err::write(
            root.path().join("etc/crontab"),
            "* * * * * root /bin/a\n".repeat(30_000),
        )
        .expect("written");
        let mut files = HostFiles::new(root.path());
        assert_eq!(read(&mut files, &BTreeSet::new()).len(), 4096);
        let missed = files.finish();
        assert_eq!(missed.len(), 1);
        assert_eq!(
            (missed[0].path.as_str(), missed[0].reason),
            ("/etc/crontab", UnobservedReason::TooMany)
        );
    }
}
