//! Images to pull as soon as containerd runs: environment files of `basalt-prepull@.service`, one for each image, and
//! of the unit that starts them.

use basalt_node_config::NodeConfig;

use super::PlannedFile;
use crate::paths;

pub(super) fn files(config: &NodeConfig) -> Vec<PlannedFile> {
    if config.prepull.is_empty() {
        return Vec::new();
    }
    let images = config.prepull.iter().enumerate();
    let mut files: Vec<_> = images
        .map(|(number, image)| PlannedFile::public(format!("{}/{number}", paths::PREPULL), format!("IMAGE={image}\n")))
        .collect();
    let units: Vec<_> = (0..files.len())
        .map(|number| format!("basalt-prepull@{number}.service"))
        .collect();
    let text = format!("UNITS={}\n", units.join(" "));
    files.push(PlannedFile::public(format!("{}/units", paths::PREPULL), text));
    files
}
