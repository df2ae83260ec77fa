//! Nothing: the programs are in crates/9-nodes/node and crates/9-nodes/inventory.
