//! Programs that the SDK's compiler makes, each without one defence: exactly that one is missed.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "std::fs: a panic names the line")]

use basalt_hardening::{Check, Elf, Language, check_elf, read_elf};
use basalt_sdk::SdkTree;
use camino::Utf8PathBuf;
use libtest_mimic::{Arguments, Failed, Trial};

/// Options of the compiler, as in the distribution's own builds.
const CFLAGS: &str = "-O2 -fstack-protector-strong -D_FORTIFY_SOURCE=3 -fcf-protection";
const LDFLAGS: &str = "-Wl,-z,relro -Wl,-z,now";
/// C program with an array and a formatted string, so that stack protector and fortification apply.
const PROGRAM: &str = r#"
#include <stdio.h>
int main(int count, char **words) {
    char name[64];
    snprintf(name, sizeof name, "%s-%d", words[0], count);
    return printf("%s\n", name) < 0;
}
"#;
/// A library whose code is changed when it is loaded.
const WRITTEN: &str = ".text\n.globl place\nplace: .quad other\n.section .note.GNU-stack,\"\",@progbits\n";

/// Test case: name, options of the compiler, source text, and the checks that fail.
type Case = (&'static str, &'static str, &'static str, &'static [Check]);

const CASES: &[Case] = &[
    ("all_defences", "-fPIE -pie", PROGRAM, &[]),
    ("a_static_pie_program", "-fPIE -static-pie", PROGRAM, &[]),
    ("a_library", "-fPIC -shared -Wl,-soname,libx.so.1", PROGRAM, &[]),
    ("a_fixed_address", "-fno-PIE -no-pie", PROGRAM, &[Check::Pie]),
    ("no_relro", "-fPIE -pie -Wl,-z,norelro", PROGRAM, &[Check::Relro]),
    ("lazy_binding", "-fPIE -pie -Wl,-z,lazy", PROGRAM, &[Check::Relro]),
    (
        "no_stack_protector",
        "-fPIE -pie -fno-stack-protector",
        PROGRAM,
        &[Check::StackProtector],
    ),
    (
        "not_fortified",
        "-fPIE -pie -U_FORTIFY_SOURCE",
        PROGRAM,
        &[Check::Fortify],
    ),
    (
        "an_executable_stack",
        "-fPIE -pie -Wl,-z,execstack",
        PROGRAM,
        &[Check::Stack],
    ),
    (
        "an_odd_search_path",
        "-fPIE -pie -Wl,-rpath,/opt/lib",
        PROGRAM,
        &[Check::SearchPath],
    ),
    (
        "a_search_path_of_its_own",
        "-fPIE -pie -Wl,-rpath,/usr/lib/example",
        PROGRAM,
        &[],
    ),
    (
        "relocations_in_the_code",
        "-shared -nostdlib -Wl,-z,notext -x assembler",
        WRITTEN,
        &[Check::StackProtector, Check::TextRelocations],
    ),
];

fn compile(sdk: &SdkTree, name: &str, options: &str, text: &str) -> Result<Elf, Failed> {
    let folder = tempfile::tempdir()?;
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|path| format!("{path:?}"))?;
    let (source, program) = (path.join("program.c"), path.join(name));
    std::fs::write(&source, text)?;
    let words = format!("{CFLAGS} {LDFLAGS} {options} -o {program} {source}");
    sdk.sandbox()
        .show_writable(&path)
        .command("gcc", words.split_whitespace())
        .output()?;
    Ok(read_elf(&std::fs::read(&program)?)?.ok_or("the compiler makes ELF files")?)
}

fn case(sdk: &SdkTree, (name, options, text, missed): Case) -> Result<(), Failed> {
    let elf = compile(sdk, name, options, text)?;
    let verdicts = check_elf(&elf);
    let wrong: Vec<Check> = verdicts
        .iter()
        .filter(|(_, wrong)| wrong.is_some())
        .map(|(check, _)| *check)
        .collect();
    if wrong != missed || elf.language != Language::C {
        return Err(format!("{wrong:?}, not {missed:?}, of {elf:#?}").into());
    }
    Ok(())
}

fn main() {
    basalt_sandbox::enter_if_asked();
    let sdk = std::env::var("BASALT_SDK")
        .ok()
        .map(Utf8PathBuf::from)
        .filter(|sdk| sdk.is_dir());
    let trials = CASES.iter().map(|&one| {
        let tree = sdk.clone();
        let test = move || tree.map_or(Ok(()), |path| case(&SdkTree::outside(path), one));
        Trial::test(one.0, test).with_ignored_flag(sdk.is_none())
    });
    if sdk.is_none() {
        basalt_test_output::skip_all("no program is compiled, because BASALT_SDK does not name the tree of an SDK");
    }
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
