//! Quantities of resources: `500m`, `2Gi`, `1e3`, as whole thousandths.
//!
//! By hand: the bindings keep a quantity as the text of the API. Sums of requests need exact arithmetic, so values are
//! integers of a thousandth; smaller parts are rounded up, as the scheduler does.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Amounts of resources by name, in thousandths of the resource's unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<String, i128>);

impl Resources {
    /// Reads the quantities of an object. One that is not a quantity counts as none: the API server admits no such value.
    pub fn read(quantities: Option<&BTreeMap<String, Quantity>>) -> Self {
        let known = quantities.into_iter().flatten();
        Self(
            known
                .filter_map(|(name, text)| Some((name.clone(), thousandths(&text.0)?)))
                .collect(),
        )
    }

    /// Returns an amount, in thousandths.
    pub fn get(&self, name: &str) -> i128 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Returns `true` if the resource is named, even with an amount of 0.
    pub fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Sets an amount, in thousandths.
    pub fn set(&mut self, name: &str, amount: i128) {
        self.0.insert(name.to_owned(), amount);
    }

    /// Adds all amounts of another.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() += amount;
        }
    }

    /// Takes all amounts of another off.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            *self.0.entry(name.clone()).or_default() -= amount;
        }
    }

    /// Raises each amount to that of another, if that is greater.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let own = self.0.entry(name.clone()).or_default();
            *own = (*own).max(*amount);
        }
    }

    /// Replaces the amounts that another names.
    pub fn overlay(&mut self, other: &Self) {
        self.0
            .extend(other.0.iter().map(|(name, amount)| (name.clone(), *amount)));
    }

    /// First resource of which a request takes more than is free here. An amount of 0 always has room.
    pub fn lacking(&self, request: &Self) -> Option<String> {
        let mut wanted = request.0.iter().filter(|(_, amount)| **amount > 0);
        wanted.find_map(|(name, amount)| (*amount > self.get(name)).then(|| name.clone()))
    }
}

/// Parses a quantity into thousandths of its unit, rounded up. Values beyond 10^30 are cut there.
pub fn thousandths(text: &str) -> Option<i128> {
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || matches!(letter, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let negative = number.starts_with('-');
    let number = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = [whole, fraction].concat();
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    let (binary, decimal) = scale(suffix)?;
    let exponent = decimal + 3 - i32::try_from(fraction.len()).ok()?;
    let scaled = value.saturating_mul(binary);
    let limit = 10_i128.pow(30);
    let amount = match u32::try_from(exponent.abs()) {
        Ok(power) if power > 30 => limit,
        Ok(power) if exponent >= 0 => scaled.saturating_mul(10_i128.pow(power)),
        Ok(power) => scaled.saturating_add(10_i128.pow(power) - 1) / 10_i128.pow(power),
        Err(_) => limit,
    };
    let amount = amount.min(limit);
    Some(if negative { -amount } else { amount })
}

/// Binary factor and decimal exponent of a suffix.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 0));
    match suffix {
        "" => Some((1, 0)),
        "n" => Some((1, -9)),
        "u" => Some((1, -6)),
        "m" => Some((1, -3)),
        "k" => Some((1, 3)),
        "M" => Some((1, 6)),
        "G" => Some((1, 9)),
        "T" => Some((1, 12)),
        "P" => Some((1, 15)),
        "E" => Some((1, 18)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-30..=30).contains(&exponent).then_some((1, exponent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_in_every_notation() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1000),
            ("250m", 250),
            ("1.5", 1500),
            (".5", 500),
            ("2k", 2_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("12E-1", 1200),
            ("3E", 3_000_000_000_000_000_000_000),
            ("100n", 1),
            ("1001u", 2),
            ("-2", -2000),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "Gi", "1X", "1 Gi", "1e", "1e99", "1.2.3", "--1", "１"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_lacks_the_first_resource_that_is_too_small() {
        let of = |pairs: &[(&str, i128)]| Resources(pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect());
        let free = of(&[("cpu", 500), ("memory", 1000)]);
        assert_eq!(free.lacking(&of(&[("cpu", 500), ("nvidia.com/gpu", 0)])), None);
        assert_eq!(free.lacking(&of(&[("cpu", 501)])).as_deref(), Some("cpu"));
        assert_eq!(
            free.lacking(&of(&[("nvidia.com/gpu", 1000)])).as_deref(),
            Some("nvidia.com/gpu")
        );
    }
}
