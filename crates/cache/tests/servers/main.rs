//! The gRPC back end and [`Cache`](basalt_cache::Cache) against servers of the tests' own: one that is honest, and one
//! for each fault.

mod faults;
mod fixture;
mod honest;
mod server;
mod transport;
