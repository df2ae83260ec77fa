//! The gRPC back end and [`Cache`](basalt_cache::Cache) against servers of the tests' own: one that conforms, and one
//! for each fault.

#![cfg(test)]

mod conforming;
mod faults;
mod fixture;
mod server;
mod transport;
