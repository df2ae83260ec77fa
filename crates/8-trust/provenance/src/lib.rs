//! Provenance statements of packages and images, in the formats of in-toto and SLSA.
//!
//! ```text
//! build::Built  + build::BuildMaterials -(package)--> Statement: its RPMs, and every file that went into them
//! image::Image  + the digests of files --(image)---> Statement: the image, and the RPMs that it was composed from
//! Statement --(serde)--> JSON, the payload that a signature (DSSE) is put around
//! a word + build::BuiltPackages + bom::Inventory --(origin)--> PackageOrigin: where it comes from, for `basalt why`
//! ```
//!
//! A statement follows from the inputs alone: no times, no host, no user. Two builders who build the same say the same, to
//! the byte. Types have the names and the fields of the specifications: the in-toto Attestation Framework's Statement v1
//! (<https://in-toto.io/Statement/v1>) and SLSA's provenance v1 (<https://slsa.dev/provenance/v1>). Nothing here reads or
//! writes files, and nothing signs.

mod image;
mod origin;
mod package;
mod statement;

pub use image::{ImageFile, of_image};
pub use origin::{
    InventoryOfBuild, LinkedOrigin, OriginBuild, OriginError, OriginImage, OriginLookup, OriginSource, OriginTarget,
    PackageOrigin,
};
pub use package::of_package;
pub use statement::{
    BuildDefinition, Builder, PAYLOAD_TYPE, PREDICATE_TYPE, Provenance, ResourceDescriptor, RunDetails, Statement,
};

/// Build type of packages: URI of the documentation of its parameters.
pub const PACKAGE_BUILD: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/trust/provenance.md#package-v1"
);
/// Build type of images: URI of the documentation of its parameters.
pub const IMAGE_BUILD: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/trust/provenance.md#image-v1"
);
