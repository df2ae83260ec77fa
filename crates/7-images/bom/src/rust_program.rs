//! The crates that a Rust program says it is made of.
//!
//! The section `.dep-v0` holds JSON that is compressed with zlib: the format of `cargo auditable`, which the usual scanners
//! read. A package's spec puts it there (`distro/packages/basalt-node`).

use std::io::Read as _;
use std::str::FromStr as _;

use auditable_serde::{DependencyKind, Source, VersionInfo};
use serde::{Deserialize, Serialize};

use crate::ProgramError;

/// The section of an ELF file.
pub(crate) const SECTION: &str = ".dep-v0";
/// A list that is longer than this, in bytes, is not believed.
const MOST: u64 = 8 << 20;

/// Build information of a Rust program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RustProgram {
    /// The crates that are linked into it; what only its build used is left out.
    pub crates: Vec<LinkedCrate>,
}

/// A crate that is linked into a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedCrate {
    /// Name of the crate.
    pub name: String,
    /// Version of the crate.
    pub version: String,
    /// `true` if the crate has a local path as its source, like those of the program's own workspace.
    #[serde(default)]
    pub local: bool,
}

impl RustProgram {
    /// Reads the content of the section `.dep-v0`.
    ///
    /// # Errors
    /// When it is cut short, or not in the format.
    pub fn parse(section: &[u8]) -> Result<Self, ProgramError> {
        let wrong = |what: String| ProgramError::Crates(what);
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(section)
            .take(MOST + 1)
            .read_to_string(&mut text)
            .map_err(|error| wrong(format!("cannot be decompressed: {error}")))?;
        if text.len() as u64 > MOST {
            return Err(wrong("is longer than any list of crates".to_owned()));
        }
        let info = VersionInfo::from_str(&text).map_err(|error| wrong(format!("is not in its format: {error}")))?;
        let linked = info
            .packages
            .into_iter()
            .filter(|package| package.kind == DependencyKind::Runtime);
        let mut crates: Vec<_> = linked
            .map(|package| LinkedCrate {
                local: package.source == Source::Local,
                version: package.version.to_string(),
                name: package.name,
            })
            .collect();
        crates.sort();
        crates.dedup();
        Ok(Self { crates })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    const LIST: &str = r#"{"packages":[
        {"name":"libc","version":"0.2.191","source":"crates.io"},
        {"name":"proc-macro2","version":"1.0.107","source":"crates.io","kind":"build"},
        {"name":"tool","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}],"format":1}"#;

    fn packed(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text.as_bytes()).expect("in memory");
        packer.finish().expect("in memory")
    }

    #[test]
    fn a_program_names_its_crates() {
        let program = RustProgram::parse(&packed(LIST)).expect("understood");
        let names: Vec<_> = program
            .crates
            .iter()
            .map(|linked| (&*linked.name, linked.local))
            .collect();
        assert_eq!(names, [("libc", false), ("tool", true)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = packed(LIST);
        let bomb = packed(&" ".repeat(9 << 20));
        for (bytes, message) in [
            (&b""[..], "decompress"),
            (&good[..good.len() / 2], "decompress"),
            (&bomb, "longer than"),
            (&packed("{}"), "not in its format"),
            (&packed(&LIST.replace("0.2.191", "new")), "not in its format"),
        ] {
            let error = RustProgram::parse(bytes).expect_err(message);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            drop(RustProgram::parse(&bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,64}") {
            drop(RustProgram::parse(&packed(&text)));
        }
    }
}
