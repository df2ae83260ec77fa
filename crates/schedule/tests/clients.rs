//! Real clients of the jobserver: GNU make of the SDK (`BASALT_SDK`), ninja of the SDK or of `BASALT_NINJA`, and the cargo
//! that runs this test. Each client has more work than there are tokens, and every piece of work counts how many there
//! are at once.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use basalt_schedule::{Jobserver, Token};
use camino::{Utf8Path, Utf8PathBuf};
use libtest_mimic::{Arguments, Failed, Trial};

/// Tokens of the jobserver, and so the processes that may run at once.
const TOKENS: usize = 3;
/// Pieces of work of each client.
const PIECES: usize = 12;

/// A folder with a jobserver and a script that is a piece of work.
struct Bench {
    server: Jobserver,
    path: Utf8PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|_| "not UTF-8")?;
        // While it works, a file of its own says so; afterwards it writes how many there were.
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\n: > work/$$\nls work | wc -l >> seen\nsleep ${PAUSE:-0.15}\n\
                      ls work | wc -l >> seen\nrm work/$$\n";
        fs_err::create_dir(path.join("work"))?;
        fs_err::write(path.join("piece"), script)?;
        Ok(Self {
            server: Jobserver::create(&path, TOKENS)?,
            path,
            _folder: folder,
        })
    }

    fn file(&self, name: &str, text: &str) -> Result<(), Failed> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        Ok(fs_err::write(path, text)?)
    }

    fn job(&self) -> Result<Token<'_>, Failed> {
        Ok(self.server.acquire(|| false)?.ok_or("stopped")?)
    }

    /// A command in the folder that knows the jobserver, and nothing of the one that cargo may have given this test.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env_remove("MFLAGS");
        command.envs(self.server.environment(self.server.path()));
        command
    }

    /// The most pieces of work at once, and how many there were in all.
    fn seen(&self) -> Result<(usize, usize), Failed> {
        let text = fs_err::read_to_string(self.path.join("seen"))?;
        let counts: Result<Vec<usize>, _> = text.lines().map(|line| line.trim().parse()).collect();
        let counts = counts?;
        Ok((counts.iter().copied().max().unwrap_or(0), counts.len() / 2))
    }

    /// Runs two clients at once, each with a token of its own, and judges what they did: all of the work, more than two
    /// pieces at once (a client that does not know the jobserver has one each, or as many as there are pieces), never more
    /// than there are tokens; and all tokens are there afterwards.
    fn run_two(&self, client: impl Fn(usize) -> Command) -> Result<(), Failed> {
        let tokens = [self.job()?, self.job()?];
        let children: Result<Vec<_>, _> = (0..2).map(|number| client(number).spawn()).collect();
        for mut child in children? {
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("a client ended with {status}").into());
            }
        }
        let free = self.server.free()?;
        if free != TOKENS - 2 {
            return Err(format!("{free} tokens are left, not {}", TOKENS - 2).into());
        }
        drop(tokens);
        match self.seen()? {
            (TOKENS, pieces) if pieces == 2 * PIECES => Ok(()),
            (most, pieces) => Err(format!("{pieces} pieces of work, at most {most} at once").into()),
        }
    }
}

/// A program of the SDK's tree, started by the tree's own dynamic linker.
fn of_tree(bench: &Bench, tree: &Utf8Path, program: &Utf8Path) -> Command {
    let mut command = bench.command(tree.join("lib64/ld-linux-x86-64.so.2").as_str());
    let libraries = format!("{tree}/usr/lib/x86_64-linux-gnu:{tree}/lib/x86_64-linux-gnu");
    command.args(["--library-path", &libraries]).arg(program);
    command.arg0(program);
    command
}

fn make_shares_the_tokens(tree: &Utf8Path) -> Result<(), Failed> {
    let bench = Bench::new()?;
    for number in 0..2 {
        let targets: Vec<_> = (0..PIECES).map(|piece| format!("{number}-{piece}")).collect();
        let targets = targets.join(" ");
        let text = format!("all: {targets}\n{targets}:\n\t@sh ./piece\n");
        bench.file(&format!("Makefile{number}"), &text)?;
    }
    let make = tree.join("usr/bin/make");
    bench.run_two(|number| {
        let mut command = of_tree(&bench, tree, &make);
        command.arg("-f").arg(format!("Makefile{number}"));
        command
    })
}

/// A make that is killed with tokens in its hands: they come back when its job gives its own back.
fn make_is_killed(tree: &Utf8Path) -> Result<(), Failed> {
    let bench = Bench::new()?;
    bench.file("Makefile", "all: a b c d\na b c d:\n\t@sleep 3; true\n")?;
    let tokens = bench.job()?;
    let mut child = of_tree(&bench, tree, &tree.join("usr/bin/make"))
        .process_group(0)
        .spawn()?;
    let began = std::time::Instant::now();
    while bench.server.free()? > 0 {
        if began.elapsed().as_secs() > 30 {
            return Err("make took no tokens".into());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id())?).ok_or("no process id")?;
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
    child.wait()?;
    let lost = bench.server.free()?;
    drop(tokens);
    match (lost, bench.server.free()?) {
        (0, TOKENS) => Ok(()),
        (before, after) => Err(format!("{before} tokens were free after the kill, {after} after the job").into()),
    }
}

fn ninja_shares_the_tokens(start: &dyn Fn(&Bench) -> Command) -> Result<(), Failed> {
    let bench = Bench::new()?;
    for number in 0..2 {
        let mut text = "rule piece\n  command = sh ./piece\n".to_owned();
        for piece in 0..PIECES {
            text += &format!("build {number}-{piece}: piece\n");
        }
        bench.file(&format!("{number}.ninja"), &text)?;
    }
    bench.run_two(|number| {
        let mut command = start(&bench);
        command.args(["--quiet", "-f"]).arg(format!("{number}.ninja"));
        command
    })
}

/// Crates that need nothing of one another, checked by a compiler that works before it compiles.
fn cargo_shares_the_tokens() -> Result<(), Failed> {
    let bench = Bench::new()?;
    let piece = bench.path.join("piece");
    let compiler = bench.path.join("compiler");
    // Cargo also asks the compiler what it is; that is no work.
    let script = format!("#!/bin/sh\ncase \"$*\" in *'--crate-name piece'*) sh {piece};; esac\nexec \"$@\"\n");
    fs_err::write(&compiler, script)?;
    fs_err::set_permissions(&compiler, std::fs::Permissions::from_mode(0o755))?;
    for number in 0..2 {
        bench.file(
            &format!("{number}/Cargo.toml"),
            "[workspace]\nresolver = \"3\"\nmembers = [\"piece*\"]\n",
        )?;
        for piece in 0..PIECES {
            let folder = format!("{number}/piece{piece}");
            let manifest = format!("[package]\nname = \"piece{piece}\"\nedition = \"2024\"\n");
            bench.file(&format!("{folder}/Cargo.toml"), &manifest)?;
            bench.file(&format!("{folder}/src/lib.rs"), "")?;
        }
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    bench.run_two(|number| {
        let mut command = bench.command(&cargo);
        command.args(["check", "--offline", "--quiet"]);
        command.env("RUSTC_WRAPPER", &compiler).env("PAUSE", "0.5");
        command
            .env_remove("CARGO_BUILD_JOBS")
            .env_remove("CARGO_TARGET_DIR")
            .current_dir(bench.path.join(number.to_string()));
        command
    })
}

/// True for a ninja that is a client of the jobserver: 1.13 and later.
fn is_client(mut ninja: Command) -> bool {
    let Ok(output) = ninja.arg("--version").output() else {
        return false;
    };
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = version.trim().split('.').map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(1), Some(13))
}

fn folder_of(variable: &str) -> Option<Utf8PathBuf> {
    std::env::var(variable).ok().map(Utf8PathBuf::from)
}

fn main() -> Result<(), Failed> {
    let sdk = folder_of("BASALT_SDK").filter(|tree| tree.is_dir());
    let ninja = folder_of("BASALT_NINJA");
    let bench = Bench::new()?;
    let (tree, path) = (sdk.clone(), ninja.clone());
    let start = move |bench: &Bench| match (&path, &tree) {
        (Some(path), _) => bench.command(path.as_str()),
        (None, Some(tree)) => of_tree(bench, tree, &tree.join("usr/bin/ninja")),
        (None, None) => bench.command("ninja"),
    };
    let has_ninja = (ninja.is_some() || sdk.is_some()) && is_client(start(&bench));
    let tree = sdk.clone().unwrap_or_default();
    let (one, other) = (tree.clone(), tree);
    let trials = vec![
        Trial::test("cargo_shares_the_tokens", cargo_shares_the_tokens),
        Trial::test("make_shares_the_tokens", move || make_shares_the_tokens(&one)).with_ignored_flag(sdk.is_none()),
        Trial::test("make_is_killed", move || make_is_killed(&other)).with_ignored_flag(sdk.is_none()),
        Trial::test("ninja_shares_the_tokens", move || ninja_shares_the_tokens(&start)).with_ignored_flag(!has_ninja),
    ];
    if sdk.is_none() {
        skipped("make is not tried, because BASALT_SDK does not name the tree of an SDK");
    }
    // What was asked for by name must not be left out.
    if let Some(path) = ninja.filter(|_| !has_ninja) {
        return Err(format!("{path}, which BASALT_NINJA names, is no ninja of version 1.13 or later").into());
    }
    if !has_ninja {
        skipped("ninja is not tried, because neither BASALT_NINJA nor the SDK has version 1.13");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
