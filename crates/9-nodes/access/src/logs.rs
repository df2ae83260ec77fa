//! Queries of a node's journal, as the kubelet's NodeLogQuery takes them and as journalctl does.
//!
//! The kubelet runs journalctl for `GET /logs/?query=UNIT` (KEP-2258), given `enableSystemLogQuery`. It bounds a query: four
//! units, 100,000 lines, 30 s. A kubelet without it ignores the query and lists /var/log instead.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::AccessError;
use crate::node::NodeName;

/// Units that make a machine a node.
pub const NODE_UNITS: &[&str] = &["basalt-node", "containerd", "kubelet"];
/// Most units that the kubelet takes in one query.
const MOST_UNITS: usize = 4;
/// Most lines that the kubelet gives.
const MOST_LINES: u32 = 100_000;

/// Name of a systemd unit, with or without its suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitName(String);

impl FromStr for UnitName {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        // As kubelet_server_journal.go accepts them; none can be taken for an option.
        let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_.:@".contains(letter);
        if !text.is_empty() && text.len() <= 256 && text.chars().all(is_safe) && !text.starts_with('-') {
            return Ok(Self(text.to_owned()));
        }
        Err(AccessError::Value {
            what: "name of a unit",
            value: text.to_owned(),
            help: "names have letters, digits and -_.:@, as kubelet, containerd.service or basalt-images@1",
        })
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Point in time, in seconds, UTC.
///
/// Read and written by hand: of the crate `time`, the workspace has no formats (`formatting`, `parsing`), and an error of theirs would have
/// to be handled for a form that is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(OffsetDateTime);

impl UtcTime {
    /// Reads a time (`2026-11-29T12:00:00Z`, `2026-11-29 12:00`, always UTC) or an age (`90s`, `15m`, `2h`, `3d`).
    ///
    /// # Errors
    /// [`AccessError::Value`] for anything else.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, AccessError> {
        let found = age(text)
            .and_then(|age| now.checked_sub(age))
            .map(OffsetDateTime::from)
            .or_else(|| absolute(text));
        found.map(Self).ok_or_else(|| AccessError::Value {
            what: "point in time",
            value: text.to_owned(),
            help: "an age: 90s, 15m, 2h, 3d; or a time in UTC: 2026-11-29T12:00:00Z",
        })
    }

    /// Time of the system's clock.
    pub fn at(time: SystemTime) -> Self {
        Self(OffsetDateTime::from(time))
    }

    fn date(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    fn clock(self) -> String {
        let (hour, minute, second) = self.0.to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    /// Time as RFC 3339.
    pub fn rfc3339(self) -> String {
        format!("{}T{}Z", self.date(), self.clock())
    }

    /// Time as systemd.time(7).
    fn systemd(self) -> String {
        format!("{} {} UTC", self.date(), self.clock())
    }
}

fn age(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn absolute(text: &str) -> Option<OffsetDateTime> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut parts = date.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let month = Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year, month, parts.next()?.parse().ok()?).ok()?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let second = parts.next().unwrap_or("0").parse().ok()?;
    let clock = Time::from_hms(hour, minute, second).ok()?;
    Some(PrimitiveDateTime::new(date, clock).assume_utc())
}

/// Query of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    units: Vec<UnitName>,
    kernel: bool,
    since: Option<UtcTime>,
    tail: Option<u32>,
    boot: Option<i32>,
    pattern: Option<String>,
}

/// Options of a query, as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Units; those that make a node if there is none, and `all` is not set.
    pub units: Vec<String>,
    /// Entries of all units and of the kernel.
    pub all: bool,
    /// Entries of the kernel alone.
    pub kernel: bool,
    /// Time or age of the first entry.
    pub since: Option<String>,
    /// Number of the last lines.
    pub tail: Option<u32>,
    /// Boot: 0 is this one, -1 the one before.
    pub boot: Option<i32>,
    /// Regular expression (PCRE2) that entries match.
    pub pattern: Option<String>,
}

impl LogQuery {
    /// Checks the options of a query.
    ///
    /// # Errors
    /// [`AccessError::Value`] for a unit, a time, a number of lines or a boot that there cannot be.
    pub fn new(options: &LogOptions, now: SystemTime) -> Result<Self, AccessError> {
        let refused = |what, value: String, help| Err(AccessError::Value { what, value, help });
        if let Some(boot) = options.boot.filter(|boot| *boot > 0) {
            return refused("boot", boot.to_string(), "0 is this boot, -1 the one before, and so on");
        }
        if let Some(tail) = options.tail.filter(|tail| *tail > MOST_LINES) {
            return refused("number of lines", tail.to_string(), "at most 100000");
        }
        let default: &[&str] = if options.all || options.kernel { &[] } else { NODE_UNITS };
        let names: Vec<&str> = match options.units.is_empty() {
            true => default.to_vec(),
            false => options.units.iter().map(String::as_str).collect(),
        };
        Ok(Self {
            units: names.into_iter().map(str::parse).collect::<Result<_, _>>()?,
            kernel: options.kernel,
            since: options
                .since
                .as_deref()
                .map(|text| UtcTime::parse(text, now))
                .transpose()?,
            tail: options.tail,
            boot: options.boot,
            pattern: options.pattern.clone(),
        })
    }

    /// Path of the query for the kubelet, through the API server; `None` when it takes no such query.
    pub fn kubelet_path(&self, node: &NodeName) -> Option<String> {
        if self.kernel || self.units.is_empty() || self.units.len() > MOST_UNITS {
            return None;
        }
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut query: Vec<String> = self
            .units
            .iter()
            .map(|unit| format!("query={}", encoded(&unit.0)))
            .collect();
        query.extend(self.since.map(|since| format!("sinceTime={}", since.rfc3339())));
        query.extend(self.tail.map(|tail| format!("tailLines={tail}")));
        query.extend(self.boot.map(|boot| format!("boot={boot}")));
        query.extend(
            self.pattern
                .as_deref()
                .map(|pattern| format!("pattern={}", encoded(pattern))),
        );
        Some(format!("/api/v1/nodes/{node}/proxy/logs/?{}", query.join("&")))
    }

    /// Command of journalctl for the query. `follow` goes on with new entries.
    pub fn journalctl(&self, follow: bool) -> Vec<String> {
        let mut words = ["journalctl", "--utc", "--no-pager", "--output=short-precise"]
            .map(str::to_owned)
            .to_vec();
        if self.kernel {
            words.push("--dmesg".to_owned());
        }
        words.extend(self.boot.map(|boot| format!("--boot={boot}")));
        words.extend(self.since.map(|since| format!("--since={}", since.systemd())));
        words.extend(self.tail.map(|tail| format!("--lines={tail}")));
        words.extend(self.units.iter().map(|unit| format!("--unit={unit}")));
        words.extend(self.pattern.as_deref().map(|pattern| format!("--grep={pattern}")));
        if follow {
            words.push("--follow".to_owned());
        }
        words
    }
}

/// Answer of a kubelet to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogAnswer {
    /// Entries.
    Text(String),
    /// The kubelet does not know such queries, and listed its folder of logs.
    NotSupported,
    /// The journal knows none of these units.
    NoUnits(Vec<String>),
}

impl LogAnswer {
    /// Recognizes an answer.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let start = text.trim_start();
        if start.starts_with("<pre>") || start.to_ascii_lowercase().starts_with("<!doctype html") {
            return Self::NotSupported;
        }
        let missing: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let unit = line.strip_prefix("log not found for ");
                // With options, the kubelet does not look for files at all.
                let units = line.strip_prefix("options present and query resolved to log files for [");
                unit.or(units.map(|units| units.trim_end_matches(']')))
            })
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect();
        let is_remark = |line: &str| {
            line.is_empty()
                || line.starts_with("log not found for ")
                || line.starts_with("options present and query resolved")
                || line == "try without specifying options"
        };
        if !missing.is_empty() && text.lines().all(is_remark) {
            return Self::NoUnits(missing);
        }
        Self::Text(text.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        // 2026-11-29T12:00:00Z
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_953_600)
    }

    fn query(options: LogOptions) -> LogQuery {
        LogQuery::new(&options, now()).expect("a query")
    }

    #[test]
    fn times_and_ages() {
        for (text, expected) in [
            ("0s", "2026-11-29T12:00:00Z"),
            ("90s", "2026-11-29T11:58:30Z"),
            ("15m", "2026-11-29T11:45:00Z"),
            ("2h", "2026-11-29T10:00:00Z"),
            ("3d", "2026-11-26T12:00:00Z"),
            ("2026-11-29T11:00:00Z", "2026-11-29T11:00:00Z"),
            ("2026-11-29 11:05", "2026-11-29T11:05:00Z"),
            ("2026-02-28", "2026-02-28T00:00:00Z"),
        ] {
            assert_eq!(UtcTime::parse(text, now()).expect(text).rfc3339(), expected);
        }
        for text in [
            "",
            "m",
            "-5m",
            "1w",
            "yesterday",
            "2026-02-30",
            "2026-11-29T25:00",
            "12:00",
            "99999999999999999999d",
            "26-1-1",
            "é",
        ] {
            assert!(UtcTime::parse(text, now()).is_err(), "{text}");
        }
    }

    #[test]
    fn queries_become_paths() {
        let node: NodeName = "node-1".parse().expect("a name");
        let path = |options| query(options).kubelet_path(&node);
        assert_eq!(
            path(LogOptions::default()).expect("a path"),
            "/api/v1/nodes/node-1/proxy/logs/?query=basalt%2Dnode&query=containerd&query=kubelet"
        );
        let all = LogOptions {
            units: vec!["getty@tty1".into()],
            since: Some("1h".into()),
            tail: Some(50),
            boot: Some(-1),
            pattern: Some("fail|a&b".into()),
            ..LogOptions::default()
        };
        assert_eq!(
            path(all).expect("a path"),
            "/api/v1/nodes/node-1/proxy/logs/?query=getty%40tty1&sinceTime=2026-11-29T11:00:00Z&tailLines=50&boot=-1&\
             pattern=fail%7Ca%26b"
        );
        for options in [
            LogOptions {
                kernel: true,
                ..LogOptions::default()
            },
            LogOptions {
                all: true,
                ..LogOptions::default()
            },
            LogOptions {
                units: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
                ..LogOptions::default()
            },
        ] {
            assert_eq!(path(options), None);
        }
    }

    #[test]
    fn queries_become_commands() {
        let options = LogOptions {
            kernel: true,
            boot: Some(0),
            since: Some("2026-11-29".into()),
            tail: Some(9),
            pattern: Some("oom".into()),
            ..LogOptions::default()
        };
        assert_eq!(
            query(options).journalctl(true).join(" "),
            "journalctl --utc --no-pager --output=short-precise --dmesg --boot=0 --since=2026-11-29 00:00:00 UTC --lines=9 \
             --grep=oom --follow"
        );
        let units = query(LogOptions::default()).journalctl(false).join(" ");
        assert!(
            units.ends_with("--unit=basalt-node --unit=containerd --unit=kubelet"),
            "{units}"
        );
    }

    #[test]
    fn queries_that_cannot_be_are_refused() {
        for options in [
            LogOptions {
                boot: Some(1),
                ..LogOptions::default()
            },
            LogOptions {
                tail: Some(100_001),
                ..LogOptions::default()
            },
            LogOptions {
                units: vec!["--root=/".into()],
                ..LogOptions::default()
            },
            LogOptions {
                units: vec!["a b".into()],
                ..LogOptions::default()
            },
            LogOptions {
                since: Some("soon".into()),
                ..LogOptions::default()
            },
        ] {
            assert!(LogQuery::new(&options, now()).is_err(), "{options:?}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        for (text, expected) in [
            ("Nov 29 kubelet: x\n", LogAnswer::Text("Nov 29 kubelet: x\n".into())),
            ("", LogAnswer::Text(String::new())),
            ("<!doctype html>\n<pre>\n<a href=\"pods/\">", LogAnswer::NotSupported),
            ("<pre>\n<a href=\"pods/\">pods/</a>", LogAnswer::NotSupported),
            ("\nlog not found for nix\n", LogAnswer::NoUnits(vec!["nix".into()])),
            (
                "\noptions present and query resolved to log files for [a b]\ntry without specifying options\n",
                LogAnswer::NoUnits(vec!["a".into(), "b".into()]),
            ),
            (
                "Nov 29 kubelet: x\n\nlog not found for nix\n",
                LogAnswer::Text("Nov 29 kubelet: x\n\nlog not found for nix\n".into()),
            ),
        ] {
            assert_eq!(LogAnswer::parse(text.as_bytes()), expected, "{text:?}");
        }
    }
}
