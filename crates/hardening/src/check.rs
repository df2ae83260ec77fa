//! What is looked at, and what may be found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One kind of defence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A program is position independent, so that it lies at another address each time.
    Pie,
    /// What the dynamic linker has filled in is read-only afterwards, and filled in before the program begins.
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
    /// It was compiled by the distribution's own compiler, and so was all that is linked into it (`distro/makers.toml`).
    Maker,
    /// No file makes whoever starts it somebody else (set-user-ID, set-group-ID).
    Setuid,
    /// Nothing can be written by everybody, but for folders in which each may remove only what is theirs.
    WorldWritable,
    /// Everything belongs to root.
    Owner,
    /// Options that the kernel is built with.
    KernelConfig,
    /// What the kernel is told when it starts.
    KernelArgument,
    /// What the kernel is told when it runs.
    Sysctl,
}

impl Check {
    /// All of them, in the order of the report.
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

    /// Its name in `distro/hardening.toml` and in reports.
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

    /// What is wanted, in a few words.
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

/// What a program is written in, as far as it decides which defences make sense.
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

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which check it is of.
    pub check: Check,
    /// The file, the option or the setting.
    pub subject: String,
    /// The package that it is from; empty for what is of no package.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// What a program is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// What is wrong, in a few words.
    pub what: String,
}
