//! Programs in packages, and what they say is linked into them.

use std::io::Read as _;

use basalt_action::{Action, ActionResult, Blob, Directory, Node};
use basalt_digest::Digest;
use basalt_rpm::{Package, Payload};
use basalt_store::Store;
use camino::Utf8Path;
use object::{Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};

use crate::{BomError, GoProgram, ProgramError, RustProgram, go_program, rust_program};

/// Source text of what reads programs.
const CODE: [&str; 3] = [
    include_str!("program.rs"),
    include_str!("go_program.rs"),
    include_str!("rust_program.rs"),
];
const ELF: &[u8; 4] = b"\x7fELF";
/// A program that is larger than this, in bytes, is none of ours.
const MOST: u64 = 1 << 30;

/// An RPM whose content is looked into.
#[derive(Debug, Clone, Copy)]
pub struct Rpm<'a> {
    /// Metadata from the RPM's header.
    pub package: &'a Package,
    /// The file.
    pub path: &'a Utf8Path,
    /// The digest of the file.
    pub digest: Digest,
    /// The size of the file in bytes.
    pub size: u64,
}

/// A program that says what is linked into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// Absolute path of the file.
    pub file: String,
    /// Build information of a Go program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<GoProgram>,
    /// Build information of a Rust program (`cargo auditable`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rust: Option<RustProgram>,
}

impl Program {
    /// Reads the build information of an ELF file; `None` if it has none, or if the file is no ELF file.
    ///
    /// # Errors
    /// When the ELF headers or the build information are malformed.
    pub fn parse(file: &str, content: &[u8]) -> Result<Option<Self>, ProgramError> {
        if !content.starts_with(ELF) {
            return Ok(None);
        }
        let damaged = |error: object::Error| ProgramError::Elf(error.to_string());
        let elf = object::File::parse(content).map_err(damaged)?;
        let section = |name: &str| -> Result<Option<std::borrow::Cow<'_, [u8]>>, ProgramError> {
            let found = elf.section_by_name(name);
            found
                .map(|section| section.uncompressed_data().map_err(damaged))
                .transpose()
        };
        let go = section(go_program::SECTION)?;
        let rust = section(rust_program::SECTION)?;
        if go.is_none() && rust.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            file: file.to_owned(),
            go: go.map(|section| GoProgram::parse(&section)).transpose()?,
            rust: rust.map(|section| RustProgram::parse(&section)).transpose()?,
        }))
    }
}

/// The programs of an RPM that say what is linked into them, by path. What is found is remembered under the digest of
/// the RPM.
///
/// # Errors
/// When the RPM cannot be read, and when a program cannot be understood.
pub fn programs(rpm: &Rpm<'_>, store: &Store) -> Result<Vec<Program>, BomError> {
    let mut inputs = Directory::new();
    let blob = Blob {
        digest: rpm.digest,
        size: rpm.size,
    };
    inputs.insert("rpm", Node::File { blob, mode: 0o444 })?;
    let action = Action::function("read-programs", &CODE, inputs).encode();
    if let Some(known) = store.action_result(&action.key)
        && let Ok(found) = serde_json::from_slice(&known.stdout)
    {
        return Ok(found);
    }
    let found = search(rpm)?;
    let result = ActionResult {
        stdout: serde_json::to_vec(&found).map_err(BomError::programs)?,
        ..ActionResult::default()
    };
    store.put_action_result(&action, &result)?;
    Ok(found)
}

fn search(rpm: &Rpm<'_>) -> Result<Vec<Program>, BomError> {
    let mut found = Vec::new();
    let mut payload = Payload::open(rpm.path)?;
    while let Some(file) = payload.next()? {
        let Some(path) = file.paths.iter().min() else { continue };
        // Modules of the kernel have nothing linked into them.
        if !file.is_regular() || file.size < 64 || path.ends_with(".ko") {
            continue;
        }
        let unreadable = || BomError::io("cannot read", rpm.path);
        let mut content = vec![0; ELF.len()];
        payload.read_exact(&mut content).map_err(unreadable())?;
        if content != ELF {
            continue;
        }
        (&mut payload)
            .take(MOST)
            .read_to_end(&mut content)
            .map_err(unreadable())?;
        let program = Program::parse(path, &content).map_err(|source| BomError::Program {
            package: rpm.package.nevra(),
            file: path.clone(),
            source,
        })?;
        found.extend(program);
    }
    found.sort_by(|one: &Program, other| one.file.cmp(&other.file));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use object::write::{Object, SectionId};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind};

    use super::*;

    fn elf(name: &str, content: &[u8]) -> Vec<u8> {
        let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section: SectionId = file.add_section(Vec::new(), name.into(), SectionKind::ReadOnlyData);
        file.append_section_data(section, content, 16);
        file.write().expect("an ELF file")
    }

    #[test]
    fn what_says_nothing_is_no_program_of_ours() {
        assert_eq!(Program::parse("/x", b"#!/bin/sh"), Ok(None));
        assert_eq!(Program::parse("/x", &elf(".rodata", b"text")), Ok(None));
    }

    #[test]
    fn damaged_files_are_errors() {
        let cut = elf(go_program::SECTION, b"\xff Go buildinf:");
        assert!(matches!(Program::parse("/x", &cut), Err(ProgramError::Go(_))));
        let noise = elf(rust_program::SECTION, b"noise");
        assert!(matches!(Program::parse("/x", &noise), Err(ProgramError::Crates(_))));
        assert!(matches!(Program::parse("/x", b"\x7fELF"), Err(ProgramError::Elf(_))));
        for length in 4..noise.len() {
            drop(Program::parse("/x", &noise[..length]));
        }
    }
}
