//! Properties of an ELF file that show how it was compiled and linked.
//!
//! The System V ABI, and GNU's additions to it: `PT_GNU_STACK`, `PT_GNU_RELRO`, `DF_1_PIE`, `.note.gnu.property`.

use std::collections::BTreeSet;

use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, elf};

use crate::Language;

/// Properties of a 64-bit ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Type of the file, from `e_type` and the dynamic section.
    pub kind: ElfKind,
    /// Programming language, recognized by sections and strings.
    pub language: Language,
    /// `true` if the dynamic linker loads it: it has an interpreter (`PT_INTERP`) or is a library.
    pub dynamic: bool,
    /// Protection of its relocations.
    pub relro: Relro,
    /// Permissions that its `PT_GNU_STACK` segment asks for.
    pub stack: StackMark,
    /// `true` if its code is relocated when it is loaded (`DT_TEXTREL`, `DF_TEXTREL`).
    pub text_relocations: bool,
    /// Folders of its `DT_RPATH` and `DT_RUNPATH`, which the dynamic linker searches for libraries, one by one.
    pub search_path: Vec<String>,
    /// The dynamic linker that starts it.
    pub interpreter: Option<String>,
    /// The libraries that it needs (`DT_NEEDED`).
    pub libraries: Vec<String>,
    /// Names of its undefined dynamic symbols: functions and variables that it imports from libraries.
    pub imports: BTreeSet<String>,
    /// `true` if it imports or exports the stack protector's failure handler (`__stack_chk_fail`); of a static program,
    /// if it contains the handler's message.
    pub stack_protector: bool,
    /// `true` if its GNU property note declares indirect branch tracking (x86 CET IBT) or BTI (AArch64).
    pub branch_tracking: bool,
    /// `true` if its GNU property note declares shadow stacks (x86 CET SHSTK).
    pub shadow_stack: bool,
    /// Identification strings that compilers have left in `.comment`.
    pub makers: BTreeSet<String>,
    /// Prefixes of `library/` in the paths of Rust's standard library that the file contains: the folder that the
    /// library was compiled in, possibly preceded by the end of an unrelated string.
    pub rust_library: BTreeSet<String>,
}

/// Type of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElfKind {
    /// A program at a fixed address.
    Fixed,
    /// A program that can be anywhere.
    Pie,
    /// A library.
    Library,
    /// Object that is not executed by itself, such as a kernel module (`ET_REL`).
    Object,
}

/// Protection of relocations against being overwritten (RELRO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relro {
    /// No `PT_GNU_RELRO` segment: relocations stay writable.
    None,
    /// Partial RELRO: functions are bound lazily, so that the part of the GOT for them stays writable.
    Partial,
    /// Full RELRO: all relocations are resolved before the program begins and read-only from then on.
    Full,
}

/// Stack permissions that an ELF file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackMark {
    /// No `PT_GNU_STACK` segment: the kernel makes the stack executable on architectures where that is the default.
    Missing,
    /// `PT_GNU_STACK` with `PF_X`: the stack is executable.
    Executable,
    /// `PT_GNU_STACK` without `PF_X`: the stack is not executable.
    Plain,
}

/// Message that glibc prints on a stack overflow; in a static program, the only trace of the stack protector.
const SMASHED: &[u8] = b"stack smashing detected";
/// Files of Rust's standard library: panic messages have their paths in them.
const RUST: [&[u8]; 3] = [b"library/core/src/", b"library/alloc/src/", b"library/std/src/"];
/// Bytes before such a path that are searched for its folder, at most.
const FOLDER: usize = 80;
/// The section of a Rust program that lists its crates (cargo auditable).
const CRATES: &str = ".dep-v0";

/// Reads an ELF file; none when it is no ELF file of 64 bits.
///
/// # Errors
/// When it begins like one and is damaged.
pub fn read_elf(bytes: &[u8]) -> Result<Option<Elf>, String> {
    if !bytes.starts_with(b"\x7fELF\x02") {
        return Ok(None);
    }
    read(bytes).map(Some).map_err(|error| error.to_string())
}

/// Content of the dynamic section (`PT_DYNAMIC`).
#[derive(Default)]
struct Dynamic {
    now: bool,
    pie: bool,
    text_relocations: bool,
    soname: bool,
    search_path: Vec<String>,
    libraries: Vec<String>,
}

/// Segments beside those that are loaded.
struct Segments {
    /// `true` if there is one for RELRO.
    relro: bool,
    stack: StackMark,
    interpreter: Option<String>,
}

fn read(bytes: &[u8]) -> object::read::Result<Elf> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let endian = file.endian();
    let dynamic = dynamic(&file)?;
    let Segments {
        relro,
        stack,
        interpreter,
    } = segments(&file, bytes)?;
    let kind = match file.elf_header().e_type(endian) {
        elf::ET_EXEC => ElfKind::Fixed,
        elf::ET_DYN if dynamic.pie || interpreter.is_some() && !dynamic.soname => ElfKind::Pie,
        elf::ET_DYN => ElfKind::Library,
        _ => ElfKind::Object,
    };
    // A static program has nothing to look up: with the segment, all is done before it begins.
    let now = dynamic.now || interpreter.is_none() && kind != ElfKind::Library;
    let symbols = file.dynamic_symbols().filter(|symbol| symbol.is_undefined());
    let imports: BTreeSet<String> = symbols
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .filter(|name| !name.is_empty())
        .collect();
    let loaded = interpreter.is_some() || kind == ElfKind::Library;
    let stack_protector = match loaded {
        true => imports.contains("__stack_chk_fail") || exports(&file, "__stack_chk_fail"),
        false => memchr::memmem::find(bytes, SMASHED).is_some(),
    };
    let (branch_tracking, shadow_stack) = marks(&file);
    let rust_library = rust_library(&file, bytes);
    Ok(Elf {
        kind,
        language: language(&file, !dynamic.libraries.is_empty(), !rust_library.is_empty()),
        dynamic: loaded,
        relro: match (relro, now) {
            (false, _) => Relro::None,
            (true, false) => Relro::Partial,
            (true, true) => Relro::Full,
        },
        stack,
        text_relocations: dynamic.text_relocations,
        search_path: dynamic.search_path,
        interpreter,
        libraries: dynamic.libraries,
        imports,
        stack_protector,
        branch_tracking,
        shadow_stack,
        makers: makers(&file)?,
        rust_library,
    })
}

fn segments(file: &ElfFile64<'_, Endianness>, bytes: &[u8]) -> object::read::Result<Segments> {
    let endian = file.endian();
    let mut found = Segments {
        relro: false,
        stack: StackMark::Missing,
        interpreter: None,
    };
    for header in file.elf_header().program_headers(endian, bytes)? {
        match header.p_type(endian) {
            elf::PT_GNU_RELRO => found.relro = true,
            elf::PT_INTERP => {
                let path = header.interpreter(endian, bytes)?.unwrap_or_default();
                found.interpreter = Some(String::from_utf8_lossy(path).into_owned());
            }
            elf::PT_GNU_STACK => {
                let executable = header.p_flags(endian).0 & elf::PF_X.0 != 0;
                found.stack = if executable {
                    StackMark::Executable
                } else {
                    StackMark::Plain
                };
            }
            _ => {}
        }
    }
    Ok(found)
}

fn dynamic(file: &ElfFile64<'_, Endianness>) -> object::read::Result<Dynamic> {
    let mut found = Dynamic::default();
    let table = file.elf_dynamic_table()?;
    for entry in &table {
        match entry.tag {
            elf::DT_BIND_NOW => found.now = true,
            elf::DT_TEXTREL => found.text_relocations = true,
            elf::DT_SONAME => found.soname = true,
            elf::DT_NEEDED => {
                let library = String::from_utf8_lossy(table.string(entry)?).into_owned();
                found.libraries.push(library);
            }
            elf::DT_FLAGS => {
                found.now |= entry.val & elf::DF_BIND_NOW.0 != 0;
                found.text_relocations |= entry.val & elf::DF_TEXTREL.0 != 0;
            }
            elf::DT_FLAGS_1 => {
                found.now |= entry.val & elf::DF_1_NOW.0 != 0;
                found.pie |= entry.val & elf::DF_1_PIE.0 != 0;
            }
            elf::DT_RPATH | elf::DT_RUNPATH => {
                let folders = String::from_utf8_lossy(table.string(entry)?).into_owned();
                found.search_path.extend(folders.split(':').map(str::to_owned));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn exports(file: &ElfFile64<'_, Endianness>, name: &str) -> bool {
    file.dynamic_symbols()
        .any(|symbol| !symbol.is_undefined() && symbol.name() == Ok(name))
}

fn language(file: &ElfFile64<'_, Endianness>, libraries: bool, rust: bool) -> Language {
    if file.section_by_name(".go.buildinfo").is_some() || file.section_by_name(".gopclntab").is_some() {
        if libraries { Language::Cgo } else { Language::Go }
    } else if rust || file.section_by_name(CRATES).is_some() {
        Language::Rust
    } else {
        Language::C
    }
}

/// The notes of compilers: texts that end with a zero byte, each once.
fn makers(file: &ElfFile64<'_, Endianness>) -> object::read::Result<BTreeSet<String>> {
    let Some(section) = file.section_by_name(".comment") else {
        return Ok(BTreeSet::new());
    };
    let data = section.uncompressed_data()?;
    let notes = data.split(|byte| *byte == 0).filter(|note| !note.is_empty());
    Ok(notes.map(|note| String::from_utf8_lossy(note).into_owned()).collect())
}

/// Returns the prefixes of `library/` in the constants of a program, whose strings follow each other without a
/// separator.
fn rust_library(file: &ElfFile64<'_, Endianness>, bytes: &[u8]) -> BTreeSet<String> {
    let constants = file.section_by_name(".rodata").and_then(|section| section.data().ok());
    let constants = constants.unwrap_or(bytes);
    let places = RUST.iter().flat_map(|path| memchr::memmem::find_iter(constants, path));
    let before = places.map(|place| {
        let window = constants.get(place.saturating_sub(FOLDER)..place).unwrap_or_default();
        let folder = window.rsplit(|byte| !byte.is_ascii_graphic()).next();
        String::from_utf8_lossy(folder.unwrap_or_default()).into_owned()
    });
    before.collect()
}

/// Returns `true` for branch tracking and for shadow stacks, in this order, if the GNU property notes declare them.
fn marks(file: &ElfFile64<'_, Endianness>) -> (bool, bool) {
    let endian = file.endian();
    let mut marks = (false, false);
    for header in file.elf_program_headers() {
        let Ok(Some(mut notes)) = header.notes(endian, file.data()) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            let Some(mut properties) = note.gnu_properties(endian) else {
                continue;
            };
            while let Ok(Some(property)) = properties.next() {
                let Ok(bits) = property.data_u32(endian) else { continue };
                match property.pr_type() {
                    elf::GNU_PROPERTY_X86_FEATURE_1_AND => {
                        marks.0 |= bits & elf::GNU_PROPERTY_X86_FEATURE_1_IBT != 0;
                        marks.1 |= bits & elf::GNU_PROPERTY_X86_FEATURE_1_SHSTK != 0;
                    }
                    elf::GNU_PROPERTY_AARCH64_FEATURE_1_AND => {
                        marks.0 |= bits & elf::GNU_PROPERTY_AARCH64_FEATURE_1_BTI != 0;
                    }
                    _ => {}
                }
            }
        }
    }
    marks
}
