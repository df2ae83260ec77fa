//! Content of the node image.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use basalt_store::files_below;
use basalt_test_environment::{Failed, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, elf};

use crate::fixture::Fixture;

/// The most packages that a node may have.
const MOST_PACKAGES: usize = 70;
/// The most that a node may have to download, in bytes.
const MOST_BYTES: u64 = 200 << 20;

pub fn it_is_small(fixture: &Fixture) -> Result<(), Failed> {
    let packages = fixture.facts.packages.len();
    ensure(packages <= MOST_PACKAGES, || format!("{packages} packages"))?;
    let compressed = fixture.folder().join("disk.zst");
    fixture.tool(
        "zstd",
        &[
            "-q",
            "-3",
            "-T0",
            "--no-check",
            fixture.disk.as_str(),
            "-o",
            compressed.as_str(),
        ],
    )?;
    let bytes = fs_err::metadata(&compressed)?.len();
    fs_err::remove_file(&compressed)?;
    ensure(bytes <= MOST_BYTES, || format!("{} MiB to download", bytes >> 20))
}

pub fn scanners_find_its_packages(fixture: &Fixture) -> Result<(), Failed> {
    let files = fixture.files()?;
    let database = format!("--dbpath={files}/usr/lib/sysimage/rpm");
    let said = fixture.tool("rpm", &[&database, "-qa", "--qf", "%{nevra}\\n"])?;
    let found: BTreeSet<&str> = said.lines().collect();
    let known: BTreeSet<&str> = fixture
        .facts
        .packages
        .iter()
        .map(|package| package.nevra.as_str())
        .collect();
    ensure(found == known, || {
        let (more, fewer): (Vec<_>, Vec<_>) = (found.difference(&known).collect(), known.difference(&found).collect());
        format!("rpm knows {more:?}, which the image has not, and does not know {fewer:?}")
    })?;
    let listed = fixture.tool("rpm", &[&database, "-ql", "basalt-node"])?;
    ensure(listed.lines().any(|path| path == "/usr/bin/basalt-node"), || {
        listed.clone()
    })
}

pub fn nothing_in_it_interprets(fixture: &Fixture) -> Result<(), Failed> {
    const NAMES: &[&str] = &[
        "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "perl", "awk", "gawk", "mawk", "lua", "tclsh", "ruby",
        "gdb",
    ];
    let mut wrong = Vec::new();
    for path in files_below(fixture.files()?)? {
        let name = path.file_name().unwrap_or_default();
        if NAMES.contains(&name) || name.starts_with("python") || name.starts_with("perl5") {
            wrong.push(format!("{path} is an interpreter"));
        }
        let metadata = fs_err::symlink_metadata(&path)?;
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            let content = fs_err::read(&path)?;
            if content.starts_with(b"#!") {
                let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
                wrong.push(format!("{path} is a script: {}", String::from_utf8_lossy(line)));
            }
        }
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

/// Numbers from which accounts are given that ask for any, downward: another package would shift them, and what they own
/// on the state partition of a node would be somebody else's.
const AUTOMATIC: std::ops::RangeInclusive<u32> = 900..=999;
/// Groups of device nodes, which are made anew at each boot.
const OF_DEVICES: &[&str] = &["clock"];

pub fn accounts_have_numbers_that_stay(fixture: &Fixture) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for file in ["passwd", "group"] {
        let text = fs_err::read_to_string(fixture.files()?.join("etc").join(file))?;
        let mut holders = std::collections::BTreeMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            let name = fields.next().unwrap_or_default();
            let number: u32 = fields.nth(1).unwrap_or_default().parse()?;
            if AUTOMATIC.contains(&number) && !OF_DEVICES.contains(&name) {
                wrong.push(format!("{file}: {name} asks for any number and got {number}"));
            }
            if let Some(other) = holders.insert(number, name) {
                wrong.push(format!("{file}: {name} and {other} are both {number}"));
            }
        }
        ensure(!holders.is_empty(), || format!("etc/{file} is empty"))?;
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

/// Files of the root that root alone may read, by the CIS Kubernetes benchmark (docs/node/cis.md).
const OF_ROOT_ALONE: &[&str] = &["usr/lib/systemd/system/kubelet.service"];

pub fn files_of_root_alone_are_readable_by_nobody_else(fixture: &Fixture) -> Result<(), Failed> {
    for path in OF_ROOT_ALONE {
        let metadata = fs_err::symlink_metadata(fixture.files()?.join(path))?;
        let mode = metadata.permissions().mode() & 0o7777;
        ensure(mode == 0o600, || format!("{path} has the mode {mode:o}"))?;
    }
    Ok(())
}

/// File of modules that are loaded at boot, which decides what LoadPin trusts.
const LOADPIN: &str = "10-loadpin.conf";

pub fn the_first_module_comes_from_the_root(fixture: &Fixture) -> Result<(), Failed> {
    let folder = fixture.files()?.join("usr/lib/modules-load.d");
    let mut names = Vec::new();
    for entry in folder.read_dir_utf8()? {
        names.push(entry?.file_name().to_owned());
    }
    names.sort();
    ensure(names.first().is_some_and(|name| name == LOADPIN), || {
        format!("{LOADPIN} is not the first of {names:?}")
    })?;
    let text = fs_err::read_to_string(folder.join(LOADPIN))?;
    let named: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.replace('-', "_"))
        .collect();
    let mut modules = BTreeSet::new();
    for path in files_below(&fixture.files()?.join("usr/lib/modules"))? {
        let name = path.file_name().unwrap_or_default();
        modules.extend(name.split_once(".ko").map(|(module, _)| module.replace('-', "_")));
    }
    ensure(
        !named.is_empty() && named.iter().all(|name| modules.contains(name)),
        || format!("{LOADPIN} names {named:?}, and the image has {} modules", modules.len()),
    )
}

/// Dynamic dependencies of an ELF file, and the compiler that made it.
#[derive(Debug, Default)]
struct Needs {
    interpreter: Option<String>,
    libraries: Vec<String>,
    folders: Vec<String>,
    maker: String,
}

impl Needs {
    /// Of a file; nothing when it is not of this kind.
    fn read(content: &[u8]) -> Result<Option<Self>, Failed> {
        if !content.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        let file = ElfFile64::<Endianness>::parse(content)?;
        let endian = file.endian();
        let mut needs = Self::default();
        if let Some(comment) = file.section_by_name(".comment") {
            needs.maker = String::from_utf8_lossy(comment.data()?).replace('\0', " ");
        }
        for header in file.elf_header().program_headers(endian, content)? {
            if let Some(interpreter) = header.interpreter(endian, content)? {
                needs.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
            }
        }
        let sections = file.elf_header().sections(endian, content)?;
        if let Some((entries, strings)) = sections.dynamic(endian, content)? {
            let strings = sections.strings(endian, content, strings)?;
            for entry in entries {
                let list = match entry.tag(endian) {
                    elf::DT_NEEDED => &mut needs.libraries,
                    elf::DT_RUNPATH | elf::DT_RPATH => &mut needs.folders,
                    _ => continue,
                };
                let text = entry.string(endian, strings)?;
                list.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        Ok(Some(needs))
    }
}

/// Path that a path of the image leads to, with links followed inside the image.
fn follow(files: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
    let mut resolved = Utf8PathBuf::new();
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => drop(resolved.pop()),
            name => {
                let next = resolved.join(name);
                match files.join(&next).read_link_utf8() {
                    Ok(target) if links < 40 => {
                        links += 1;
                        if target.is_absolute() {
                            resolved = Utf8PathBuf::new();
                        }
                        rest.extend(target.as_str().split('/').rev().map(str::to_owned));
                    }
                    _ => resolved = next,
                }
            }
        }
    }
    let place = files.join(resolved);
    place.is_file().then_some(place)
}

pub fn programs_are_of_this_distribution(fixture: &Fixture) -> Result<(), Failed> {
    let files = fixture.files()?;
    let mut wrong = Vec::new();
    let mut programs = 0;
    // Modules of the kernel are not linked with anything: they only say which compiler the SDK has.
    for path in files_below(files)? {
        if !fs_err::symlink_metadata(&path)?.is_file() || path.extension() == Some("ko") {
            continue;
        }
        let Some(needs) = Needs::read(&fs_err::read(&path)?)? else {
            continue;
        };
        programs += 1;
        let name = path.strip_prefix(files).unwrap_or(&path);
        if let Some(interpreter) = needs
            .interpreter
            .filter(|interpreter| follow(files, interpreter).is_none())
        {
            wrong.push(format!("{name} is started by {interpreter}, which is not there"));
        }
        let own: Vec<String> = needs
            .folders
            .iter()
            .flat_map(|folders| folders.split(':'))
            .map(|folder| folder.replace("$ORIGIN", &format!("/{}", name.parent().unwrap_or(name))))
            .collect();
        for library in &needs.libraries {
            let folders = own.iter().map(String::as_str).chain(["/usr/lib", "/usr/lib/systemd"]);
            let mut places = folders.map(|folder| follow(files, &format!("{folder}/{library}")));
            if !places.any(|place| place.is_some()) {
                wrong.push(format!("{name} needs {library}, which is not there"));
            }
        }
        if needs.maker.contains("Debian") || needs.maker.contains("Ubuntu") {
            wrong.push(format!("{name} was made by {}", needs.maker.trim()));
        }
    }
    ensure(programs > 50, || format!("only {programs} programs were found"))?;
    ensure(wrong.is_empty(), || wrong.join("\n"))
}
