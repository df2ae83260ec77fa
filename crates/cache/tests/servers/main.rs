//! The gRPC back end and [`Cache`](basalt_cache::Cache) against servers of the tests' own: one that is honest, and one
//! for each lie.

mod fixture;
mod honest;
mod lies;
mod server;
mod transport;
