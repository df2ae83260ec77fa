//! Migrations of a simulated cluster: an API server in this process, with controllers, a scheduler and kubelets that act as
//! time passes. Time is tokio's, and paused: hours of deadlines take moments.

#![cfg(test)]

mod chaos;
mod controllers;
mod kills;
mod leases;
mod objects;
mod permissions;
mod refusals;
mod replacements;
mod retirement;
mod server;
mod simulation;
