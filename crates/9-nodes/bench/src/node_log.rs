//! Times of milestones in the journal of a node: lines of containerd and the kubelet, as the kubelet's `/logs` endpoint
//! gives them (NodeLogQuery: `journalctl --utc --output=short-precise`).
//!
//! The journal has the machine's clock, and a measurement the host's. One event is seen on both: systemd says on the
//! console and in the journal that it has started the kubelet. Everything else is so much earlier or later than that.

/// Path of the journal of containerd and the kubelet in this boot, below a node's path in the API.
pub const JOURNAL: &str = "proxy/logs/?query=containerd&query=kubelet&boot=0";

/// Text of systemd's line on the console, whichever format of units it has.
pub const SEEN_ON_BOTH: &str = "Started kubelet";
/// The same in the journal, where the kubelet has a line of its own with these words.
const REFERENCE: &str = "systemd[1]: Started kubelet";

/// Texts of the first line of each milestone that the journal tells, in their order.
const LINES: [&str; 4] = [
    "starting containerd",
    "containerd successfully booted",
    "Kubelet version",
    "Successfully registered node",
];

/// Finds the milestones in a journal. `seen` is the time of [`SEEN_ON_BOTH`] on the console, in seconds from power-on;
/// so are the times of the milestones.
///
/// # Errors
/// The text of a line that is not in the journal.
pub fn times(journal: &str, seen: f64) -> Result<[f64; LINES.len()], &'static str> {
    let reference = first(journal, REFERENCE)?;
    let mut times = [0.0; LINES.len()];
    for (time, text) in times.iter_mut().zip(LINES) {
        *time = seen + between(reference, first(journal, text)?);
    }
    Ok(times)
}

/// Time of day of the first line with a text, in seconds.
fn first(journal: &str, text: &'static str) -> Result<f64, &'static str> {
    let mut lines = journal.lines().filter(|line| line.contains(text));
    lines.find_map(time_of_day).ok_or(text)
}

/// Time of day of a line, in seconds: `Nov 25 10:11:12.123456 node-1 kubelet[420]: ...`.
fn time_of_day(line: &str) -> Option<f64> {
    let mut parts = line.split_ascii_whitespace().nth(2)?.split(':');
    let mut part = || parts.next()?.parse::<f64>().ok();
    Some((part()? * 60.0 + part()?) * 60.0 + part()?)
}

/// Seconds from one time of day to another one that is less than half a day away, before it or after it.
fn between(from: f64, to: f64) -> f64 {
    const DAY: f64 = 86_400.0;
    let seconds = to - from;
    seconds - (seconds / DAY).round() * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Journal of a first boot, shortened; the clock passes midnight.
    const JOURNAL: &str = "\
Nov 25 23:59:57.250000 node-1 systemd[1]: Starting containerd.service - containerd, the container runtime...
Nov 25 23:59:57.500000 node-1 containerd[211]: time=\"2026-11-25T23:59:57.4Z\" level=info msg=\"starting containerd\" version=2.4.2
Nov 25 23:59:59.000000 node-1 containerd[211]: time=\"2026-11-25T23:59:58.9Z\" level=info msg=\"containerd successfully booted in 1.4s\"
Nov 25 23:59:59.000001 node-1 systemd[1]: Starting kubelet.service - kubelet, the agent of Kubernetes on this node...
Nov 26 00:00:00.000000 node-1 systemd[1]: Started kubelet.service - kubelet, the agent of Kubernetes on this node.
Nov 26 00:00:01.500000 node-1 kubelet[240]: I1126 00:00:01.4 240 server.go:545] \"Kubelet version\" kubeletVersion=\"v1.37.2\"
Nov 26 00:00:04.250000 node-1 kubelet[240]: I1126 00:00:04.2 240 kubelet_node_status.go:78] \"Successfully registered node\" node=\"node-1\"
Nov 26 00:00:04.500000 node-1 kubelet[240]: I1126 00:00:04.4 240 server.go:1336] \"Started kubelet\"
Nov 26 00:01:04.250000 node-1 kubelet[288]: I1126 00:01:04.2 288 server.go:545] \"Kubelet version\" kubeletVersion=\"v1.37.2\"
";

    #[test]
    fn the_first_line_of_each_milestone_counts() {
        assert_eq!(times(JOURNAL, 10.0), Ok([7.5, 9.0, 11.5, 14.25]));
    }

    #[test]
    fn either_format_of_units_has_the_line_of_both_clocks() {
        let described = JOURNAL.replace("kubelet.service - kubelet", "kubelet");
        assert_eq!(times(&described, 10.0), times(JOURNAL, 10.0));
    }

    #[test]
    fn a_line_that_is_missing_is_named() {
        for text in LINES.iter().chain(&[REFERENCE]) {
            let rest: Vec<_> = JOURNAL.lines().filter(|line| !line.contains(text)).collect();
            assert_eq!(times(&rest.join("\n"), 10.0), Err(*text));
        }
        // A time that is none.
        assert_eq!(
            times("-- No entries --\nsystemd[1]: Started kubelet\n", 10.0),
            Err(REFERENCE)
        );
    }
}
