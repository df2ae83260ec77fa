//! SMBIOS strings (type 11, OEM strings) that configure a machine.
//!
//! systemd takes credentials from `io.systemd.credential.binary:NAME=BASE64`, and systemd-stub takes more words for
//! the kernel's command line from `io.systemd.stub.kernel-cmdline-extra=WORDS`. Each string is handed to QEMU in a file
//! of its own: on its command line they would need escaping, be cut at 1023 characters, and be seen by everyone in the
//! list of processes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Machine;

/// Credential that systemd in a machine passes to the services that ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemdCredential {
    /// Name of the credential, as `basalt.node`.
    pub name: String,
    /// Value of the credential.
    pub value: Vec<u8>,
}

impl SystemdCredential {
    /// Makes a credential.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }

    pub(crate) fn has_good_name(&self) -> bool {
        let good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
        !self.name.is_empty() && self.name.len() < 256 && !self.name.starts_with('.') && self.name.chars().all(good)
    }
}

/// Renders the type 11 strings of a machine: one for each credential, and one for the kernel arguments.
pub fn smbios_strings(machine: &Machine) -> Vec<String> {
    let mut strings: Vec<_> = machine
        .credentials
        .iter()
        .map(|credential| {
            format!(
                "io.systemd.credential.binary:{}={}",
                credential.name,
                STANDARD.encode(&credential.value)
            )
        })
        .collect();
    if !machine.kernel_arguments.is_empty() {
        strings.push(format!(
            "io.systemd.stub.kernel-cmdline-extra={}",
            machine.kernel_arguments.join(" ")
        ));
    }
    strings
}

#[cfg(test)]
mod tests {
    use basalt_release::Arch;

    use super::*;

    #[test]
    fn credentials_and_words_become_strings() {
        let mut machine = Machine::new("a", "/m", Arch::X86_64);
        assert!(smbios_strings(&machine).is_empty());
        machine
            .credentials
            .push(SystemdCredential::new("basalt.node", "a: \"b,c\"\n"));
        machine.kernel_arguments = vec!["quiet".into(), "mitigations=off".into()];
        insta::assert_snapshot!(smbios_strings(&machine).join("\n"), @r"
        io.systemd.credential.binary:basalt.node=YTogImIsYyIK
        io.systemd.stub.kernel-cmdline-extra=quiet mitigations=off
        ");
    }

    #[test]
    fn hostile_names_are_refused() {
        for name in ["", "a b", "a=b", "../x", "a,b"] {
            assert!(!SystemdCredential::new(name, "").has_good_name(), "{name}");
        }
        assert!(SystemdCredential::new("basalt.node-1_x", "").has_good_name());
    }
}
