//! From spec files to RPMs: graph, keys, schedule.
