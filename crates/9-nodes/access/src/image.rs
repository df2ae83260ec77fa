//! Images that debug pods are made from.
//!
//! The node's root has neither a shell nor an interpreter, on purpose. Two kinds of images make up for it:
//!
//! - *tools*: an image with a shell, tar and nsenter. `debug` of distro/images is one, served by the local cluster's
//!   registry; busybox's and most distributions' are others.
//! - *node's own*: the pause image, which every Basalt node serves to itself from its root. Nothing is pulled. The folders
//!   of programs and libraries of the node are mounted into it, so that the node's programs run: nsenter, and through it
//!   journalctl, systemctl and the agent. There is no shell, no cat and no tar in it.

use serde::Serialize;

use crate::AccessError;
use crate::node::NodeInfo;

/// Reference of the pause image as nodes carry it (distro/packages/pause-image).
pub const CARRIED_IMAGE: &str = "basalt.local/pause:1";

/// Programs that an operation needs in a debug pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramNeed {
    /// Programs of the node, run in its mount namespace.
    Node,
    /// A shell, tar, grep and ps.
    Tools,
}

/// Image of a debug pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DebugImage {
    /// An image with a shell, tar and nsenter, by its reference.
    Tools(String),
    /// The image that the node carries, with the node's programs mounted into it.
    NodeOwn,
}

impl DebugImage {
    /// Reference of the image.
    pub fn reference(&self) -> &str {
        match self {
            Self::Tools(reference) => reference,
            Self::NodeOwn => CARRIED_IMAGE,
        }
    }
}

/// Images to try for an operation, in order. `asked` was named by the user, and is the only one then; `served` is known to
/// be in a registry of the cluster.
///
/// # Errors
/// [`AccessError::NoImage`] when there is none.
pub fn candidates(
    asked: Option<&str>,
    served: Option<&str>,
    node: &NodeInfo,
    need: ProgramNeed,
) -> Result<Vec<DebugImage>, AccessError> {
    if let Some(asked) = asked {
        return Ok(vec![DebugImage::Tools(asked.to_owned())]);
    }
    let own = (node.is_basalt() && need == ProgramNeed::Node).then_some(DebugImage::NodeOwn);
    let served = served.map(|served| DebugImage::Tools(served.to_owned()));
    let images: Vec<_> = match need {
        // Nothing has to be pulled, and no registry has to be reached.
        ProgramNeed::Node => own.into_iter().chain(served).collect(),
        ProgramNeed::Tools => served.into_iter().collect(),
    };
    if images.is_empty() {
        return Err(AccessError::NoImage {
            node: node.name.clone(),
            without: if node.is_basalt() {
                "Without one, logs, dmesg, top, reboot, reset and a part of the bundle work: the node carries what they need."
            } else {
                "Without one, logs and top work, if the kubelet lets them."
            },
        });
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(os: &str) -> NodeInfo {
        let node = json!({ "metadata": { "name": "n" }, "status": { "nodeInfo": { "osImage": os } } });
        NodeInfo::parse(&node).expect("a node")
    }

    #[test]
    fn images_are_chosen_by_what_is_there() {
        let (basalt, other) = (node("Basalt Linux 1"), node("Debian GNU/Linux 13"));
        let tools = |name: &str| DebugImage::Tools(name.to_owned());
        let own = DebugImage::NodeOwn;
        for (asked, served, node, need, expected) in [
            (Some("a"), Some("s"), &basalt, ProgramNeed::Node, Some(vec![tools("a")])),
            (
                None,
                Some("s"),
                &basalt,
                ProgramNeed::Node,
                Some(vec![own.clone(), tools("s")]),
            ),
            (None, Some("s"), &basalt, ProgramNeed::Tools, Some(vec![tools("s")])),
            (None, Some("s"), &other, ProgramNeed::Node, Some(vec![tools("s")])),
            (None, None, &basalt, ProgramNeed::Node, Some(vec![own])),
            (None, None, &basalt, ProgramNeed::Tools, None),
            (None, None, &other, ProgramNeed::Node, None),
        ] {
            assert_eq!(
                candidates(asked, served, node, need).ok(),
                expected,
                "{asked:?} {served:?} {need:?}"
            );
        }
    }

    #[test]
    fn the_carried_image_is_the_one_of_the_package() {
        let spec = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../distro/packages/pause-image/pause-image.spec"
        );
        let text = fs_err::read_to_string(spec).expect("the spec of pause-image");
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("Version:"))
            .expect("a version")
            .trim();
        assert!(text.contains("basalt.local/pause:%{version}"));
        assert_eq!(CARRIED_IMAGE, format!("basalt.local/pause:{version}"));
    }
}
