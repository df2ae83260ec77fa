//! Demands of bootstrap data while it is read.

use std::collections::BTreeMap;

use basalt_document::Path;
use basalt_node_config::name::HostName;
use basalt_node_config::raw as node_config;

use super::sysctls::PlacedSysctl;
use super::{KubernetesFile, commands, files, raw};
use crate::request::JoinRequest;

/// Files of which a later one with the same path takes the place: their indexes, and that of the last such one. Of two
/// JoinConfigurations neither counts.
pub(super) fn overwritten(files: &[raw::WriteFile]) -> BTreeMap<usize, usize> {
    let paths: Vec<_> = files.iter().map(|file| files::absolute(&file.path).ok()).collect();
    let is_whole = |file: &raw::WriteFile| file.append != Some(true);
    let mut last = BTreeMap::new();
    for (index, (file, path)) in files.iter().zip(&paths).enumerate() {
        let path = path
            .as_deref()
            .filter(|path| *path != commands::CONFIGURATION && is_whole(file));
        last.extend(path.map(|path| (path, index)));
    }
    let entries = paths.iter().enumerate().filter_map(|(index, path)| {
        let later = *last.get(path.as_deref()?)?;
        (later > index).then_some((index, later))
    });
    entries.collect()
}

/// Demands that were collected so far.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) request: Option<JoinRequest>,
    pub(super) is_joining: bool,
    pub(super) hostname: Option<HostName>,
    pub(super) time_servers: Vec<String>,
    /// Settings of files, in the order in which the files count.
    pub(super) sysctl_files: BTreeMap<files::SysctlOrder, Vec<PlacedSysctl>>,
    /// Settings of commands, which come after all files.
    pub(super) sysctl_commands: Vec<PlacedSysctl>,
    pub(super) registries: Vec<node_config::Registry>,
    pub(super) network: Option<node_config::Network>,
    pub(super) prepull: Vec<String>,
    pub(super) proxy: Option<node_config::Proxy>,
    pub(super) ca_certificates: String,
    pub(super) files: Vec<KubernetesFile>,
    /// Names of the machine in /etc/hosts, with the places of the commands.
    pub(super) own_hosts: Vec<(Path, Vec<String>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_of_a_path_counts_and_what_is_appended_to_it() {
        let file = |path: &str, append| raw::WriteFile {
            path: path.to_owned(),
            encoding: None,
            owner: None,
            permissions: None,
            append,
            content: None,
        };
        let files = [
            file("/a", None),
            file("/b", None),
            file("/a", Some(true)),
            file("//a", Some(false)),
            file("/a", Some(true)),
            file("a", None),
            file(commands::CONFIGURATION, None),
            file(commands::CONFIGURATION, None),
        ];
        assert_eq!(overwritten(&files), [(0, 3), (2, 3)].into());
    }
}
