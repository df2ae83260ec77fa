//! Builder of the package that tests change.

use rpm::{BuildConfig, CompressionType, PackageBuilder};

/// Builder of `demo-1.2-3.bs1.x86_64`, always with the same time.
pub fn builder(compression: CompressionType) -> PackageBuilder {
    let config = BuildConfig::default()
        .compression(compression)
        .source_date(1_760_000_000_u32);
    let mut builder = PackageBuilder::new("demo", "1.2", "MIT", "x86_64", "A demonstration");
    builder.using_config(config).release("3.bs1");
    builder
}
