//! Facts that all parts of a release of the distribution share: its architectures, its identity as os-release, packages,
//! repositories and documents about them have it, and the time of its build.
//!
//! Constants and types only, without I/O.

mod arch;

pub use arch::Arch;

/// Name: `NAME` of os-release, vendor of packages, author and supplier in documents.
pub const NAME: &str = "Basalt Linux";

/// Short name: `ID` of os-release, namespace in package URLs.
pub const ID: &str = "basalt";

/// Release: `VERSION_ID` of os-release.
pub const VERSION: &str = "1";

/// Address of the project: `HOME_URL` of os-release, and `repository` of the workspace's Cargo.toml.
pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// Build time of everything in a release: SOURCE_DATE_EPOCH, in seconds since 1970.
pub const BUILD_TIME: u64 = 1_760_000_000;

/// [`BUILD_TIME`] in RFC 3339.
pub const BUILD_TIME_RFC3339: &str = "2025-10-09T08:53:20Z";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use x509_cert::der::DateTime;

    use super::*;

    #[test]
    fn both_forms_of_the_build_time_are_the_same() {
        let time = DateTime::from_unix_duration(Duration::from_secs(BUILD_TIME)).expect("a time");
        assert_eq!(time.to_string(), BUILD_TIME_RFC3339);
    }
}
