//! Check of the clock: certificates of servers are not valid yet to a machine whose clock is in the past.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use basalt_model::BUILD_TIME;

use super::Context;
use super::report::{BUILDING, Finding, Status};

const NAME: &str = "clock";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Examines the clock.
pub fn examine(_: &Context) -> Vec<Finding> {
    let compiled = std::env::current_exe()
        .and_then(|program| program.metadata())
        .and_then(|metadata| metadata.modified());
    vec![judge(SystemTime::now(), compiled.ok())]
}

/// Judges the time by times that have passed for certain: that of this release's content, and that at which this program
/// was compiled. A day is let pass for clocks that were in another time zone.
fn judge(now: SystemTime, compiled: Option<SystemTime>) -> Finding {
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
        None => Finding::passed(NAME, tried, "later than all of them"),
        Some(result) => Finding::new(NAME, Status::Failed, tried, result)
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
            (release + 30 * DAY, None, Status::Passed),
            (release + 30 * DAY, Some(release + 20 * DAY), Status::Passed),
            (release + 30 * DAY, Some(release + 30 * DAY + DAY / 2), Status::Passed),
            (release + 30 * DAY, Some(release + 40 * DAY), Status::Failed),
            (UNIX_EPOCH, None, Status::Failed),
            (release - 3 * DAY, Some(release - 4 * DAY), Status::Failed),
        ] {
            let finding = judge(now, compiled);
            assert_eq!(finding.status, status, "{now:?} {compiled:?} {finding}");
        }
        let finding = judge(release + 30 * DAY, Some(release + 40 * DAY));
        assert_eq!(finding.result, "10 days before this program was compiled");
    }
}
