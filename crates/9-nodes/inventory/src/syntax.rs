//! Forms of text files: assignments, sections of units, words.

use crate::redaction::known_or_hidden;

/// Assignments of a file of a shell or of systemd's EnvironmentFile: `KEY=value`, with quotes and `export`.
pub(crate) fn assignments(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.strip_prefix("export ").unwrap_or(line));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let pairs = pairs.filter(|(key, _)| is_name(key.trim()));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), unquoted(value.trim()).to_owned()))
        .collect()
}

/// Returns `true` for names of variables.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Text without quotes around it.
pub(crate) fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// Value of a switch, as YAML 1.1, systemd and files of a shell write it; `None` for another word.
pub(crate) fn switch(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// Setting of a file with sections: units of systemd, `*.conf` of its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Settings of a file with sections, in their order. A line that ends in a backslash goes on in the next one.
pub(crate) fn settings(text: &str) -> Vec<Setting> {
    let mut section = String::new();
    let mut found: Vec<Setting> = Vec::new();
    let mut begun = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(start) = line.strip_suffix('\\') {
            begun.push_str(start);
            begun.push(' ');
            continue;
        }
        let whole = std::mem::take(&mut begun) + line;
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = whole.split_once('=') {
            found.push(Setting {
                section: section.clone(),
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            });
        }
    }
    found
}

/// Names of settings in units and in files of systemd-networkd, as systemd 252 knows them. A file that is cut or broken may have
/// other words before a `=`: lines of a password, of a key.
const OF_SYSTEMD: &str = include_str!("syntax/settings-of-systemd.txt");
/// Names of their sections.
const SECTIONS: &str = "Address Automount BFIFO BatmanAdvanced Bond BridgeFDB BridgeVLAN CAKE CAN DHCP DHCPPrefixDelegation \
    DHCPServer DHCPv4 DHCPv6 IPv6AcceptRA IPv6AddressLabel IPv6Prefix IPv6SendRA Install LLDP Link Match Mount Neighbor \
    NetDev Network NextHop Path QDisc Route RoutingPolicyRule Scope Service Slice Socket Swap Timer Unit VLAN VXLAN";

/// Name of a setting with its section: `Service.LimitNOFILE`; `*` in place of a word that is none.
pub(crate) fn setting_name(setting: &Setting) -> String {
    format!(
        "{}.{}",
        known_or_hidden(SECTIONS, &setting.section),
        known_or_hidden(OF_SYSTEMD, &setting.key)
    )
}

/// Words of a line; quotes hold words together, as in `Environment="A=b c" 'D=e'`.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut is_begun) = (None, false);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                is_begun = true;
            }
            (None, _) if letter.is_whitespace() => {
                if is_begun {
                    words.push(std::mem::take(&mut word));
                }
                is_begun = false;
            }
            _ => {
                word.push(letter);
                is_begun = true;
            }
        }
    }
    if is_begun {
        words.push(word);
    }
    words
}

/// Lines that are neither empty nor comments, without comments at their ends.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read() {
        let text = "# A=1\nexport HTTP_PROXY=\"http://p:3128\"\nB = 2\nno equals\n1C=3\nKUBELET_EXTRA_ARGS=--a=b --c\n";
        let found = assignments(text);
        let found: Vec<_> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("HTTP_PROXY", "http://p:3128"),
                ("B", "2"),
                ("KUBELET_EXTRA_ARGS", "--a=b --c")
            ]
        );
    }

    #[test]
    fn switches_have_many_words() {
        let on = ["1", "yes", "Y", "true", "t", "ON"].map(switch);
        let off = ["0", "No", "n", "FALSE", "f", "off"].map(switch);
        assert!(on.iter().all(|value| *value == Some(true)) && off.iter().all(|value| *value == Some(false)));
        assert_eq!(["", "2", "ipv4", "none"].map(switch), [None; 4]);
    }

    #[test]
    fn settings_have_sections() {
        let text = "[Service]\nExecStart=\nExecStart=/bin/a \\\n  --b\n# C=d\n[Timer]\nOnCalendar=daily\nnoise\n";
        let found = settings(text);
        let found: Vec<_> = found
            .iter()
            .map(|setting| (setting.section.as_str(), setting.key.as_str(), setting.value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("Service", "ExecStart", ""),
                ("Service", "ExecStart", "/bin/a  --b"),
                ("Timer", "OnCalendar", "daily")
            ]
        );
    }

    #[test]
    fn names_of_settings_are_known() {
        let text = "[Service]\nEnvironment=X=<<EOF\nhunter2aGVsbG8=\n[hunter2]\nLimitNOFILE=1\n";
        let found: Vec<String> = settings(text).iter().map(setting_name).collect();
        assert_eq!(found, ["Service.Environment", "Service.*", "*.LimitNOFILE"]);
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words("\"A=b c\" 'D=e' f\"g h\"  \"\""), ["A=b c", "D=e", "fg h", ""]);
        assert_eq!(words(" \"unclosed x"), ["unclosed x"]);
        assert_eq!(lines("# a\n\n b # c\n").collect::<Vec<_>>(), ["b"]);
    }
}
