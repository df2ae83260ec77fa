//! Nothing: the program is in crates/9-nodes/node.
