//! Nothing: the program is in crates/node.
