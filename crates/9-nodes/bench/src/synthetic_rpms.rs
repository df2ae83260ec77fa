//! Synthetic RPM files, with the sizes that a distribution's have: half of them are below 100 KiB and have fewer than 15
//! files, a few have megabytes and thousands of files.

use camino::Utf8Path;
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rpm::{BuildConfig, CompressionType, Dependency, FileOptions, PackageBuilder};

use crate::BenchError;
use crate::shape::log_normal;

/// Median of the payload's size in bytes.
const PAYLOAD: usize = 100 << 10;
/// Limit of the payload's size in bytes.
const MOST_PAYLOAD: usize = 32 << 20;
/// Median of the number of files.
const FILES: usize = 15;
/// Limit of the number of files.
const MOST_FILES: usize = 4000;
/// Time of builds and changes, in seconds since 1970.
const TIME: u32 = 1_760_000_000;
/// Size in bytes of the noise that contents are cut from: compressed payloads look like noise.
const NOISE: usize = 1 << 20;

/// Writes `count` RPMs into a folder, each into a folder of its first letter, as large repositories have them; returns their
/// size in bytes. The same seed gives the same bytes.
///
/// # Errors
/// When a file cannot be written.
pub fn write_rpms(folder: &Utf8Path, count: usize, seed: u64) -> Result<u64, BenchError> {
    let mut noise = vec![0; NOISE];
    StdRng::seed_from_u64(seed).fill_bytes(&mut noise);
    let indices: Vec<usize> = (0..count).collect();
    let written = basalt_schedule::each(&indices, |index| write_rpm(folder, *index, seed, &noise));
    let sizes = written.map_err(basalt_schedule::EachError::<BenchError>::into_first)?;
    Ok(sizes.into_iter().sum())
}

fn write_rpm(folder: &Utf8Path, index: usize, seed: u64, noise: &[u8]) -> Result<u64, BenchError> {
    let mut random = StdRng::seed_from_u64(seed ^ (index as u64 + 1));
    let letter = char::from(random.gen_range(b'a'..=b'z'));
    let name = format!("{letter}-synthetic-{index:05}");
    let path = folder.join(letter.to_string()).join(format!("{name}-1.0-1.x86_64.rpm"));
    let unwritable = |error: rpm::Error| BenchError::Definition {
        path: path.clone(),
        message: error.to_string(),
    };
    let package = package(&name, &mut random, noise).map_err(unwritable)?;
    let mut bytes = Vec::new();
    package.write(&mut bytes).map_err(unwritable)?;
    basalt_store::write::atomically(&path, &bytes)?;
    Ok(bytes.len() as u64)
}

fn package(name: &str, random: &mut StdRng, noise: &[u8]) -> Result<rpm::Package, rpm::Error> {
    let config = BuildConfig::default().compression(CompressionType::None);
    let mut builder = PackageBuilder::new(name, "1.0", "MIT AND Apache-2.0", "x86_64", "A synthetic package");
    builder
        .using_config(config.source_date(TIME))
        .release("1")
        .description(DESCRIPTION);
    builder
        .url("https://example.org/")
        .vendor("Basalt Linux")
        .build_host("localhost");
    for number in 0..random.gen_range(4..20) {
        builder.requires(Dependency::any(format!("libsynthetic-{number}.so.1()(64bit)")));
    }
    for number in 0..random.gen_range(0..10) {
        builder.provides(Dependency::eq(format!("synthetic({name}-{number})"), "1.0"));
    }
    for number in 0..random.gen_range(1..20) {
        let change = format!("- Update to 0.{number}\n- Build with the newest compiler");
        builder.add_changelog_entry(
            format!("A Packager <packager@example.org> - 0.{number}-1"),
            change,
            TIME,
        );
    }
    let files = log_normal(FILES, 1.6, random).clamp(1, MOST_FILES);
    let size = log_normal(PAYLOAD, 1.7, random).min(MOST_PAYLOAD) / files;
    for number in 0..files {
        let content = piece(noise, random.gen_range(0..noise.len()), size);
        let path = match number {
            0 => format!("/usr/bin/{name}"),
            _ => format!("/usr/share/{name}/part{}/file-{number}.data", number % 9),
        };
        builder.with_file_contents(content, FileOptions::new(path).permissions(0o644))?;
    }
    builder.build()
}

/// Returns `size` bytes of the noise from a start on, which is repeated as need be.
fn piece(noise: &[u8], start: usize, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size);
    let mut rest = noise.get(start..).unwrap_or_default();
    while bytes.len() < size && !noise.is_empty() {
        let length = rest.len().min(size - bytes.len());
        bytes.extend_from_slice(rest.get(..length).unwrap_or_default());
        rest = noise;
    }
    bytes
}

/// Description of some usual length.
const DESCRIPTION: &str = "A package that a benchmark has made. Its description is as long as those of most packages:\n\
                           two or three lines, which say what the package is for and what it is not for,\n\
                           and where its documentation is.";
