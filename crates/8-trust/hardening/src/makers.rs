//! Compilers that may have produced the code of an image: `distro/makers.toml`.

use basalt_document::problem::Problems;
use basalt_document::toml_file::TomlFile;
use serde::Deserialize;
use toml::Spanned;

use crate::check::Language;
use crate::elf::{Elf, ElfKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMakers {
    #[serde(default)]
    maker: Vec<RawMaker>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMaker {
    note: Spanned<String>,
    who: Spanned<String>,
    #[serde(default)]
    library: Option<Spanned<String>>,
}

/// The compilers that may have made what is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedCompilers {
    list: Vec<AllowedCompiler>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllowedCompiler {
    note: String,
    library: Option<String>,
}

impl AllowedCompilers {
    /// Reads the text of the file; `name` is for errors.
    ///
    /// # Errors
    /// With all places that are wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let file = TomlFile::new(name, text);
        let raw: RawMakers = file.read()?;
        let mut faults = file.faults();
        for maker in &raw.maker {
            // Whatever GCC makes begins with `GCC: (`.
            if maker.note.get_ref().len() < 8 {
                faults.wrong(&maker.note, "this is how anybody's note begins", "write more of it");
            }
            if maker.who.get_ref().trim().is_empty() {
                faults.wrong(&maker.who, "it is not said whose note it is", "write a few words");
            }
            if let Some(library) = &maker.library
                && !(library.get_ref().starts_with('/') && library.get_ref().ends_with('/'))
            {
                let help = "write its whole path, and end it with `/`";
                faults.wrong(library, "this is no folder", help);
            }
        }
        let list = raw.maker.into_iter().map(|maker| AllowedCompiler {
            note: maker.note.into_inner(),
            library: maker.library.map(Spanned::into_inner),
        });
        faults.or(Self { list: list.collect() })
    }

    /// Describes the first compiler or Rust standard library of an ELF file that is not listed; `None` if all are.
    pub fn check(&self, elf: &Elf) -> Option<String> {
        for note in &elf.makers {
            let Some(maker) = self.list.iter().find(|maker| note.starts_with(&maker.note)) else {
                return Some(format!("was made by {note}"));
            };
            let Some(library) = &maker.library else { continue };
            if elf.rust_library.is_empty() {
                return Some(format!(
                    "was made by {note}, and does not tell where its library is from"
                ));
            }
            if let Some(other) = elf.rust_library.iter().find(|folder| !folder.ends_with(library)) {
                return Some(format!("has a Rust library in it that was compiled in `{other}`"));
            }
        }
        // Objects of assembly language name nobody; but what is linked has start files in it, which do. Go's own linker
        // takes none, and Go's library comes as source.
        let silent = elf.makers.is_empty() && elf.kind != ElfKind::Object && elf.language != Language::Go;
        silent.then(|| "does not tell what made it".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MAKERS: &str = "[[maker]]\nnote = \"GCC: (Example \"\nwho = \"ours\"\n\n\
                          [[maker]]\nnote = \"rustc version \"\nwho = \"any\"\nlibrary = \"/usr/src/rust/\"\n";

    fn elf(makers: &[&str], rust_library: &[&str]) -> Elf {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
        Elf {
            makers: set(makers),
            rust_library: set(rust_library),
            ..crate::programs::tests::good()
        }
    }

    #[test]
    fn other_compilers_are_named() {
        let makers = AllowedCompilers::parse("makers.toml", MAKERS).expect("right");
        let check = |names: &[&str], library: &[&str]| makers.check(&elf(names, library));
        let (ours, rustc) = ("GCC: (Example 14) 14.2.0", "rustc version 1.99.0");
        assert_eq!(check(&[ours], &[]), None);
        assert_eq!(check(&[ours, rustc], &["text/usr/src/rust/"]), None);
        let debian = "GCC: (Debian 14.2.0-19) 14.2.0";
        assert_eq!(check(&[ours, debian], &[]), Some(format!("was made by {debian}")));
        let foreign = check(&[rustc], &["/usr/src/rust/", "/rustc/abc/"]);
        assert_eq!(
            foreign.as_deref(),
            Some("has a Rust library in it that was compiled in `/rustc/abc/`")
        );
        assert!(check(&[rustc], &[]).is_some_and(|fault| fault.contains("does not tell where")));
        assert_eq!(check(&[], &[]).as_deref(), Some("does not tell what made it"));
        let mut silent = elf(&[], &[]);
        silent.kind = ElfKind::Object;
        assert_eq!(makers.check(&silent), None);
    }

    #[test]
    fn everything_wrong_is_said_at_its_place() {
        let text = "[[maker]]\nnote = \"GCC\"\nwho = \" \"\nlibrary = \"src/rust\"\n";
        let problems = AllowedCompilers::parse("makers.toml", text).expect_err("wrong");
        insta::assert_snapshot!(problems.brief());
    }
}
