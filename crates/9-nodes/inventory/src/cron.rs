//! Jobs of cron. Of a command, only the program is kept: arguments have passwords, often enough.

use std::collections::BTreeSet;

use crate::HostCronJob;
use crate::host_files::HostFiles;
use crate::redaction::{clipped, program};
use crate::syntax::is_name;

/// Folders whose scripts are run at times.
const FOLDERS: [&str; 4] = ["hourly", "daily", "weekly", "monthly"];

/// Reads the tables of the system and of accounts, and the folders of scripts.
pub(crate) fn read(files: &mut HostFiles<'_>, conffiles: &BTreeSet<String>) -> Vec<HostCronJob> {
    let mut jobs = Vec::new();
    let mut paths = vec!["/etc/crontab".to_owned(), "/etc/anacrontab".to_owned()];
    paths.extend(files.paths("/etc/cron.d", ""));
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        let is_of_package = conffiles.contains(&path);
        jobs.extend(text.lines().filter_map(|line| job(line, true)).map(|job| HostCronJob {
            file: path.clone(),
            is_of_package,
            ..job
        }));
    }
    for user in files.names("/var/spool/cron/crontabs") {
        let path = format!("/var/spool/cron/crontabs/{user}");
        let text = files.text(&path).unwrap_or_default();
        jobs.extend(text.lines().filter_map(|line| job(line, false)).map(|job| HostCronJob {
            file: path.clone(),
            user: Some(clipped(&user)),
            ..job
        }));
    }
    for times in FOLDERS {
        for path in files.paths(&format!("/etc/cron.{times}"), "") {
            let name = path.rsplit('/').next().unwrap_or_default();
            jobs.push(HostCronJob {
                schedule: times.to_owned(),
                program: program(name),
                is_of_package: conffiles.contains(&path),
                file: path,
                user: None,
            });
        }
    }
    jobs
}

/// Job of a line; `None` for comments and settings of variables.
fn job(line: &str, has_user: bool) -> Option<HostCronJob> {
    let line = line.trim();
    let is_setting = line.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
    if line.is_empty() || line.starts_with('#') || is_setting {
        return None;
    }
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word.to_owned()
    };
    let first = word();
    let schedule = match first.starts_with('@') {
        true => first,
        false => {
            let others = [word(), word(), word(), word()];
            format!("{first} {}", others.join(" "))
        }
    };
    let user = has_user.then(&mut word);
    Some(HostCronJob {
        file: String::new(),
        schedule: clipped(&schedule),
        user: user.map(|user| clipped(&user)),
        program: program(rest),
        is_of_package: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_no_arguments() {
        let found = job("*/5 * * * * root  PGPASSWORD=x /usr/bin/pg_dump -U app", true).expect("a job");
        assert_eq!(
            (found.schedule.as_str(), found.user.as_deref()),
            ("*/5 * * * *", Some("root"))
        );
        assert_eq!(found.program.as_deref(), Some("/usr/bin/pg_dump"));
        let found = job("@reboot sysctl -w vm.max_map_count=1", false).expect("a job");
        assert_eq!(
            (found.schedule.as_str(), found.program.as_deref()),
            ("@reboot", Some("sysctl"))
        );
        assert_eq!(
            (job("MAILTO=root", true), job("# x", true), job("", false)),
            (None, None, None)
        );
        assert_eq!(job("1", true).and_then(|job| job.program), None);
    }
}
