//! Nothing of the SDK is in any product: every file of every package that holds compiled code is looked at.
//!
//! What a compiler makes says so in its section `.comment`, and the linker keeps what all the objects say that it puts
//! together: start files and libraries too. So one look at a program tells of everything that is linked into it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::time::Duration;

use basalt_repo::{Package, Payload, read_package, usr_merged};
use basalt_tests::{Failed, Place, ensure, shown};
use camino::Utf8PathBuf;
use object::read::archive::ArchiveFile;
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{Endianness, Object as _, ObjectKind, ObjectSection as _, elf};

/// Building what is not built yet.
const PATIENCE: Duration = Duration::from_secs(3600 * 2);
/// How our compiler signs what it makes.
const OURS: &str = "GCC: (Basalt Linux ";
/// rustc comes from the SDK, as Go's compiler does; the libraries that it links with must not.
const RUST: &str = "rustc version ";
/// Where the standard library's source lies when it is compiled here. What comes ready-made with rustc tells of
/// `library/...` only, or of `/rustc/<commit>/...`.
const RUST_LIBRARY: &str = "/usr/src/rust/library/";
/// Folders that programs may look into for libraries.
const FOLDERS: &[&str] = &["$ORIGIN", "/usr/lib"];
/// A kernel and boot programs are no ELF files, but say in their own ways what made them.
const FOREIGN: &[&[u8]] = &[b"GCC: (Debian", b"GCC: (Ubuntu", b"gcc (Debian", b"gcc (Ubuntu"];

/// All packages, as the command builds them.
struct Packages(Vec<(Package, Utf8PathBuf)>);

impl Packages {
    fn of(place: &Place) -> Result<Self, Failed> {
        let folder = place.surroundings.checkout.join("distro/packages");
        let mut names = Vec::new();
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_owned());
            }
        }
        let arguments: Vec<&str> = ["--json", "build"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        let ran = place.surroundings.cli().run(&arguments, PATIENCE)?.ended_with(0)?;
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout)?;
        let lists = answer["packages"].as_array().ok_or("the answer lists packages")?;
        let rpms = lists
            .iter()
            .flat_map(|package| package["rpms"].as_array().into_iter().flatten());
        let mut found = Vec::new();
        for rpm in rpms {
            let path = Utf8PathBuf::from(rpm["path"].as_str().ok_or("an RPM has a path")?);
            found.push((read_package(&path).map_err(shown)?, path));
        }
        Ok(Self(found))
    }

    /// Those that are for machines.
    fn products(&self) -> impl Iterator<Item = &(Package, Utf8PathBuf)> {
        self.0.iter().filter(|(package, _)| !package.is_build_tool())
    }

    /// Every path that a machine may have from packages.
    fn paths(&self) -> BTreeSet<String> {
        self.products()
            .flat_map(|(package, _)| &package.files)
            .map(|path| usr_merged(path))
            .collect()
    }
}

/// What compiled code tells of where it comes from.
#[derive(Debug, Default)]
struct Origin {
    makers: BTreeSet<String>,
    go: bool,
    linked: bool,
    interpreter: Option<String>,
    libraries: Vec<String>,
    folders: Vec<String>,
}

impl Origin {
    fn read(content: &[u8]) -> Result<Self, Failed> {
        let file = ElfFile64::<Endianness>::parse(content)?;
        let endian = file.endian();
        let mut origin = Self {
            linked: matches!(file.kind(), ObjectKind::Executable | ObjectKind::Dynamic),
            go: file.section_by_name(".go.buildinfo").is_some(),
            ..Self::default()
        };
        for section in file.sections() {
            let name = section.name()?;
            if name == ".comment" {
                let data = section.uncompressed_data()?;
                let notes = data.split(|byte| *byte == 0).filter(|note| !note.is_empty());
                origin
                    .makers
                    .extend(notes.map(|note| String::from_utf8_lossy(note).into_owned()));
            }
        }
        for header in file.elf_header().program_headers(endian, content)? {
            if let Some(interpreter) = header.interpreter(endian, content)? {
                origin.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
            }
        }
        let sections = file.elf_header().sections(endian, content)?;
        let linkage = sections
            .iter()
            .find(|section| section.sh_type(endian) == elf::SHT_DYNAMIC);
        if linkage.is_some()
            && let Some((entries, strings)) = sections.dynamic(endian, content)?
        {
            let strings = sections.strings(endian, content, strings)?;
            for entry in entries {
                let list = match entry.tag(endian) {
                    elf::DT_NEEDED => &mut origin.libraries,
                    elf::DT_RUNPATH | elf::DT_RPATH => &mut origin.folders,
                    _ => continue,
                };
                let text = entry.string(endian, strings)?;
                list.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        Ok(origin)
    }

    /// What is wrong with it, given the paths of all packages.
    fn faults(&self, content: &[u8], paths: &BTreeSet<String>) -> Vec<String> {
        let mut faults = Vec::new();
        for maker in &self.makers {
            if !maker.starts_with(OURS) && !maker.starts_with(RUST) {
                faults.push(format!("was made by {maker}"));
            }
        }
        // Objects of assembly language do not tell; but whatever is linked has start files in it, which do.
        if self.linked && self.makers.is_empty() && !self.go {
            faults.push("does not tell what made it".to_owned());
        }
        if self.makers.iter().any(|maker| maker.starts_with(RUST)) && !contains(content, RUST_LIBRARY.as_bytes()) {
            faults.push("has a Rust library in it that was not compiled here".to_owned());
        }
        if let Some(interpreter) = &self.interpreter
            && !paths.contains(&usr_merged(interpreter))
        {
            faults.push(format!("is started by {interpreter}, which no package has"));
        }
        for library in &self.libraries {
            let suffix = format!("/{library}");
            if !paths.iter().any(|path| path.ends_with(&suffix)) {
                faults.push(format!("needs {library}, which no package has"));
            }
        }
        for folder in self.folders.iter().flat_map(|folders| folders.split(':')) {
            let allowed = |start: &str| {
                let rest = folder.strip_prefix(start);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !FOLDERS.iter().any(|start| allowed(start)) {
                faults.push(format!("looks for libraries in `{folder}`"));
            }
        }
        faults
    }
}

fn contains(content: &[u8], text: &[u8]) -> bool {
    content.windows(text.len()).any(|window| window == text)
}

/// How much was looked at: that nothing is wrong means something only then.
#[derive(Debug, Default)]
struct Seen {
    linked: usize,
    objects: usize,
    archived: usize,
    go: usize,
    rust: usize,
    ours: usize,
}

impl Seen {
    fn look(
        &mut self,
        name: &str,
        content: &[u8],
        paths: &BTreeSet<String>,
        wrong: &mut Vec<String>,
    ) -> Result<(), Failed> {
        if content.starts_with(b"\x7fELF") {
            let origin = Origin::read(content).map_err(|error| format!("{name}: {}", told(&error)))?;
            self.linked += usize::from(origin.linked);
            self.objects += usize::from(!origin.linked);
            self.go += usize::from(origin.go);
            self.rust += usize::from(origin.makers.iter().any(|maker| maker.starts_with(RUST)));
            self.ours += usize::from(origin.makers.iter().any(|maker| maker.starts_with(OURS)));
            wrong.extend(
                origin
                    .faults(content, paths)
                    .into_iter()
                    .map(|fault| format!("{name} {fault}")),
            );
        } else if content.starts_with(&object::archive::MAGIC) {
            for member in ArchiveFile::parse(content)?.members() {
                let member = member?;
                self.archived += 1;
                let name = format!("{name}({})", String::from_utf8_lossy(member.name()));
                self.look(&name, member.data(content)?, paths, wrong)?;
            }
        } else if content.starts_with(b"MZ") {
            for text in FOREIGN.iter().filter(|text| contains(content, text)) {
                wrong.push(format!("{name} has `{}` in it", String::from_utf8_lossy(text)));
            }
        }
        Ok(())
    }
}

fn told(error: &Failed) -> String {
    error.message().unwrap_or("cannot be read").to_owned()
}

pub fn all_code_is_compiled_here(place: &Place) -> Result<(), Failed> {
    let packages = Packages::of(place)?;
    let paths = packages.paths();
    let (mut seen, mut wrong) = (Seen::default(), Vec::new());
    let mut per_package: BTreeMap<&str, usize> = BTreeMap::new();
    for (package, path) in packages.products() {
        let mut payload = Payload::open(path).map_err(shown)?;
        while let Some(file) = payload.next().map_err(shown)? {
            if !file.is_regular() {
                continue;
            }
            let mut content = Vec::new();
            payload.read_to_end(&mut content)?;
            let name = format!("{}: {}", package.name, file.paths.join(", "));
            seen.look(&name, &content, &paths, &mut wrong)?;
        }
        *per_package.entry(&package.name).or_default() += 1;
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))?;
    ensure(
        seen.linked > 150 && seen.archived > 1000 && seen.go > 15 && seen.rust > 0 && seen.ours > 1000,
        || format!("too little was looked at: {seen:?}"),
    )
}

pub fn the_compiler_is_our_own(place: &Place) -> Result<(), Failed> {
    let packages = Packages::of(place)?;
    let tools: Vec<&str> = packages
        .0
        .iter()
        .filter(|(package, _)| package.is_build_tool())
        .map(|(package, _)| package.name.as_str())
        .collect();
    ensure(tools == ["cross-gcc", "cross-gcc-build", "libgcc-bootstrap"], || {
        format!("build tools: {tools:?}")
    })?;
    // What would bring the SDK's libraries with it is asked for by nothing that a machine may have.
    for (package, _) in packages.products() {
        let asked = package
            .requires
            .iter()
            .find(|wanted| tools.contains(&wanted.name.as_str()));
        ensure(asked.is_none(), || format!("{} requires {asked:?}", package.name))?;
    }
    // The kernel says by what it was configured.
    let kernel = packages.products().find(|(package, _)| package.name == "kernel");
    let (_, path) = kernel.ok_or("there is a kernel")?;
    let mut payload = Payload::open(path).map_err(shown)?;
    while let Some(file) = payload.next().map_err(shown)? {
        if file.paths.iter().any(|path| path.ends_with("/config")) {
            let mut text = String::new();
            payload.read_to_string(&mut text)?;
            let line = text.lines().find(|line| line.starts_with("CONFIG_CC_VERSION_TEXT="));
            return ensure(line.is_some_and(|line| line.contains("(Basalt Linux ")), || {
                format!("the kernel was made by {line:?}")
            });
        }
    }
    Err("the kernel's package has no config".into())
}
