//! Nothing of the SDK is in any product: every file of every package that holds compiled code is looked at.
//!
//! What a compiler makes says so in its section `.comment`, and the linker keeps what all the objects say that it puts
//! together: start files and libraries too. So one look at a program tells of everything that is linked into it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use basalt_hardening::{AllowedCompilers, ElfKind, Language, read_elf, unresolved};
use basalt_rpm::{Dependency, Package, Payload, read_package, usr_merged};
use basalt_test_environment::{Failed, TestDirectory, ensure, has_all, is_long, shown};
use camino::Utf8PathBuf;
use object::read::archive::ArchiveFile;

use crate::fixture::{Fixture, TIMEOUT as SHORT};

/// Building what is not built yet.
const TIMEOUT: Duration = Duration::from_secs(3600 * 2);
/// Text by which our compiler signs its output: not read from `distro/makers.toml`, so that no other compiler is added
/// there unnoticed.
const OURS: &str = "GCC: (Basalt Linux ";
/// A kernel and boot programs are no ELF files, but say in their own ways what made them.
const FOREIGN: &[&[u8]] = &[b"GCC: (Debian", b"GCC: (Ubuntu", b"gcc (Debian", b"gcc (Ubuntu"];

/// Kubernetes' end-to-end suite, which is on no machine and takes ten minutes to build: looked at in `--long` only.
const SUITE: &str = "kubernetes-e2e";

/// All packages, as the command builds them.
struct Packages(Vec<(Package, Utf8PathBuf)>);

impl Packages {
    fn of(directory: &TestDirectory) -> Result<Self, Failed> {
        let mut names = Fixture::of(directory).packages()?;
        names.retain(|name| is_long() || name != SUITE);
        let words: Vec<&str> = std::iter::once("build")
            .chain(names.iter().map(String::as_str))
            .collect();
        let answer = directory.environment.cli().json(&words, TIMEOUT, 0)?;
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

    /// Packages that are installed on machines: all but build tools.
    fn products(&self) -> impl Iterator<Item = &(Package, Utf8PathBuf)> {
        self.0.iter().filter(|(package, _)| !package.is_build_tool())
    }

    /// Every path that a machine may have from packages.
    fn paths(&self) -> BTreeSet<String> {
        self.products()
            .flat_map(|(package, _)| &package.files)
            .map(|path| usr_merged(path).into_owned())
            .collect()
    }
}

/// Numbers of files checked: that nothing is wrong means something only then.
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
        (package, path): (&str, &str),
        content: &[u8],
        standard: &Standard,
        wrong: &mut Vec<String>,
    ) -> Result<(), Failed> {
        let name = format!("{package}: {path}");
        if content.starts_with(b"\x7fELF") {
            let elf = read_elf(content).map_err(|why| format!("{name}: {why}"))?;
            let elf = elf.ok_or_else(|| format!("{name} is an ELF file, but not of 64 bits"))?;
            let linked = elf.kind != ElfKind::Object;
            self.linked += usize::from(linked);
            self.objects += usize::from(!linked);
            self.go += usize::from(matches!(elf.language, Language::Go | Language::Cgo));
            self.rust += usize::from(elf.language == Language::Rust);
            self.ours += usize::from(elf.makers.iter().any(|maker| maker.starts_with(OURS)));
            let faults = [
                standard.makers.check(&elf),
                unresolved(&elf, path, |path| standard.paths.contains(path)),
            ];
            wrong.extend(faults.into_iter().flatten().map(|fault| format!("{name} {fault}")));
        } else if content.starts_with(&object::archive::MAGIC) {
            for member in ArchiveFile::parse(content)?.members() {
                let member = member?;
                self.archived += 1;
                let path = format!("{path}({})", String::from_utf8_lossy(member.name()));
                self.look((package, &path), member.data(content)?, standard, wrong)?;
            }
        } else if content.starts_with(b"MZ") {
            let has = |text: &&&[u8]| content.windows(text.len()).any(|window| window == **text);
            for text in FOREIGN.iter().filter(has) {
                wrong.push(format!("{name} has `{}` in it", String::from_utf8_lossy(text)));
            }
        }
        Ok(())
    }
}

/// Rules that code is checked against.
struct Standard {
    makers: AllowedCompilers,
    paths: BTreeSet<String>,
}

pub fn all_code_is_compiled_here(directory: &TestDirectory) -> Result<(), Failed> {
    let packages = Packages::of(directory)?;
    let makers = Fixture::of(directory).text("distro/makers.toml")?;
    let standard = Standard {
        makers: AllowedCompilers::parse("distro/makers.toml", &makers).map_err(shown)?,
        paths: packages.paths(),
    };
    let (mut seen, mut wrong) = (Seen::default(), Vec::new());
    for (package, path) in packages.products() {
        let mut payload = Payload::open(path).map_err(shown)?;
        while let Some(file) = payload.next().map_err(shown)? {
            if !file.is_regular() {
                continue;
            }
            let mut content = Vec::new();
            payload.read_to_end(&mut content)?;
            let path = file
                .paths
                .first()
                .map_or_else(String::new, |path| usr_merged(path).into_owned());
            seen.look((&package.name, &path), &content, &standard, &mut wrong)?;
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))?;
    ensure(
        seen.linked >= 140 && seen.archived > 4000 && seen.go >= 15 && seen.rust > 0 && seen.ours > 3500,
        || format!("too little was looked at: {seen:?}"),
    )
}

pub fn the_compiler_is_our_own(directory: &TestDirectory) -> Result<(), Failed> {
    let packages = Packages::of(directory)?;
    let tools: BTreeSet<&str> = packages
        .0
        .iter()
        .filter(|(package, _)| package.is_build_tool())
        .map(|(package, _)| package.name.as_str())
        .collect();
    let ours = [
        "cross-gcc",
        "cross-gcc-build",
        "libgcc-bootstrap",
        "golang-std",
        "ninja",
    ];
    ensure(tools == BTreeSet::from(ours), || format!("build tools: {tools:?}"))?;
    // What would bring the SDK's libraries with it is asked for by nothing that a machine may have.
    for (package, _) in packages.products() {
        let requires = package.requires.iter();
        let asked = requires
            .flat_map(Dependency::capabilities)
            .find(|wanted| tools.contains(wanted.name.as_str()));
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

pub fn another_compiler_is_noticed(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = Fixture::of(directory);
    let makers = fixture
        .text("distro/makers.toml")?
        .replace(OURS, "GCC: (Another Linux ");
    let cli = fixture.checkout("another-compiler", &[("makers.toml", &makers)])?;
    let ran = cli.run(&["harden", "node"], SHORT)?.ended_with(1)?;
    has_all(
        &ran.stdout,
        &["wrong     maker: /usr/lib/libc.so.6 (of glibc) was made by GCC: (Basalt Linux "],
    )
}
