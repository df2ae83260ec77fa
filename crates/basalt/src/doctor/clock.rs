//! Check of the clock: certificates of servers are not valid yet to a machine whose clock is in the past.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use basalt_release::BUILD_TIME;

use super::Context;
use super::report::{BUILDING, CheckFinding, CheckStatus};

const NAME: &str = "clock";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Examines the clock.
pub fn examine(_: &Context) -> Vec<CheckFinding> {
    let compiled = std::env::current_exe()
        .and_then(|program| program.metadata())
        .and_then(|metadata| metadata.modified());
    vec![assess(SystemTime::now(), compiled.ok())]
}

/// Assesses the time by times that have passed for certain: that of this release's content, and that at which this program
/// was compiled. A day is let pass for clocks that were in another time zone.
fn assess(now: SystemTime, compiled: Option<SystemTime>) -> CheckFinding {
    let release = UNIX_EPOCH + Duration::from_secs(BUILD_TIME);
    let past = [
        (release, "this release was made"),
        (compiled.unwrap_or(release), "this program was compiled"),
    ];
    let late = past.into_iter().find_map(|(time, event)| {
        let behind = time.duration_since(now).ok().filter(|behind| *behind > DAY)?;
        Some(format!("{} days before {event}", behind.as_secs() / DAY.as_secs()))
    });
    let tried = "compare the clock with times that have passed";
    match late {
        None => CheckFinding::passed(NAME, tried, "later than all of them"),
        Some(result) => CheckFinding::new(NAME, CheckStatus::Failed, tried, result)
            .means(BUILDING, "certificates of servers and of the cluster are not valid yet")
            .help("sudo timedatectl set-ntp true    # or: sudo date --set=<the right time>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_past_is_found() {
        let release = UNIX_EPOCH + Duration::from_secs(BUILD_TIME);
        for (now, compiled, status) in [
            (release + 30 * DAY, None, CheckStatus::Passed),
            (release + 30 * DAY, Some(release + 20 * DAY), CheckStatus::Passed),
            (
                release + 30 * DAY,
                Some(release + 30 * DAY + DAY / 2),
                CheckStatus::Passed,
            ),
            (release + 30 * DAY, Some(release + 40 * DAY), CheckStatus::Failed),
            (UNIX_EPOCH, None, CheckStatus::Failed),
            (release - 3 * DAY, Some(release - 4 * DAY), CheckStatus::Failed),
        ] {
            let finding = assess(now, compiled);
            assert_eq!(finding.status, status, "{now:?} {compiled:?} {finding}");
        }
        let finding = assess(release + 30 * DAY, Some(release + 40 * DAY));
        assert_eq!(finding.result, "10 days before this program was compiled");
    }
}
