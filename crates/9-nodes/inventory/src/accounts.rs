//! Accounts that somebody can log in to. Keys themselves are not kept, only their number.

use crate::HostAccount;
use crate::host_files::{HostFiles, PathKind};

/// Number of the first account of a person; those below are the system's.
const FIRST: u64 = 1000;
/// Number of `nobody`.
const NOBODY: u64 = 65534;

/// Reads the accounts with a shell, root among them.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostAccount> {
    let text = files.text("/etc/passwd").unwrap_or_default();
    let mut found = Vec::new();
    for (name, uid, home) in text.lines().filter_map(account) {
        let path = format!("{home}/.ssh/authorized_keys");
        // Of a home that may not be entered, it is not known.
        let ssh_keys = match files.text(&path) {
            Some(text) => Some(keys(&text)),
            None => match files.kind(&format!("{home}/.ssh")) {
                Some(PathKind::Folder) if files.has(&path) => None,
                Some(PathKind::Folder) => Some(0),
                _ if files.has(home) && uid != 0 => Some(0),
                _ => None,
            },
        };
        found.push(HostAccount {
            name: name.to_owned(),
            uid,
            ssh_keys,
        });
    }
    found
}

/// Name, number and home of an account that has a shell.
fn account(line: &str) -> Option<(&str, u64, &str)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, _, _, home, shell] = fields.as_slice() else {
        return None;
    };
    let uid: u64 = uid.parse().ok()?;
    let has_shell = !["", "/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"].contains(shell);
    let is_person = uid == 0 || (FIRST..NOBODY).contains(&uid);
    (has_shell && is_person && home.starts_with('/')).then(|| (*name, uid, home.trim_end_matches('/')))
}

/// Number of keys in a file.
fn keys(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_from_services() {
        assert_eq!(
            account("ada:x:1000:1000:Ada:/home/ada:/bin/bash"),
            Some(("ada", 1000, "/home/ada"))
        );
        assert_eq!(account("root:x:0:0:root:/root:/bin/bash"), Some(("root", 0, "/root")));
        assert_eq!(account("www-data:x:33:33:x:/var/www:/usr/sbin/nologin"), None);
        assert_eq!(account("nobody:x:65534:65534:nobody:/nonexistent:/bin/sh"), None);
        assert_eq!(account("broken:x:1000"), None);
        assert_eq!(keys("# a\nssh-ed25519 AAAA x\n\nssh-rsa AAAA y\n"), 2);
    }
}
