//! Go's build information, which the linker writes into a program: its modules and the version of Go.
//!
//! The format is that of Go's package `debug/buildinfo`, as the linker has written it since Go 1.18: a header of 32 bytes
//! (magic number, size of a pointer, flags), then two strings with their length before them as a varint: the version of
//! Go, and a text of lines with a sentinel of 16 bytes around it.

use serde::{Deserialize, Serialize};

use crate::ProgramError;

/// The section of an ELF file.
pub(crate) const SECTION: &str = ".go.buildinfo";
const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER: usize = 32;
/// The place of the flags in the header.
const FLAGS: usize = 15;
/// The flag of strings that follow the header, in place of pointers to them.
const INLINE: u8 = 2;
/// Size of each of the sentinels before and after the list of modules, in bytes.
const SENTINEL: usize = 16;
/// The version of what was not a release when it was built.
pub(crate) const DEVELOPMENT: &str = "(devel)";

/// Build information of a Go program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoProgram {
    /// The version of Go, without `go` and what experiments were switched on: `1.27.1`.
    pub go: String,
    /// The import path of its main package.
    pub path: String,
    /// The module of its main package; none in programs of the Go distribution itself.
    pub main: Option<GoModule>,
    /// The modules that it is linked from.
    pub modules: Vec<GoModule>,
}

/// A module as it was linked: where it is replaced, the replacement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GoModule {
    /// Module path.
    pub path: String,
    /// Module version; empty or `(devel)` where there is none.
    pub version: String,
    /// Hash of the module as in `go.sum`; empty if the linker has recorded none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sum: String,
    /// The path and version that the program's requirements name, where this one replaces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<(String, String)>,
}

impl GoModule {
    /// Returns `true` for a published version: a module that was built in place has none.
    pub fn is_release(&self) -> bool {
        !self.version.is_empty() && self.version != DEVELOPMENT
    }
}

impl GoProgram {
    /// Reads the content of the section `.go.buildinfo`.
    ///
    /// # Errors
    /// When it is cut short, or not in the format of Go 1.18 and later.
    pub fn parse(section: &[u8]) -> Result<Self, ProgramError> {
        let wrong = |what: &str| ProgramError::Go(what.to_owned());
        // The linker aligns the header to 16 bytes in its section.
        let start = section.chunks(16).position(|chunk| chunk.starts_with(MAGIC));
        let start = start.ok_or_else(|| wrong("has no build information in it"))? * 16;
        let header = section.get(start..).and_then(<[u8]>::split_first_chunk::<HEADER>);
        let (header, mut rest) = header.ok_or_else(|| wrong("is cut short"))?;
        if header[FLAGS] & INLINE == 0 {
            return Err(wrong("is of a Go before 1.18, which says it in another form"));
        }
        let go = text(&mut rest)?;
        let lines = text(&mut rest)?;
        let go = std::str::from_utf8(go).map_err(|_| wrong("names a version of Go that is not text"))?;
        let go = go
            .strip_prefix("go")
            .unwrap_or(go)
            .split([' ', '-'])
            .next()
            .unwrap_or_default();
        if go.is_empty() {
            return Err(wrong("names no version of Go"));
        }
        let mut program = Self {
            go: go.to_owned(),
            ..Self::default()
        };
        // A program may be built without modules.
        let inner = lines.get(SENTINEL..lines.len().saturating_sub(SENTINEL));
        let Some(inner) = inner.filter(|inner| !inner.is_empty()) else {
            return match lines.is_empty() {
                true => Ok(program),
                false => Err(wrong("has a list of modules without beginning and end")),
            };
        };
        let inner = std::str::from_utf8(inner).map_err(|_| wrong("has a list of modules that is not text"))?;
        program.read_lines(inner)?;
        Ok(program)
    }

    fn read_lines(&mut self, lines: &str) -> Result<(), ProgramError> {
        for line in lines.lines() {
            let wrong = || ProgramError::Go(format!("has a line that is not understood: {line:?}"));
            let mut words = line.split('\t');
            let key = words.next().unwrap_or_default();
            let mut word = || words.next().unwrap_or_default().to_owned();
            match key {
                "path" => self.path = word(),
                "mod" | "dep" | "=>" => {
                    let module = GoModule {
                        path: word(),
                        version: word(),
                        sum: word(),
                        replaces: None,
                    };
                    if module.path.is_empty() {
                        return Err(wrong());
                    }
                    match key {
                        "mod" => self.main = Some(module),
                        "dep" => self.modules.push(module),
                        _ => {
                            let replaced = self.modules.last_mut().or(self.main.as_mut()).ok_or_else(wrong)?;
                            let old = std::mem::replace(replaced, module);
                            replaced.replaces = Some((old.path, old.version));
                        }
                    }
                }
                // Settings (`build`) and whatever later releases add.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes a string off the front: its length as a varint, then its bytes.
fn text<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], ProgramError> {
    let short = || ProgramError::Go("is cut short".to_owned());
    let mut length: usize = 0;
    let mut shift = 0;
    loop {
        let (byte, after) = rest.split_first().ok_or_else(short)?;
        *rest = after;
        if shift > 28 {
            return Err(ProgramError::Go("has a string of an impossible length".to_owned()));
        }
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    let (text, after) = rest.split_at_checked(length).ok_or_else(short)?;
    *rest = after;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINES: &str = "path\texample.org/tool/cmd/tool\nmod\tbasalt.local/packages/tool\t(devel)\t\n\
        dep\texample.org/tool\tv1.2.3\th1:abc=\ndep\tk8s.io/api\tv0.0.0\n=>\tk8s.io/api\tv0.37.2\th1:def=\n\
        build\t-buildmode=exe\nbuild\tGOOS=linux\n";

    fn string(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut length = text.len();
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).expect("seven bits"));
        bytes.extend_from_slice(text);
        bytes
    }

    fn section(go: &str, lines: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([8, INLINE]);
        bytes.resize(HEADER, 0);
        bytes.extend(string(go.as_bytes()));
        let around = [&[b'<'; SENTINEL][..], lines.as_bytes(), &[b'>'; SENTINEL]].concat();
        bytes.extend(string(&around));
        bytes
    }

    #[test]
    fn a_program_names_its_modules() {
        let program = GoProgram::parse(&section("go1.27.1 X:nogreenteagc", LINES)).expect("understood");
        assert_eq!(program.go, "1.27.1");
        assert_eq!(program.path, "example.org/tool/cmd/tool");
        assert_eq!(program.main.as_ref().map(GoModule::is_release), Some(false));
        assert_eq!(program.modules.len(), 2);
        assert_eq!(program.modules[0].sum, "h1:abc=");
        assert_eq!(program.modules[1].version, "v0.37.2");
        assert_eq!(
            program.modules[1].replaces,
            Some(("k8s.io/api".to_owned(), "v0.0.0".to_owned()))
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = section("go1.27.1", LINES);
        let mut old = good.clone();
        old[FLAGS] = 0;
        let orphan = section("go1.27.1", "=>\ta\tv1\n");
        let nameless = section("go1.27.1", "dep\t\tv1\n");
        let mut endless = good[..HEADER].to_vec();
        endless.extend([0xff; 12]);
        for (bytes, message) in [
            (&b"nothing"[..], "no build information"),
            (&good[..HEADER - 1], "cut short"),
            (&good[..good.len() - 1], "cut short"),
            (&old, "before 1.18"),
            (&section("go", LINES), "no version"),
            (&orphan, "not understood"),
            (&nameless, "not understood"),
            (&endless, "impossible length"),
        ] {
            let error = GoProgram::parse(bytes).expect_err(message);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let good = section("go1.27.1", LINES);
        for length in 0..good.len() {
            assert!(GoProgram::parse(&good[..length]).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256), magic: bool) {
            let mut section = if magic { section("go1", "")[..HEADER].to_vec() } else { Vec::new() };
            section.extend(bytes);
            drop(GoProgram::parse(&section));
        }

        #[test]
        fn no_lines_make_it_panic(lines in "((path|mod|dep|=>|build)\t[a-z/.]{0,8}\t?[v0-9.]{0,6}\n?){0,8}") {
            drop(GoProgram::parse(&section("go1.27", &lines)));
        }
    }
}
