//! Values as text of the timings page.

/// A time as `12.3 s`, `4 min 05 s` or `1 h 02 min`.
pub(super) fn seconds(time: f64) -> String {
    if time < 99.95 {
        return format!("{time:.1} s");
    }
    let (whole, minutes) = (time.round(), (time.round() / 60.0).floor());
    if minutes < 60.0 {
        format!("{minutes} min {:02} s", whole - minutes * 60.0)
    } else {
        format!("{} h {:02} min", (minutes / 60.0).floor(), minutes % 60.0)
    }
}

/// A share as `12.3 %`.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// Text for an element or an attribute in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (time, text) in [
            (0.0, "0.0 s"),
            (12.34, "12.3 s"),
            (99.94, "99.9 s"),
            (99.96, "1 min 40 s"),
            (245.2, "4 min 05 s"),
            (3720.0, "1 h 02 min"),
        ] {
            assert_eq!(seconds(time), text);
        }
    }

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escape("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
