//! NodeConfig that the nodes have: what it does already is not found again.

use basalt_document::Document;
use serde_json::Value;

/// NodeConfig as it is written, if there is one.
#[derive(Debug, Default)]
pub(crate) struct GivenConfig(Option<Value>);

impl GivenConfig {
    /// NodeConfig of a text that was checked.
    pub(super) fn of(text: Option<&str>) -> Self {
        let document = text.and_then(|text| Document::parse("node.yaml", text).ok());
        Self(document.map(|document| document.root().to_json()))
    }

    /// Returns `true` if there is a NodeConfig.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Value at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.as_ref()?.pointer(pointer)
    }

    /// Section, by its name.
    pub(crate) fn section(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Settings of a registry.
    pub(crate) fn registry(&self, host: &str) -> Option<&Value> {
        let registries = self.section("registries")?.as_array()?;
        registries
            .iter()
            .find(|registry| registry.get("host").and_then(Value::as_str) == Some(host))
    }

    /// Mirror of a registry, by its address.
    pub(crate) fn mirror(&self, host: &str, url: &str) -> Option<&Value> {
        let mirrors = self.registry(host)?.get("mirrors")?.as_array()?;
        mirrors
            .iter()
            .find(|mirror| mirror.get("url").and_then(Value::as_str) == Some(url))
    }

    /// Settings of an interface, by its name or its hardware address.
    pub(crate) fn interface(&self, name: &str, mac: Option<&str>) -> Option<&Value> {
        let interfaces = self.at("/network/interfaces")?.as_array()?;
        interfaces.iter().find(|interface| {
            let given = interface.get("mac").and_then(Value::as_str);
            let has_mac = given
                .zip(mac)
                .is_some_and(|(given, mac)| given.eq_ignore_ascii_case(mac));
            has_mac || interface.get("name").and_then(Value::as_str) == Some(name)
        })
    }

    /// Returns `true` if the section says all that is wanted of it.
    pub(super) fn says(&self, name: &str, wanted: &Value) -> bool {
        self.section(name).is_some_and(|given| covers(given, wanted))
    }
}

/// Returns `true` if a value has all that is wanted of it: fields, items in any order, and words.
fn covers(given: &Value, wanted: &Value) -> bool {
    match (given, wanted) {
        (Value::Object(given), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| given.get(key).is_some_and(|given| covers(given, wanted))),
        (Value::Array(given), Value::Array(wanted)) => wanted
            .iter()
            .all(|wanted| given.iter().any(|given| covers(given, wanted))),
        (given, wanted) => word(given) == word(wanted),
    }
}

/// Text of a value: `10` and `"10"` are alike, and so is an address with a name and a password and one without.
fn word(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
            format!("{scheme}://{}", rest.trim_end_matches('/'))
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_said_in_any_order() {
        let text = "proxy: {http: 'http://u:p@p.example:3128/', noProxy: [b, a]}\nsysctls: {vm.swappiness: '10'}\n\
                    registries: [{host: a, mirrors: [{url: https://m, skipVerify: true}]}]\n";
        let given = GivenConfig::of(Some(text));
        let says = |name: &str, wanted: Value| given.says(name, &wanted);
        assert!(says(
            "proxy",
            serde_json::json!({ "http": "http://p.example:3128", "noProxy": ["a", "b"] })
        ));
        assert!(says("sysctls", serde_json::json!({ "vm.swappiness": 10 })));
        assert!(!says("sysctls", serde_json::json!({ "vm.swappiness": 20 })));
        assert!(!says("proxy", serde_json::json!({ "noProxy": ["c"] })));
        assert!(!says("labels", serde_json::json!({})));
        assert!(given.mirror("a", "https://m").is_some() && given.mirror("b", "https://m").is_none());
        assert!(!GivenConfig::of(None).is_there());
    }
}
