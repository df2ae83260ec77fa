//! Programs in real sandboxes. The test binary is its own sandbox, so it has a `main`.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "std::fs: tests look at the number of an error")]

use basalt_process::{Command, ProcessError};
use basalt_sandbox::{Mount, Network, Root, Sandbox};
use basalt_test_output::skip;
use camino::{Utf8Path, Utf8PathBuf};
use libtest_mimic::{Arguments, Failed, Trial};

/// Variable that names a folder on overlayfs: this program then is the inner half of
/// [`a_scratch_on_overlayfs_is_an_error_with_help`].
const OVERLAY: &str = "BASALT_TEST_OVERLAY";

fn main() {
    basalt_sandbox::enter_if_asked();
    if let Ok(folder) = std::env::var(OVERLAY) {
        std::process::exit(run_on_overlayfs(Utf8Path::new(&folder)));
    }
    if let [verb, folder] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && verb == SHOW_LIMITS
    {
        return show_limits(Utf8Path::new(folder));
    }
    let trials = vec![
        Trial::test("the_host_cannot_be_seen", the_host_cannot_be_seen),
        Trial::test(
            "layers_stack_and_writes_land_in_the_scratch",
            layers_stack_and_writes_land_in_the_scratch,
        ),
        Trial::test(
            "a_scratch_on_overlayfs_is_an_error_with_help",
            a_scratch_on_overlayfs_is_an_error_with_help,
        ),
        Trial::test("there_is_no_network", there_is_no_network),
        Trial::test("read_only_means_read_only", read_only_means_read_only),
        Trial::test("exit_codes_come_through", exit_codes_come_through),
        Trial::test("the_environment_is_what_was_said", the_environment_is_what_was_said),
        Trial::test("hundreds_of_layers_stack", hundreds_of_layers_stack),
        Trial::test("terminals_can_be_made", terminals_can_be_made),
        Trial::test("root_may_do_what_builds_do", root_may_do_what_builds_do),
        Trial::test(
            "arguments_do_not_hold_the_description",
            arguments_do_not_hold_the_description,
        ),
        Trial::test(
            "what_the_program_leaves_running_ends",
            what_the_program_leaves_running_ends,
        ),
        Trial::test("limits_of_the_caller_do_not_matter", limits_of_the_caller_do_not_matter),
        Trial::test(
            "a_hard_limit_of_the_caller_that_is_too_low_is_named",
            a_hard_limit_of_the_caller_that_is_too_low_is_named,
        ),
        Trial::test("groups_of_root_are_left", groups_of_root_are_left),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A root in which the host's programs run: its own folders, bound.
fn host_root(folder: &Utf8Path) -> Sandbox {
    let base = folder.join("base");
    std::fs::create_dir_all(base.join("usr")).expect("made");
    for link in ["bin", "lib", "lib64", "sbin"] {
        if !base.join(link).is_symlink() {
            std::os::unix::fs::symlink(format!("usr/{link}"), base.join(link)).expect("linked");
        }
    }
    Sandbox::new(Root {
        layers: vec![base],
        scratch: None,
    })
    .mount(Mount::Bind {
        from: "/usr".into(),
        to: "/usr".into(),
        writable: false,
    })
    .env("PATH", "/usr/bin")
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    (folder, path)
}

fn sh(sandbox: &Sandbox, script: &str) -> Result<String, ProcessError> {
    sandbox
        .command("/bin/sh", ["-c", script])
        .output()
        .map(|output| output.text())
}

fn the_host_cannot_be_seen() -> Result<(), Failed> {
    let (_keep, path) = folder();
    std::fs::write(path.join("secret"), "x")?;
    let seen = sh(
        &host_root(&path),
        "ls /; hostname; id -u; echo $$; env | grep -c CARGO; ls /proc | grep -c '^[0-9]'",
    )
    .unwrap_or_else(|error| error.to_string());
    let lines: Vec<_> = seen.lines().collect();
    for name in ["bin", "dev", "proc", "usr"] {
        assert!(lines.contains(&name), "{seen}");
    }
    for name in ["home", "etc", "root", "tmp", "work"] {
        assert!(!lines.contains(&name), "{seen}");
    }
    assert!(seen.contains("\nbasalt\n0\n"), "{seen}");
    Ok(())
}

fn layers_stack_and_writes_land_in_the_scratch() -> Result<(), Failed> {
    let (_keep, path) = folder();
    for (layer, text) in [("upper", "from above"), ("lower", "from below")] {
        std::fs::create_dir_all(path.join(layer).join("d"))?;
        std::fs::write(path.join(layer).join("d/file"), text)?;
        std::fs::write(path.join(layer).join("d").join(layer), text)?;
    }
    let scratch = path.join("scratch");
    std::fs::create_dir(&scratch)?;
    let mut sandbox = host_root(&path);
    sandbox = sandbox.mount(Mount::Stack {
        layers: vec![path.join("upper"), path.join("lower")],
        to: "/s".into(),
    });
    assert_eq!(sh(&sandbox, "cat /s/d/file; ls /s/d")?, "from abovefile\nlower\nupper");
    let kept = Sandbox::new(Root {
        layers: vec![path.join("upper"), path.join("base")],
        scratch: Some(scratch.clone()),
    })
    .show("/usr");
    sh(&kept, "echo new > /d/file; rm /d/upper")?;
    assert_eq!(std::fs::read_to_string(scratch.join("upper/d/file"))?, "new\n");
    assert_eq!(std::fs::read_to_string(path.join("upper/d/file"))?, "from above");
    Ok(())
}

/// Runs a program with its scratch on overlayfs and prints the error; returns the exit code.
fn run_on_overlayfs(folder: &Utf8Path) -> i32 {
    use std::io::Write as _;

    let scratch = folder.join("scratch");
    std::fs::create_dir(&scratch).expect("made");
    host_root(folder);
    let sandbox = Sandbox::new(Root {
        layers: vec![folder.join("base")],
        scratch: Some(scratch),
    })
    .show("/usr");
    match sh(&sandbox, "true") {
        Ok(_) => 0,
        Err(error) => {
            writeln!(std::io::stdout(), "{error}").expect("written");
            9
        }
    }
}

/// A container's root is on overlayfs: so is a store in it that is not on a volume.
fn a_scratch_on_overlayfs_is_an_error_with_help() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let mount = "mount -t tmpfs tmpfs \"$0\" && cd \"$0\" && mkdir lower upper work store \
                 && mount -t overlay overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work store";
    let unshared = |script: &str| {
        let script = format!("{mount} && {script}");
        let words = [
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script.as_str(),
            path.as_str(),
        ];
        Command::new("unshare").args(words)
    };
    if let Err(error) = unshared("true").output() {
        let reason = format!("no overlay can be mounted in a user namespace here: {error}");
        skip("a_scratch_on_overlayfs_is_an_error_with_help", reason);
        return Ok(());
    }
    let test = std::env::current_exe()?;
    let output = unshared("exec \"$1\"")
        .arg(test)
        .env(OVERLAY, path.join("store"))
        .to_std()
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(9), "{text}");
    for words in [
        "cannot mount a stack of 1 trees",
        "the store lies on overlayfs",
        "mount a volume there",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    Ok(())
}

fn there_is_no_network() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let count = "grep -c : /proc/net/dev";
    assert_eq!(sh(&host_root(&path), count)?, "1", "only loopback");
    let inherited = sh(&host_root(&path).network(Network::Inherited), count)?;
    let ours = std::fs::read_to_string("/proc/net/dev")?
        .lines()
        .filter(|line| line.contains(':'))
        .count();
    assert_eq!(inherited, ours.to_string());
    Ok(())
}

fn read_only_means_read_only() -> Result<(), Failed> {
    let (_keep, path) = folder();
    std::fs::create_dir(path.join("shown"))?;
    let sandbox = host_root(&path).show(path.join("shown"));
    assert!(sh(&sandbox, &format!("touch {path}/shown/x")).is_err());
    let sandbox = host_root(&path).show_writable(path.join("shown"));
    sh(&sandbox, &format!("touch {path}/shown/x"))?;
    assert!(path.join("shown/x").exists());
    Ok(())
}

fn exit_codes_come_through() -> Result<(), Failed> {
    let (_keep, path) = folder();
    for (script, code) in [("exit 7", 7), ("kill -9 $$", 137)] {
        let Err(ProcessError::Failed { status, .. }) = sh(&host_root(&path), script) else {
            return Err(format!("`{script}` succeeded").into());
        };
        assert_eq!(status.code(), Some(code));
    }
    Ok(())
}

fn what_the_program_leaves_running_ends() -> Result<(), Failed> {
    let (_keep, path) = folder();
    std::fs::create_dir(path.join("shown"))?;
    let sandbox = host_root(&path).show_writable(path.join("shown"));
    sh(
        &sandbox,
        &format!("(sleep 0.7; touch {path}/shown/late) >/dev/null 2>&1 &"),
    )?;
    std::thread::sleep(std::time::Duration::from_millis(1200));
    assert!(!path.join("shown/late").exists());
    Ok(())
}

fn the_environment_is_what_was_said() -> Result<(), Failed> {
    let (_guard, folder) = folder();
    let writable = folder.join("writable");
    std::fs::create_dir_all(&writable)?;
    let script = "id -u; id -g; umask; nproc; uname -n; touch /writable/file; stat -c '%u %a' /writable/file";
    let plain = host_root(&folder).mount(Mount::Bind {
        from: writable,
        to: "/writable".into(),
        writable: true,
    });
    let other = plain.clone().user(1234).umask(0o027).processor(5).hostname("elsewhere");
    let said = sh(&other, script)?;
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["1234", "1234", "0027", "1", "elsewhere", "1234 640"]
    );
    let usual = sh(&plain, "id -u; umask; uname -n; stat -c %u /writable/file")?;
    assert_eq!(usual.lines().collect::<Vec<_>>(), ["0", "0022", "basalt", "0"]);
    Ok(())
}

fn hundreds_of_layers_stack() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let layers: Vec<_> = (0..501).map(|number| path.join(format!("layers/{number}"))).collect();
    for (number, layer) in layers.iter().enumerate() {
        std::fs::create_dir_all(layer)?;
        std::fs::write(layer.join(format!("file-{number}")), "")?;
    }
    let on = |count: usize, to: &str| Mount::Stack {
        layers: layers[..count].to_vec(),
        to: to.into(),
    };
    let sandbox = host_root(&path).mount(on(500, "/first")).mount(on(500, "/second"));
    assert_eq!(sh(&sandbox, "ls /first | wc -l; ls /second | wc -l")?, "500\n500");
    let many = Sandbox::new(Root {
        layers: [vec![path.join("base")], layers[..499].to_vec()].concat(),
        scratch: None,
    })
    .show("/usr");
    assert_eq!(sh(&many, "echo new > /file-7; ls / | grep -c file-")?, "499");
    let error = sh(&host_root(&path).mount(on(501, "/first")), "true").expect_err("too many");
    let text = error.to_string();
    assert!(
        text.contains("501 trees cannot be stacked: the kernel takes 500 at most"),
        "{text}"
    );
    Ok(())
}

fn terminals_can_be_made() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let sandbox = host_root(&path).mount(Mount::Memory { to: "/tmp".into() });
    assert_eq!(
        sh(&sandbox, "script -qec 'tty; echo $((6 * 7))' /dev/null")?,
        "/dev/pts/0\r\n42"
    );
    Ok(())
}

/// Without capabilities, root is the owner of its files and nobody else.
fn root_may_do_what_builds_do() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let sandbox = host_root(&path).mount(Mount::Memory { to: "/tmp".into() });
    let script = "set -e; cd /tmp; echo x > a; chown 0:0 a; chmod 4755 a; cp -a a b; install -o 0 -g 0 -m 755 a c; mkdir d; \
                  ln b d/e; ln -s b d/f; mkfifo d/g; mv d h; tar cf t.tar a b c h; mkdir x; tar xf t.tar -C x; \
                  tar xof t.tar -C x; stat -c '%a %u' b; head -c 1 /dev/zero | wc -c; test -r /proc/cpuinfo; \
                  test -r /proc/meminfo; cat /proc/self/comm; grep NoNewPrivs /proc/self/status; \
                  cat /proc/sys/kernel/ostype; echo done > /dev/stderr; echo x > /dev/null; : >> /dev/null; \
                  stat -L -c %t:%T /dev/stdin; echo x > /dev/file; rm /dev/file; ! echo x 2>/dev/null > /dev/full";
    let seen = sh(&sandbox, script)?;
    let expected = "4755 0\n1\ncat\nNoNewPrivs:\t1\nLinux\n1:3";
    assert_eq!(seen, expected);
    Ok(())
}

fn arguments_do_not_hold_the_description() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let sandbox = host_root(&path).env("PASSWORD", "words-that-are-secret");
    let running = sandbox.command("/bin/sh", ["-c", "sleep 30"]).spawn()?;
    let line = std::fs::read(format!("/proc/{}/cmdline", running.id()))?;
    let environment = std::fs::read(format!("/proc/{}/environ", running.id()))?;
    for text in [line, environment] {
        assert!(!String::from_utf8_lossy(&text).contains("words-that-are-secret"));
    }
    Ok(())
}

/// First argument that makes this program show the limits and groups that a sandbox of it has, and nothing else.
const SHOW_LIMITS: &str = "__show-limits";

#[expect(clippy::print_stdout, reason = "the test that started this process reads it")]
fn show_limits(folder: &Utf8Path) {
    let script = "for which in s n c l v f; do echo $which $(ulimit -S -$which) $(ulimit -H -$which); done; \
                  getconf ARG_MAX; id -G";
    let shown = sh(&host_root(folder), script);
    println!("{}", shown.unwrap_or_else(|error| error.to_string()));
}

/// The limits in a sandbox whose caller is this program, started by a script that ends with `exec "$@"`.
fn limits_after(folder: &Utf8Path, script: &str) -> Result<String, Failed> {
    let ourselves = Utf8PathBuf::from_path_buf(std::env::current_exe()?).expect("UTF-8");
    let command = basalt_process::Command::new("sh").args(["-c", script, "sh"]);
    let output = command
        .args([ourselves.as_str(), SHOW_LIMITS, folder.as_str()])
        .output()?;
    Ok(output.text())
}

fn limits_of_the_caller_do_not_matter() -> Result<(), Failed> {
    let (_keep, path) = folder();
    // Hard limits stay as they are: an ordinary user could not raise them again.
    let usual = limits_after(&path, "exec \"$@\"")?;
    let other = limits_after(
        &path,
        "ulimit -S -s 1024; ulimit -S -n 40; ulimit -S -c 0; ulimit -S -v 8000000; exec \"$@\"",
    )?;
    assert_eq!(usual, other);
    for expected in ["s 8192 ", "n 1024 ", "c 0 0", "\n2097152\n"] {
        assert!(usual.contains(expected), "{usual}");
    }
    Ok(())
}

fn a_hard_limit_of_the_caller_that_is_too_low_is_named() -> Result<(), Failed> {
    let (_keep, path) = folder();
    let words = limits_after(&path, "ulimit -s 1024; exec \"$@\"")?;
    for expected in ["too low: 1048576", "`ulimit -s 8192`"] {
        assert!(words.contains(expected), "{words}");
    }
    Ok(())
}

fn groups_of_root_are_left() -> Result<(), Failed> {
    let (_keep, path) = folder();
    if !rustix::process::geteuid().is_root() {
        skip("groups_of_root_are_left", "we are not root, and keep our groups");
        return Ok(());
    }
    let shown = limits_after(&path, "exec setpriv --groups 12,13 -- \"$@\"")?;
    assert_eq!(shown.lines().last(), Some("0"), "{shown}");
    Ok(())
}
