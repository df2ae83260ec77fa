//! Canonical encoding of an [`ActionResult`]: fields by number, repeated fields sorted by path, no unknown fields.
//!
//! REAPI defines a canonical form for `Action`, `Command` and `Directory`, whose digests are names, and none for
//! `ActionResult`. What is signed and what a folder keeps needs one all the same: the same result, the same bytes.
//! `prost` writes fields by number and knows no unknown ones.

use bazel_remote_apis::build::bazel::remote::execution::v2::{ActionResult, NodeProperties};
use prost::Message as _;

/// Size of an encoded `ActionResult`, at most, in bytes: a few thousand outputs. What is larger is not read.
pub const MAX_RESULT: usize = 2 << 20;

/// The result's canonical bytes.
pub fn encode(result: &ActionResult) -> Vec<u8> {
    let mut result = result.clone();
    result.output_files.sort_by(|a, b| a.path.cmp(&b.path));
    result.output_symlinks.sort_by(|a, b| a.path.cmp(&b.path));
    result.output_directories.sort_by(|a, b| a.path.cmp(&b.path));
    let files = result.output_files.iter_mut().map(|file| &mut file.node_properties);
    let links = result.output_symlinks.iter_mut().map(|link| &mut link.node_properties);
    files.chain(links).flatten().for_each(sort_properties);
    result.encode_to_vec()
}

fn sort_properties(properties: &mut NodeProperties) {
    properties
        .properties
        .sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2::{NodeProperty, OutputFile, OutputSymlink};
    use proptest::prelude::*;

    use super::*;

    fn result(names: &[String]) -> ActionResult {
        let property = |name: &String| NodeProperty {
            name: name.clone(),
            value: String::new(),
        };
        let file = |path: &String| OutputFile {
            path: path.clone(),
            node_properties: Some(NodeProperties {
                properties: names.iter().map(property).collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let link = |path: &String| OutputSymlink {
            path: path.clone(),
            target: "t".to_owned(),
            node_properties: None,
        };
        ActionResult {
            output_files: names.iter().map(file).collect(),
            output_symlinks: names.iter().map(link).collect(),
            ..Default::default()
        }
    }

    proptest! {
        #[test]
        fn the_order_of_outputs_does_not_matter(
            names in prop::collection::btree_set("[a-z]{1,8}", 1..8),
            turns: prop::sample::Index,
        ) {
            let sorted: Vec<String> = names.into_iter().collect();
            let mut shuffled = sorted.clone();
            shuffled.rotate_left(turns.index(sorted.len()));
            let bytes = encode(&result(&shuffled));
            prop_assert_eq!(&bytes, &encode(&result(&sorted)));
            let decoded = ActionResult::decode(&*bytes).expect("decodes");
            prop_assert_eq!(encode(&decoded), bytes, "a fixed point");
        }
    }
}
