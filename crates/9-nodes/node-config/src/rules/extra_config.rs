//! Fields of `kubelet.extraConfig` against those of KubeletConfiguration.
//!
//! ```text
//! fields.rs      names, types and limits of all fields, by the kubelet's types
//! values.rs      texts that some of them take
//! conditions.rs  conditions between fields, and between them and what the agent or a feature gate puts beside them
//! ```

mod conditions;
mod fields;
mod values;

use serde_json::{Map, Value};

use self::fields::{FIELDS, FieldKind, SINCE};
use crate::amount::{GoDuration, Quantity};
use crate::finder::Finder;
use crate::minor::KubeletMinor;
use crate::raw;
use basalt_document::spelling::suggestion;
use basalt_document::{Finding, Path};

/// Label of what the kubelet does not take.
const NO_START: &str = "the kubelet would not start";

/// Checks the kubelet part, whose path is given.
pub(super) fn check(finder: &mut Finder<'_>, path: &Path, kubelet: &raw::Kubelet) {
    let place = path.key("extraConfig");
    let fields: Map<_, _> = kubelet.extra_config.clone().into_iter().collect();
    object(finder, &place, "KubeletConfiguration", FIELDS, &fields);
    newer(finder, &place, &fields);
    conditions::check(finder, path, kubelet);
    open_doors(finder, &place, &fields);
    never_ready(finder, &place, &fields);
}

/// Fields that the kubelet does not have yet.
fn newer(finder: &mut Finder<'_>, path: &Path, given: &Map<String, Value>) {
    let kubelet = finder.kubelet();
    for (name, since) in SINCE {
        if given.contains_key(*name) && kubelet < *since {
            let message = format!("KubeletConfiguration of Kubernetes {kubelet} has no field `{name}`");
            let finding = Finding::error(message, "unknown");
            let help = format!("remove it: it is there since Kubernetes {since}");
            finder.say(&path.key(*name), finding.with_help(help));
        }
    }
}

fn object(
    finder: &mut Finder<'_>,
    path: &Path,
    name: &str,
    known: &'static [(&str, FieldKind)],
    given: &Map<String, Value>,
) {
    for (key, value) in given {
        let place = path.key(key);
        if let Some((_, kind)) = known.iter().find(|(known, _)| known == key) {
            field(finder, &place, key, kind, value);
            continue;
        }
        let finding = Finding::error(format!("{name} has no field `{key}`"), "unknown");
        let names = known.iter().map(|(name, _)| *name);
        let help = suggestion(key, names.clone(), || {
            if known.len() > 20 {
                "its fields are documented with `kubelet.config.k8s.io/v1beta1`".to_owned()
            } else {
                format!("it has {}", backticked(names))
            }
        });
        finder.say(&place, finding.with_help(help));
    }
}

fn field(finder: &mut Finder<'_>, path: &Path, name: &str, kind: &FieldKind, value: &Value) {
    let finding = match (kind, value) {
        (FieldKind::Object(fields), Value::Object(given)) => {
            return object(finder, path, &format!("`{name}`"), fields, given);
        }
        (FieldKind::Map(kind), Value::Object(given)) => {
            return given
                .iter()
                .for_each(|(key, value)| field(finder, &path.key(key), key, kind, value));
        }
        (FieldKind::List(kind), Value::Array(items)) => {
            return items
                .iter()
                .enumerate()
                .for_each(|(index, value)| field(finder, &path.index(index), name, kind, value));
        }
        _ => of_kind(name, kind, value),
    };
    if let Some(finding) = finding {
        finder.say(path, finding);
    }
}

/// Objection to a value without parts, or to a field that is not to be written here.
fn of_kind(name: &str, kind: &FieldKind, value: &Value) -> Option<Finding> {
    match kind {
        FieldKind::Bool if value.is_boolean() => None,
        FieldKind::Text if value.is_string() => None,
        FieldKind::Integer(least, most) => match value.as_i64() {
            Some(number) if (*least..=*most).contains(&number) => None,
            _ if value.is_i64() || value.is_u64() => Some(out_of_range(name, value, least, most)),
            _ => Some(mistyped(name, "a whole number")),
        },
        FieldKind::OneOf(numbers) if value.as_i64().is_some_and(|number| numbers.contains(&number)) => None,
        FieldKind::OneOf(numbers) => Some(unknown_word(name, value, backticked(numbers.iter()))),
        FieldKind::Fraction => match value.as_f64() {
            Some(number) if number > 0.0 && number <= 1.0 => None,
            Some(_) => Some(out_of_range(name, value, &"more than 0", &1)),
            None => Some(mistyped(name, "a number")),
        },
        FieldKind::Choice(words) => match value.as_str() {
            Some(text) if words.contains(&text) => None,
            Some(_) => Some(unknown_word(name, value, backticked(words.iter()))),
            None => Some(mistyped(name, "text")),
        },
        FieldKind::Checked(check) => match value.as_str() {
            Some(text) => check(text).err(),
            None => Some(mistyped(name, "text")),
        },
        FieldKind::Amount => quantity(value)
            .is_none()
            .then(|| mistyped(name, "an amount such as `256Mi`")),
        FieldKind::Time(least, most) => match value.as_str().map(str::parse::<GoDuration>) {
            None => Some(mistyped(name, "a time span such as `30s`")),
            Some(Err(finding)) => Some(finding),
            Some(Ok(time)) if time.duration() < *least => Some(out_of_time(name, &time, "shorter", *least)),
            Some(Ok(time)) if time.duration() > *most => Some(out_of_time(name, &time, "longer", *most)),
            Some(Ok(_)) => None,
        },
        FieldKind::Elsewhere(own) => {
            let finding = Finding::error(format!("`{name}` has a place of its own"), "not here");
            Some(finding.with_help(format!("write it as `{own}`")))
        }
        FieldKind::Agent(reason) => {
            let finding = Finding::error(format!("`{name}` is the agent's to set: {reason}"), "not here");
            Some(finding.with_help("remove this line"))
        }
        FieldKind::Bool => Some(mistyped(name, "`true` or `false`")),
        FieldKind::Text => Some(mistyped(name, "text")),
        FieldKind::List(_) => Some(mistyped(name, "a list")),
        FieldKind::Map(_) | FieldKind::Object(_) => Some(mistyped(name, "keys with values")),
    }
}

/// A quantity, which may be written without quotes.
pub(super) fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn mistyped(name: &str, wanted: &str) -> Finding {
    Finding::error(format!("`{name}` must be {wanted}"), NO_START).with_help(format!("write {wanted}"))
}

fn out_of_range(name: &str, value: &Value, least: &dyn std::fmt::Display, most: &dyn std::fmt::Display) -> Finding {
    Finding::error(format!("{value} is out of range for `{name}`"), NO_START)
        .with_help(format!("write a number from {least} to {most}"))
}

fn out_of_time(name: &str, time: &GoDuration, relation: &str, limit: std::time::Duration) -> Finding {
    Finding::error(format!("`{time}` is {relation} than {limit:?}"), NO_START)
        .with_help(format!("`{name}` may be `{limit:?}`"))
}

fn unknown_word(name: &str, value: &Value, words: String) -> Finding {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Finding::error(format!("`{value}` is not a word for `{name}`"), NO_START).with_help(format!("write one of {words}"))
}

fn backticked<T: std::fmt::Display>(words: impl Iterator<Item = T>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Help on a field of KubeletConfiguration that stands beside `extraConfig` and not in it; `None` for what is no field.
pub(super) fn place(name: &str) -> Option<String> {
    let (_, kind) = FIELDS.iter().find(|(known, _)| *known == name)?;
    Some(match kind {
        FieldKind::Elsewhere(own) => format!("write it as `{own}`"),
        FieldKind::Agent(reason) => format!("remove it: this is the agent's to set, {reason}"),
        _ => "write it below `kubelet.extraConfig`".to_owned(),
    })
}

/// Values with which the kubelet starts, and serves whoever asks.
fn open_doors(finder: &mut Finder<'_>, path: &Path, fields: &Map<String, Value>) {
    let anonymous = fields
        .get("authentication")
        .and_then(|value| value.pointer("/anonymous/enabled"));
    let mode = fields.get("authorization").and_then(|value| value.get("mode"));
    let read_only = fields.get("readOnlyPort").and_then(Value::as_i64).unwrap_or_default();
    let doors = [
        (
            "authentication",
            anonymous == Some(&Value::Bool(true)),
            "anybody may speak to the kubelet",
        ),
        (
            "authorization",
            mode.and_then(Value::as_str) == Some("AlwaysAllow"),
            "whoever is let in may do everything on this node",
        ),
        (
            "readOnlyPort",
            read_only != 0,
            "the kubelet tells everybody about the pods of this node",
        ),
    ];
    for (key, open, consequence) in doors {
        if open {
            let finding = Finding::warning(format!("with this, {consequence}"), "an open door");
            finder.say(
                &path.key(key),
                finding.with_help("remove this unless the network keeps others out"),
            );
        }
    }
}

/// Fields that let the kubelet start, and the machine start again and again.
fn never_ready(finder: &mut Finder<'_>, path: &Path, fields: &Map<String, Value>) {
    if fields.get("registerNode") == Some(&Value::Bool(false)) {
        let message = "this machine makes no Node of itself: it is not Ready until somebody else makes one";
        let finding = Finding::warning(message, "never Ready by itself");
        let help = "remove this line: a machine that is not Ready in time starts again";
        finder.say(&path.key("registerNode"), finding.with_help(help));
    }
}

/// Returns `true` unless a field is the agent's or has a place of its own.
fn is_open(kind: &FieldKind) -> bool {
    !matches!(kind, FieldKind::Elsewhere(_) | FieldKind::Agent(_))
}

/// Returns `true` for a field that would be looked for in `extraConfig`: one of those that may be given there, or one that no
/// kubelet has.
pub(super) fn is_extra(name: &str) -> bool {
    let field = FIELDS.iter().find(|(known, _)| *known == name);
    field.is_none_or(|(_, kind)| is_open(kind))
}

/// Names of the fields that the part `kubelet` of a NodeConfig has as its own, under the same names.
pub(super) fn own_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter_map(|(name, kind)| match kind {
        FieldKind::Elsewhere(place) if place.strip_prefix("kubelet.") == Some(*name) => Some(*name),
        _ => None,
    })
}

/// Names of the fields that a NodeConfig may give in `extraConfig`.
pub(super) fn names(kubelet: KubeletMinor) -> impl Iterator<Item = &'static str> {
    let names = FIELDS.iter().filter(|(_, kind)| is_open(kind)).map(|(name, _)| *name);
    names.filter(move |name| !SINCE.iter().any(|(newer, since)| newer == name && kubelet < *since))
}
