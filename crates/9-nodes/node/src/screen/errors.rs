//! Last errors in the journal, from what `journalctl --output=json` prints.
//!
//! Priorities alone would not do: containerd and the kubelet write everything at the same one, and say in their own formats
//! (logrus, klog) what is an error.

use std::process::Command;

use serde_json::Value;

/// Most errors on the screen.
const MOST: usize = 6;
/// Greatest priority that is an error (syslog(3): `LOG_ERR`).
const ERROR: u64 = 3;

/// Reads the last errors of this boot; nothing where the journal cannot be read.
///
/// Not through `basalt-process`, which is made for programs that a person waits for: it would bring interrupts, terminals
/// and ten more crates into the image.
#[expect(clippy::disallowed_methods, reason = "the agent does without basalt-process")]
pub fn last() -> Vec<String> {
    let output = Command::new("/usr/bin/journalctl")
        .args(["--boot", "--lines=400", "--output=json", "--no-pager", "--quiet"])
        .arg("--output-fields=SYSLOG_IDENTIFIER,PRIORITY,MESSAGE")
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    errors(&String::from_utf8_lossy(&text))
}

/// Finds errors in entries, one per line; the last ones, in their order, each once.
pub fn errors(entries: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for error in entries.lines().rev().filter_map(error) {
        if !found.contains(&error) {
            found.push(error);
        }
        if found.len() == MOST {
            break;
        }
    }
    found.reverse();
    found
}

fn error(entry: &str) -> Option<String> {
    let entry: Value = serde_json::from_str(entry).ok()?;
    let message = entry.get("MESSAGE")?.as_str()?;
    let program = entry
        .get("SYSLOG_IDENTIFIER")
        .and_then(Value::as_str)
        .unwrap_or("kernel");
    let priority: Option<u64> = entry
        .get("PRIORITY")
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok());
    let said = klog(message).or_else(|| logrus(message));
    let is_error = said.is_some() || priority.is_some_and(|priority| priority <= ERROR);
    is_error.then(|| format!("{program}: {}", said.unwrap_or(message).trim()))
}

/// Message of an error or a fatal error of klog: `E1129 12:00:00.000000     123 file.go:12] message`.
fn klog(message: &str) -> Option<&str> {
    let (head, text) = message.split_once("] ")?;
    let mut letters = head.chars();
    let is_error = matches!(letters.next(), Some('E' | 'F'));
    let is_date = letters.by_ref().take(4).filter(char::is_ascii_digit).count() == 4;
    (is_error && is_date && letters.next() == Some(' ')).then_some(text)
}

/// Message of an error or a fatal error of logrus: `time="..." level=error msg="..."`.
fn logrus(message: &str) -> Option<&str> {
    let is_error = message.contains("level=error") || message.contains("level=fatal");
    let start = message.find("msg=")?;
    is_error.then(|| message.get(start + 4..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(program: &str, priority: &str, message: &str) -> String {
        serde_json::json!({ "SYSLOG_IDENTIFIER": program, "PRIORITY": priority, "MESSAGE": message }).to_string()
    }

    #[test]
    fn errors_are_told_from_the_rest() {
        let kubelet = "E1129 12:00:00.123456     987 kubelet.go:12] \"Failed\" err=\"x: [y] z\"";
        let entries = [
            entry(
                "kubelet",
                "6",
                "I1129 12:00:00.123456     987 kubelet.go:12] \"Starting\"",
            ),
            entry("kubelet", "6", kubelet),
            entry("containerd", "6", "time=\"t\" level=info msg=\"started\""),
            entry(
                "containerd",
                "6",
                "time=\"t\" level=error msg=\"no space left\" error=e",
            ),
            entry("systemd", "3", "Failed to start x"),
            entry("systemd", "5", "E is no date] x"),
            serde_json::json!({ "PRIORITY": "2", "MESSAGE": "I/O error" }).to_string(),
            // A message that is not UTF-8 is an array of bytes.
            serde_json::json!({ "PRIORITY": "2", "MESSAGE": [1, 2] }).to_string(),
            "no JSON".to_owned(),
        ];
        assert_eq!(
            errors(&entries.join("\n")),
            [
                "kubelet: \"Failed\" err=\"x: [y] z\"",
                "containerd: \"no space left\" error=e",
                "systemd: Failed to start x",
                "kernel: I/O error",
            ]
        );
    }

    #[test]
    fn the_last_ones_count_and_each_once() {
        let entries: Vec<_> = (0..20)
            .map(|number| entry("a", "3", &format!("{}", number / 2)))
            .collect();
        let found = errors(&entries.join("\n"));
        assert_eq!(found, ["a: 4", "a: 5", "a: 6", "a: 7", "a: 8", "a: 9"]);
        assert!(errors("").is_empty());
    }
}
