//! Values that a machine tells on its serial line: `@@ NAME SHA256 BASE64 @@`, on one line.

use basalt_digest::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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
    fn a_part_of_a_value_is_none() {
        assert_eq!(told_value(&told("dGV4"), "a"), None);
        let whole = told("dGV4dA==");
        assert_eq!(told_value(whole.trim_end().trim_end_matches('@'), "a"), None);
    }
}
