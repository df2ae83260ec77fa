//! Namespaces and sub-ids, which are looked at before the command is compiled.

use basalt_test_environment::{Failed, has_all};

use crate::machine::Machine;

const KINDS: [&str; 2] = ["subuid", "subgid"];

pub fn sub_ids_that_suffice(machine: &Machine) -> Result<(), Failed> {
    let (name, id) = (machine.user().id("-un")?, machine.user().id("-u")?);
    for text in [
        format!("{name}:200000:65536\n"),
        format!("{id}:200000:65536"),
        format!("other:100000:10\n# a comment\n{name}:300000:1000000\n{name}:200000:10\n"),
    ] {
        for kind in KINDS {
            machine.file(&format!("etc/{kind}"), &text)?;
        }
        machine.run(&["status"])?.ended_with(0)?;
    }
    Ok(())
}

pub fn sub_ids_that_are_missing(machine: &Machine) -> Result<(), Failed> {
    let (name, id) = (machine.user().id("-un")?, machine.user().id("-u")?);
    for kind in KINDS {
        let file = format!("etc/{kind}");
        let path = machine.root.join(&file);
        let good = fs_err::read_to_string(&path)?;
        let add = |range: &str| format!("usermod --add-{kind}s {range} {name}");
        let cases = [
            (None, format!("touch {path}; {}", add("100000-165535"))),
            (Some(String::new()), add("100000-165535")),
            (Some("other:100000:65536\n".to_owned()), add("165536-231071")),
            (
                Some(format!("x{name}:100000:65536\n{id}0:165536:65536\n")),
                add("231072-296607"),
            ),
            (
                Some(format!("{name}:200000:10\n")),
                format!("sed -i '/^{name}:/d' {path}; {}", add("200010-265545")),
            ),
            // Of a user's lines, the first one counts.
            (
                Some(format!("{id}:200000:10\n{name}:300000:65536\n")),
                format!("sed -i '/^{id}:/d' {path}; {}", add("365536-431071")),
            ),
        ];
        for (text, fix) in cases {
            match text {
                Some(text) => drop(machine.file(&file, &text)?),
                None => machine.remove(&file)?,
            }
            let ran = machine.run(&["status"])?.ended_with(3)?;
            let first = format!("the tree of build tools needs 65536 sub-ids of user {name}. {path} has ");
            has_all(&ran.stderr, &[&first, &format!("    sudo sh -c \"{fix}\"\n")])?;
        }
        machine.file(&file, &good)?;
    }
    machine.not_called(&["cargo"])
}

pub fn sub_ids_cannot_be_mapped(machine: &Machine) -> Result<(), Failed> {
    let words = "newuidmap: write to uid_map failed: Operation not permitted";
    machine.file("unshare-fails", &format!("--map-auto {words}\n"))?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(&ran.stderr, &[&format!("cannot be mapped: {words}\n")])?;
    machine.not_called(&["cargo"])?;
    // An old unshare says nothing about the machine.
    machine.file(
        "unshare-fails",
        "--map-auto unshare: unrecognized option '--map-auto'\n",
    )?;
    machine.run(&["status"])?.ended_with(0)?;
    Ok(())
}

pub fn root_needs_no_sub_ids(machine: &Machine) -> Result<(), Failed> {
    machine.uninstall("uidmap")?;
    machine.file("unshare-fails", "--map-auto newuidmap: not found\n")?;
    machine.run(&["status"])?.ended_with(0)?;
    machine.not_called(&["apt-get"])
}

pub fn user_without_an_entry(machine: &Machine) -> Result<(), Failed> {
    machine.identify("54321")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(
        &ran.stderr,
        &[
            "user id 54321 has no entry in /etc/passwd",
            "    useradd --uid 54321 --create-home basalt\n",
        ],
    )?;
    machine.not_called(&["cargo"])
}

pub fn no_new_privileges(machine: &Machine) -> Result<(), Failed> {
    let ran = machine
        .call()
        .without_new_privileges()
        .run(&["status"])?
        .ended_with(3)?;
    has_all(
        &ran.stderr,
        &[
            "(no_new_privs)",
            "--security-opt no-new-privileges",
            "allowPrivilegeEscalation: true",
        ],
    )?;
    machine.not_called(&["cargo"])
}

pub fn no_user_namespaces(machine: &Machine) -> Result<(), Failed> {
    machine.file(
        "unshare-fails",
        "--user unshare: unshare failed: Operation not permitted\n",
    )?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    let help = "    sysctl -w user.max_user_namespaces=15000\n";
    has_all(&ran.stderr, &["no user namespaces", help])?;
    machine.not_called(&["cargo"])?;
    // `doctor` goes on, and says what else there is.
    let ran = machine.run(&["doctor"])?.ended_with(0)?;
    has_all(&ran.stderr, &["no user namespaces", help])?;
    has_all(&ran.stdout, &["arguments: doctor\n"])
}

pub fn everything_is_said_at_once(machine: &Machine) -> Result<(), Failed> {
    machine.uninstall("mmdebstrap")?;
    machine.remove("bin/cargo")?;
    machine.remove("etc/subuid")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(
        &ran.stderr,
        &[
            "lacks: mmdebstrap\n",
            "lacks Rust (cargo)",
            "usermod --add-subuids 100000-165535",
        ],
    )
}
