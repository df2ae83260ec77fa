//! Proxies, as the environment names them in either spelling.

/// Proxy settings of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    except: Vec<String>,
}

impl Proxies {
    /// Settings of this process.
    pub(crate) fn from_environment() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Settings by the variables that `variable` knows: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower
    /// or upper case; the lower case wins, as with curl. An empty one counts as unset.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| {
            let upper = name.to_ascii_uppercase();
            [variable(name), variable(&upper)]
                .into_iter()
                .flatten()
                .find(|value| !value.trim().is_empty())
        };
        let except = set("no_proxy").unwrap_or_default();
        Self {
            http: set("http_proxy"),
            https: set("https_proxy"),
            all: set("all_proxy"),
            except: except
                .split(',')
                .map(|entry| entry.trim().to_ascii_lowercase())
                .collect(),
        }
    }

    /// Proxy for a URL of that scheme, host and port.
    pub(crate) fn find(&self, scheme: &str, host: &str, port: u16) -> Option<&str> {
        let proxy = if scheme == "https" { &self.https } else { &self.http };
        let proxy = proxy.as_ref().or(self.all.as_ref())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let excepted = self.except.iter().any(|entry| matches(entry, &host, port));
        (!excepted).then_some(proxy.as_str())
    }
}

/// Returns `true` if an entry of `no_proxy` matches a host: `*`, a domain with everything below it (with or without a
/// dot or `*.` before it), or an address; each with or without a port.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    let entry = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') => match digits.parse::<u16>() {
            Ok(only) if only == port => name,
            Ok(_) => return false,
            Err(_) => entry,
        },
        _ => entry,
    };
    let entry = entry.trim_start_matches('[').trim_end_matches(']');
    if entry == "*" {
        return true;
    }
    let name = entry.trim_start_matches('*').trim_start_matches('.');
    !name.is_empty() && (host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Proxies {
        /// Settings of an environment that has only these variables.
        pub(crate) fn from_variables(variables: &[(&str, &str)]) -> Self {
            Self::read(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        }
    }

    #[test]
    fn both_spellings_are_read() {
        for variables in [
            [("https_proxy", "http://p:1"), ("http_proxy", "http://q:2")],
            [("HTTPS_PROXY", "http://p:1"), ("HTTP_PROXY", "http://q:2")],
        ] {
            let proxies = Proxies::from_variables(&variables);
            assert_eq!(proxies.find("https", "a.example", 443), Some("http://p:1"));
            assert_eq!(proxies.find("http", "a.example", 80), Some("http://q:2"));
        }
        let lower_wins = Proxies::from_variables(&[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "http://q:2")]);
        assert_eq!(lower_wins.find("https", "a.example", 443), Some("http://p:1"));
        let empty = Proxies::from_variables(&[("https_proxy", ""), ("ALL_PROXY", "http://q:2")]);
        assert_eq!(empty.find("https", "a.example", 443), Some("http://q:2"));
        assert_eq!(Proxies::from_variables(&[]).find("https", "a.example", 443), None);
    }

    #[test]
    fn exceptions_are_names_with_all_below_them() {
        let through = |except: &str, host: &str, port| {
            let proxies = Proxies::from_variables(&[("http_proxy", "http://p:1"), ("no_proxy", except)]);
            proxies.find("http", host, port).is_some()
        };
        for (except, host, port) in [
            ("example.org", "example.org", 80),
            ("example.org", "a.example.org", 80),
            (".example.org", "a.example.org", 80),
            ("*.example.org", "A.Example.org", 80),
            ("x, 127.0.0.1", "127.0.0.1", 80),
            ("localhost:8080", "localhost", 8080),
            ("::1", "[::1]", 80),
            ("*", "a.example.org", 80),
        ] {
            assert!(!through(except, host, port), "{except}: {host}");
        }
        for (except, host, port) in [
            ("example.org", "badexample.org", 80),
            ("localhost:8080", "localhost", 80),
            ("", "a.example.org", 80),
            (",", "a.example.org", 80),
        ] {
            assert!(through(except, host, port), "{except}: {host}");
        }
    }
}
