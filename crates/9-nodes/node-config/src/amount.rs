//! Amounts as Kubernetes writes them: quantities, durations, thresholds.

use std::fmt;
use std::str::FromStr;

use super::name::checked_text;
use basalt_document::Finding;

checked_text! {
    /// An amount of a resource: `100m`, `1.5`, `256Mi`.
    Quantity, |text| {
        if is_quantity(text) {
            return Ok(());
        }
        let finding = Finding::error(format!("`{text}` is not an amount"), "not an amount");
        Err(finding.with_help("write a number with or without a unit: `500m`, `2`, `256Mi`, `10Gi`"))
    }
}

checked_text! {
    /// A time span in Go's notation: `30s`, `1m30s`.
    GoDuration, |text| {
        if is_duration(text) {
            return Ok(());
        }
        let finding = Finding::error(format!("`{text}` is not a time span"), "not a time span");
        Err(finding.with_help("write numbers with units from `h`, `m`, `s` and `ms`: `30s`, `1m30s`"))
    }
}

checked_text! {
    /// When there is too little of something: an amount, or a percentage.
    Threshold, |text| {
        let percentage = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        if percentage.is_some_and(|number| (0.0..=100.0).contains(&number)) || is_quantity(text) {
            return Ok(());
        }
        let finding = Finding::error(format!("`{text}` is neither an amount nor a percentage"), "not a threshold");
        Err(finding.with_help("write `100Mi` or `10%`"))
    }
}

/// Whether text is a decimal number of units that Kubernetes knows.
fn is_quantity(text: &str) -> bool {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let units = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    is_decimal(number) && units.contains(&unit)
}

fn is_duration(text: &str) -> bool {
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        let unit = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        if !is_decimal(number) || !["h", "m", "s", "ms", "us", "µs", "ns"].contains(&unit) {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

fn is_decimal(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.matches('.').count() <= 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        for good in ["1", "100m", "1.5", "256Mi", "0"] {
            assert!(good.parse::<Quantity>().is_ok(), "{good}");
        }
        for bad in ["", "m", "1 Gi", "256MiB", "-1", "1.2.3", "."] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
        for good in ["30s", "1m30s", "1.5h", "100ms", "0"] {
            assert!(good.parse::<GoDuration>().is_ok(), "{good}");
        }
        for bad in ["", "30", "s", "1 s", "1d", "-1s"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
        for good in ["10%", "100Mi", "0%", "100%"] {
            assert!(good.parse::<Threshold>().is_ok(), "{good}");
        }
        for bad in ["101%", "%", "ten", "NaN%"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<Quantity>();
            let _ = text.parse::<GoDuration>();
            let _ = text.parse::<Threshold>();
        }
    }
}
