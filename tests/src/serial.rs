//! A machine's serial line: its text, and values that the machine tells there as `@@ NAME SHA256 BASE64 @@`, on one line.

use basalt_digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::Utf8Path;

/// Text of a console's log as far as it was written, in plain lines.
pub fn console_text(log: &Utf8Path) -> String {
    basalt_machine::plain_lines(&fs_err::read(log).unwrap_or_default()).join("\n")
}

/// Last lines of a console's log, for messages.
pub fn console_end(log: &Utf8Path) -> String {
    let text = console_text(log);
    let lines: Vec<_> = text.lines().collect();
    let (_, last) = lines.split_at(lines.len().saturating_sub(60));
    last.join("\n")
}

/// Returns the value of a name in a console's text: the first that is whole. A message of the kernel in the middle of one
/// spoils it; the machine is to tell each several times.
pub fn told_value(text: &str, name: &str) -> Option<String> {
    let start = format!("@@ {name} ");
    text.split(&start).skip(1).find_map(whole)
}

fn whole(rest: &str) -> Option<String> {
    let mut words = rest.split_whitespace();
    let (digest, encoded) = (words.next()?, words.next()?);
    if words.next()? != "@@" || Digest::of(encoded).to_hex() != digest {
        return None;
    }
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(encoded: &str) -> String {
        format!("@@ a {} {encoded} @@\r\n", Digest::of("dGV4dA==").to_hex())
    }

    #[test]
    fn a_whole_value_is_found_after_a_spoilt_one() {
        let text = format!("{}noise\r\n{}", told("dGV4[  1.0] usb: newdA=="), told("dGV4dA=="));
        assert_eq!(told_value(&text, "a").as_deref(), Some("text"));
        assert_eq!(told_value(&text, "b"), None);
    }

    #[test]
    fn a_value_is_found_between_other_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Utf8Path::from_path(folder.path()).expect("UTF-8").join("console.log");
        let noise = "\u{1b}[0;32m[  OK  ]\u{1b}[0m Started kubelet.\r\n";
        fs_err::write(&log, [noise, &told("dGV4dA=="), &told("dGV4dA=="), noise].concat()).expect("written");
        let text = console_text(&log);
        assert_eq!(told_value(&text, "a").as_deref(), Some("text"));
        assert!(console_end(&log).ends_with("\n[  OK  ] Started kubelet."), "{text}");
    }

    #[test]
    fn a_part_of_a_value_is_none() {
        assert_eq!(told_value(&told("dGV4"), "a"), None);
        let whole = told("dGV4dA==");
        assert_eq!(told_value(whole.trim_end().trim_end_matches('@'), "a"), None);
    }
}
