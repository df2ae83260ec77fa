//! Checks of an image's hardening, and the findings that they report.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Hardening check: one class of mitigation, permission or kernel setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A program is position independent, so that it lies at another address each time.
    Pie,
    /// Relocations are resolved before the program begins and are read-only afterwards (full RELRO, `-z relro -z now`).
    Relro,
    /// Functions with arrays notice when their return address was written over (`-fstack-protector-strong`).
    StackProtector,
    /// Functions of the C library know how large what they write to is (`-D_FORTIFY_SOURCE`).
    Fortify,
    /// The stack cannot be executed.
    Stack,
    /// Code is not written to when a program is loaded.
    TextRelocations,
    /// Libraries are looked for below /usr/lib and nowhere else.
    SearchPath,
    /// The dynamic linker and the libraries that it needs are there.
    Linkage,
    /// Compiled code in the file comes only from compilers that `distro/makers.toml` lists: the distribution's own.
    Maker,
    /// No file is set-user-ID or set-group-ID.
    Setuid,
    /// No file is world-writable, and a world-writable folder has the sticky bit.
    WorldWritable,
    /// Files and folders belong to root, user and group.
    Owner,
    /// Options that the kernel is built with.
    KernelConfig,
    /// Parameters on the kernel command line.
    KernelArgument,
    /// Kernel parameters set at run time through `sysctl.d`.
    Sysctl,
}

impl Check {
    /// List of the checks, in the order of the report.
    pub const ALL: [Self; 15] = [
        Self::Pie,
        Self::Relro,
        Self::StackProtector,
        Self::Fortify,
        Self::Stack,
        Self::TextRelocations,
        Self::SearchPath,
        Self::Linkage,
        Self::Maker,
        Self::Setuid,
        Self::WorldWritable,
        Self::Owner,
        Self::KernelConfig,
        Self::KernelArgument,
        Self::Sysctl,
    ];

    /// Name of the check in `distro/hardening.toml` and in reports, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pie => "pie",
            Self::Relro => "relro",
            Self::StackProtector => "stack-protector",
            Self::Fortify => "fortify",
            Self::Stack => "stack",
            Self::TextRelocations => "text-relocations",
            Self::SearchPath => "search-path",
            Self::Linkage => "linkage",
            Self::Maker => "maker",
            Self::Setuid => "setuid",
            Self::WorldWritable => "world-writable",
            Self::Owner => "owner",
            Self::KernelConfig => "kernel-config",
            Self::KernelArgument => "kernel-argument",
            Self::Sysctl => "sysctl",
        }
    }

    /// Requirement of the check in a few words, for the report.
    pub fn wish(self) -> &'static str {
        match self {
            Self::Pie => "programs are position independent",
            Self::Relro => "relocations are read-only, and done before the start",
            Self::StackProtector => "C and C++ have stack protectors",
            Self::Fortify => "calls to the C library are fortified",
            Self::Stack => "the stack cannot be executed",
            Self::TextRelocations => "code is never written to",
            Self::SearchPath => "libraries come from /usr/lib",
            Self::Linkage => "what it is linked with is in the image",
            Self::Maker => "all of it was compiled here",
            Self::Setuid => "no set-user-ID, no set-group-ID",
            Self::WorldWritable => "nothing that everybody may write to",
            Self::Owner => "everything belongs to root",
            Self::KernelConfig => "the kernel is built as KSPP recommends",
            Self::KernelArgument => "the kernel starts as KSPP recommends",
            Self::Sysctl => "the kernel runs as KSPP recommends",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Programming language of a program, as far as it decides which mitigations apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// C, C++ or assembler.
    C,
    /// Go without a line of C.
    Go,
    /// Go with C in it (cgo), linked like a C program.
    Cgo,
    /// Rust.
    Rust,
}

/// Violation of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HardeningFinding {
    /// Check that is violated.
    pub check: Check,
    /// The file, the option or the setting.
    pub subject: String,
    /// The package that it is from; empty for what is of no package.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// Programming language of the program; `None` for findings about other files and about the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Description of the violation in a few words, to follow the subject: `is always at the same address`.
    pub what: String,
}
