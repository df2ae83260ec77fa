//! Python package index that the machine's pip is set up with.

use basalt_process::{Command, tool};
use camino::Utf8PathBuf;

/// URL of the index: `PIP_INDEX_URL`, else what pip tells, where it is installed, else what its configuration files say,
/// else none. Nothing of a project is run for it.
pub(super) fn index() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    variable("PIP_INDEX_URL")
        .or_else(from_pip)
        .or_else(|| from_files(&files(variable)))
        .map(|url| url.trim().to_owned())
}

fn from_pip() -> Option<String> {
    let told = Command::tool(tool::PIP)
        .args(["config", "get", "global.index-url"])
        .output();
    Some(told.ok()?.text()).filter(|url| url.starts_with("http"))
}

/// The files of pip's configuration, those that count most first.
fn files(variable: impl Fn(&str) -> Option<String>) -> Vec<Utf8PathBuf> {
    let home = variable("HOME").map(Utf8PathBuf::from);
    let user = variable("XDG_CONFIG_HOME")
        .map(Utf8PathBuf::from)
        .or_else(|| Some(home.as_ref()?.join(".config")));
    let named = variable("PIP_CONFIG_FILE").map(Utf8PathBuf::from);
    [
        named,
        user.map(|folder| folder.join("pip/pip.conf")),
        home.map(|home| home.join(".pip/pip.conf")),
        Some("/etc/pip.conf".into()),
        Some("/etc/xdg/pip/pip.conf".into()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn from_files(files: &[Utf8PathBuf]) -> Option<String> {
    files
        .iter()
        .find_map(|file| index_url(&fs_err::read_to_string(file).ok()?))
}

/// `index-url` of the section `global` of a configuration file, which is an INI file as Python reads it.
fn index_url(text: &str) -> Option<String> {
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').trim();
        } else if section.eq_ignore_ascii_case("global")
            && let Some((key, value)) = line.split_once(['=', ':'])
            && matches!(key.trim(), "index-url" | "index_url")
            && !value.trim().is_empty()
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_files_are_read() {
        let text = "[install]\nindex-url = https://no.example\n# [global]\n[global]\ncert = /x\nindex-url: https://yes.example/simple\n";
        assert_eq!(index_url(text).as_deref(), Some("https://yes.example/simple"));
        for none in [
            "",
            "[global]\nextra-index-url = x\n",
            "[global]\nindex-url =\n",
            "[global]\n# index-url = x\n",
        ] {
            assert_eq!(index_url(none), None, "{none}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let home = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        fs_err::create_dir_all(home.join(".config/pip")).expect("made");
        fs_err::write(
            home.join(".config/pip/pip.conf"),
            "[global]\nindex-url = https://home.example\n",
        )
        .expect("written");
        let files = files(|name| (name == "HOME").then(|| home.to_string()));
        assert_eq!(from_files(&files).as_deref(), Some("https://home.example"));
    }
}
