//! CPU time of an ended program, as `/proc` shows it before the program is reaped.
//!
//! By hand because the standard library and rustix reap without `rusage`, and `RUSAGE_CHILDREN` is a sum over all children
//! of this process.

use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// Ticks per second of the times in `/proc/PID/stat` (USER_HZ): 100 on every architecture but Alpha.
const TICKS_PER_SECOND: u64 = 100;

/// True when a child has ended or does not exist; it is not reaped by the question.
pub(crate) fn has_ended(child: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(child), look), Ok(None))
}

/// User and system time of a child that has ended and was not reaped, with that of all descendants that it waited for.
pub(crate) fn time_of_ended(child: Pid) -> Option<Duration> {
    let stat = fs_err::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).ok()?;
    parse(&stat)
}

/// Sum of utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5).
fn parse(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, and may have blanks and parentheses in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let times: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    let ticks: u64 = times.iter().sum();
    (times.len() == 4).then(|| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_added_up() {
        let stat = "7 (a b) c) Z 1 7 7 0 -1 4 1 2 3 4 100 20 3000 400 20 0 1 0 9 0 0";
        assert_eq!(parse(stat), Some(Duration::from_millis(35_200)));
        assert_eq!(parse("7 (x) Z 1 7"), None);
        assert_eq!(parse(""), None);
    }
}
