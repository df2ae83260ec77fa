//! Amounts as Kubernetes writes them: quantities, durations, thresholds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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

/// The longest time span of Go, which counts nanoseconds in 64 bits: some 292 years.
const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

checked_text! {
    /// A time span in Go's notation: `30s`, `1m30s`.
    GoDuration, |text| {
        if is_duration(text) {
            if duration(text) < LONGEST {
                return Ok(());
            }
            let finding = Finding::error(format!("`{text}` is longer than the kubelet can count"), "too long");
            return Err(finding.with_help("write less than 292 years: `2562047h` and below"));
        }
        let finding = Finding::error(format!("`{text}` is not a time span"), "not a time span");
        Err(finding.with_help("write numbers with units from `h`, `m`, `s` and `ms`: `30s`, `1m30s`"))
    }
}

checked_text! {
    /// Threshold below which there is too little of something: a positive amount, or a percentage. `0%` and `100%`
    /// switch it off.
    Threshold, |text| {
        let percentage = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        if percentage.is_some_and(|number| (0.0..=100.0).contains(&number)) {
            return Ok(());
        }
        if is_quantity(text) {
            if amount(text) > 0.0 {
                return Ok(());
            }
            // The kubelet: "eviction threshold value must be positive".
            let finding = Finding::error(format!("the threshold `{text}` is zero"), "the kubelet would not start");
            return Err(finding.with_help("write `0%` to switch this threshold off"));
        }
        let finding = Finding::error(format!("`{text}` is neither an amount nor a percentage"), "not a threshold");
        Err(finding.with_help("write `100Mi` or `10%`"))
    }
}

impl Quantity {
    /// The amount in units of the resource: processors, bytes.
    pub fn amount(&self) -> f64 {
        amount(&self.0)
    }

    /// The amount where Kubernetes holds it as a whole number of 64 bits.
    ///
    /// Some of the kubelet's settings need that. `Quantity.AsInt64` of `k8s.io/apimachinery/pkg/api/resource` does not
    /// give it for what `ParseQuantity` does not take the short way with: a fraction with a binary unit (`1.5Gi`), more
    /// than some digits, `Pi` and `Ei`, and anything below 1.
    pub fn as_i64(&self) -> Option<i64> {
        let (number, unit) = self.0.split_at(end_of_number(&self.0));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.trim_start_matches('0');
        let digits = whole.len().max(1) + fraction.len();
        let value: i64 = format!("0{whole}{fraction}").parse().ok()?;
        if let Some((_, power)) = BINARY_POWERS.iter().find(|(name, _)| *name == unit) {
            let short = fraction.is_empty() && digits + usize::try_from(power * 3 / 10).ok()? < 15;
            return value.checked_mul(1_i64.checked_shl(*power)?).filter(|_| short);
        }
        let (_, power) = DECIMAL_POWERS.iter().find(|(name, _)| *name == unit)?;
        let places = u32::try_from(fraction.len()).ok()?;
        let factor = 10_i64.checked_pow(power.checked_sub(places)?)?;
        value.checked_mul(factor).filter(|_| digits <= 18)
    }
}

impl GoDuration {
    /// The time span.
    pub fn duration(&self) -> Duration {
        duration(&self.0)
    }
}

/// The time span that a text stands for; `Duration::MAX` where it is longer than that.
fn duration(text: &str) -> Duration {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(end_of_number(rest));
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let of_unit = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map_or(0.0, |(_, length)| *length);
        seconds += number.parse::<f64>().unwrap_or_default() * of_unit;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The units of Go's `time.ParseDuration`, in seconds.
const DURATION_UNITS: &[(&str, f64)] = &[
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ns", 1e-9),
];

/// The units of Kubernetes' `resource.Quantity`, and what each stands for.
const QUANTITY_UNITS: &[(&str, f64)] = &[
    ("", 1.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
];

/// Powers of ten that units stand for; those of less than 1 are not here.
const DECIMAL_POWERS: &[(&str, u32)] = &[("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Powers of two that units stand for.
const BINARY_POWERS: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// Length of the digits at the start of a text.
fn end_of_number(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len())
}

/// The amount that a quantity stands for; 0 for what is none.
fn amount(text: &str) -> f64 {
    let (number, unit) = text.split_at(end_of_number(text));
    let of_unit = QUANTITY_UNITS.iter().find(|(name, _)| *name == unit);
    number.parse::<f64>().unwrap_or_default() * of_unit.map_or(0.0, |(_, size)| *size)
}

/// Returns `true` if text is a decimal number of units that Kubernetes knows.
fn is_quantity(text: &str) -> bool {
    let (number, unit) = text.split_at(end_of_number(text));
    is_decimal(number) && QUANTITY_UNITS.iter().any(|(name, _)| *name == unit)
}

fn is_duration(text: &str) -> bool {
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(end_of_number(rest));
        let unit = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        if !is_decimal(number) || !DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
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
        for bad in [
            "",
            "30",
            "s",
            "1 s",
            "1d",
            "-1s",
            "2562048h",
            "9999999999999999999999999h",
        ] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
        for good in ["10%", "100Mi", "0%", "100%"] {
            assert!(good.parse::<Threshold>().is_ok(), "{good}");
        }
        for bad in ["101%", "%", "ten", "NaN%", "0", "0Mi"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_and_lengths() {
        let amount = |text: &str| text.parse::<Quantity>().unwrap().amount();
        for (text, expected) in [
            ("100m", 0.1),
            ("1.5", 1.5),
            ("256Mi", 268_435_456.0),
            ("0", 0.0),
            ("2k", 2000.0),
        ] {
            assert!((amount(text) - expected).abs() < 1e-9, "{text}");
        }
        let length = |text: &str| text.parse::<GoDuration>().unwrap().duration();
        assert_eq!(length("1m30s"), Duration::from_secs(90));
        assert_eq!(length("1.5h"), Duration::from_secs(5400));
        assert_eq!(length("100ms"), Duration::from_millis(100));
        assert_eq!(length("0"), Duration::ZERO);
    }

    /// Results of `AsInt64` of what `ParseQuantity` makes of these, in `k8s.io/apimachinery` 0.37.2.
    #[test]
    fn whole_numbers_of_kubernetes() {
        let whole = |text: &str| text.parse::<Quantity>().unwrap().as_i64();
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("10Mi", Some(10 << 20)),
            ("1.5G", Some(1_500_000_000)),
            ("1.5Gi", None),
            ("1.0", None),
            ("1000m", None),
            ("99Ti", Some(99 << 40)),
            ("100Ti", None),
            ("1Pi", None),
            ("9E", Some(9_000_000_000_000_000_000)),
            ("10E", None),
            ("1234567890123456789", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = text.parse::<Quantity>().map(|amount| amount.as_i64());
            let _ = text.parse::<GoDuration>().map(|time| time.duration());
            let _ = text.parse::<Threshold>();
        }
    }
}
