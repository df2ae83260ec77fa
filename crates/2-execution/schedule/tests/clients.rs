//! Real clients of the jobserver in sandboxes, as builds have them: GNU make and cargo of the SDK (`BASALT_SDK`), ninja
//! of the SDK or of `BASALT_NINJA`. Each client has more work than there are tokens, and every piece of work counts how
//! many there are at once.

#![cfg(test)]

use std::os::unix::fs::PermissionsExt as _;

use basalt_process::Command;
use basalt_sandbox::{Mount, Root, Sandbox};
use basalt_schedule::{Jobserver, Token};
use basalt_test_output::skip_all;
use camino::{Utf8Path, Utf8PathBuf};
use libtest_mimic::{Arguments, Failed, Trial};

/// Tokens of the jobserver, and so the processes that may run at once.
const TOKENS: usize = 3;
/// Pieces of work of each client.
const PIECES: usize = 12;
/// The FIFO, the folder of the work and a ninja of this machine in a sandbox.
const FIFO: &str = "/run/jobserver";
const BENCH: &str = "/bench";
const NINJA: &str = "/opt/ninja";
/// Piece of work: while it is done, a file of its own says so; at its beginning and end it writes how many there are.
const PIECE: &str = "#!/bin/sh\ncd /bench || exit 1\nmark=$(mktemp work/XXXXXX)\nls work | wc -l >> seen\n\
                     sleep ${PAUSE:-0.15}\nls work | wc -l >> seen\nrm $mark\n";

/// Programs that the clients are.
#[derive(Clone)]
struct Tools {
    sdk: Utf8PathBuf,
    /// A ninja beside that of the SDK.
    ninja: Option<Utf8PathBuf>,
}

/// A jobserver, and a folder with work that all sandboxes see.
struct Bench {
    server: Jobserver,
    path: Utf8PathBuf,
    tools: Tools,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(tools: &Tools) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let top = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|_| "not UTF-8")?;
        let (path, fifos) = (top.join("bench"), top.join("fifos"));
        fs_err::create_dir_all(path.join("work"))?;
        fs_err::create_dir(&fifos)?;
        fs_err::write(path.join("piece"), PIECE)?;
        Ok(Self {
            server: Jobserver::create(&fifos, TOKENS)?,
            path,
            tools: tools.clone(),
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

    /// A sandbox of a job: the SDK, the work, and the job's FIFO.
    fn sandbox(&self, token: &Token<'_>) -> Result<Sandbox, Failed> {
        let bind = |from: &Utf8Path, to: &str, writable| Mount::Bind {
            from: from.to_owned(),
            to: to.into(),
            writable,
        };
        let root = Root {
            layers: vec![self.tools.sdk.clone()],
            scratch: None,
        };
        let mut sandbox = Sandbox::new(root)
            .mount(bind(&self.path, BENCH, true))
            .mount(bind(token.fifo().ok_or("no FIFO")?, FIFO, true))
            .env("PATH", "/usr/bin:/usr/sbin")
            .env("HOME", BENCH)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(BENCH);
        for (name, value) in self.server.environment(FIFO.into()) {
            sandbox = sandbox.env(name, value);
        }
        if let Some(ninja) = &self.tools.ninja {
            sandbox = sandbox.mount(bind(ninja, NINJA, false));
        }
        Ok(sandbox)
    }

    /// The most pieces of work at once, and how many there were in all.
    fn seen(&self) -> Result<(usize, usize), Failed> {
        let text = fs_err::read_to_string(self.path.join("seen")).unwrap_or_default();
        let counts: Result<Vec<usize>, _> = text.lines().map(|line| line.trim().parse()).collect();
        let counts = counts?;
        Ok((counts.iter().copied().max().unwrap_or(0), counts.len() / 2))
    }

    /// Runs two clients at once, each in a job of its own, and judges what they did: all of the work, more than two
    /// pieces at once (a client that does not know the jobserver has one each, or as many as there are pieces), never
    /// more than there are tokens; and all tokens are there afterwards.
    fn run_two(&self, client: impl Fn(usize, Sandbox) -> Command + Sync) -> Result<(), Failed> {
        let tokens = [self.job()?, self.job()?];
        std::thread::scope(|scope| {
            let run = |number: usize| -> Result<(), Failed> {
                client(number, self.sandbox(&tokens[number])?).output()?;
                Ok(())
            };
            let other = scope.spawn(move || run(1));
            run(0)?;
            other.join().map_err(|_| "a client panicked")?
        })?;
        self.all_come_back(TOKENS - tokens.len())?;
        drop(tokens);
        self.all_come_back(TOKENS)?;
        match self.seen()? {
            (TOKENS, pieces) if pieces == 2 * PIECES => Ok(()),
            (most, pieces) => Err(format!("{pieces} pieces of work, at most {most} at once").into()),
        }
    }

    fn all_come_back(&self, expected: usize) -> Result<(), Failed> {
        match self.server.unused() {
            unused if unused == expected => Ok(()),
            unused => Err(format!("{unused} tokens are unused, not {expected}").into()),
        }
    }

    fn makefile(&self, number: usize, pieces: usize) -> Result<(), Failed> {
        let targets: Vec<_> = (0..pieces).map(|piece| format!("{number}-{piece}")).collect();
        let targets = targets.join(" ");
        let text = format!("all: {targets}\n{targets}:\n\t@sh ./piece\n");
        self.file(&format!("Makefile{number}"), &text)
    }
}

fn make(number: usize, sandbox: Sandbox) -> Command {
    sandbox.command("make", ["-f".to_owned(), format!("Makefile{number}")])
}

fn make_shares_the_tokens(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    bench.makefile(0, PIECES)?;
    bench.makefile(1, PIECES)?;
    bench.run_two(make)
}

/// A make that has all tokens gives one up as soon as another job is to be begun.
fn make_gives_way_to_another_job(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    bench.makefile(0, 10 * PIECES)?;
    let token = bench.job()?;
    let command = make(0, bench.sandbox(&token)?);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| command.output().map(drop));
        while bench.seen()?.0 < TOKENS && !client.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let other = bench.job()?;
        let is_finished = client.is_finished();
        drop(other);
        client.join().map_err(|_| "the client panicked")??;
        if is_finished {
            return Err("the other job was begun after the end of the first".into());
        }
        Ok(())
    })
}

/// A job that ends well, but has killed a make with tokens in its hands: they come back with its own.
fn make_is_killed(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    bench.file("Makefile", "all: a b c\na b c:\n\t@: > began-$@; sleep 60\n")?;
    let token = bench.job()?;
    let script = "make & while [ ! -e began-c ]; do sleep 0.05; done; kill -KILL $!; wait; exit 0";
    bench.sandbox(&token)?.command("sh", ["-c", script]).output()?;
    bench.all_come_back(0)?;
    drop(token);
    bench.all_come_back(TOKENS)
}

/// A job that does to its FIFO what it can: another one goes on as if it were not there.
fn a_hostile_job_harms_itself(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    bench.makefile(0, PIECES)?;
    let (hostile, honest) = (bench.job()?, bench.job()?);
    let script = "exec 3<> /run/jobserver\nchmod 0 /run/jobserver\ncat <&3 > /dev/null &\n\
                  while [ ! -e end ]; do echo xxxxxxxx >&3; done";
    let attack = bench.sandbox(&hostile)?.command("sh", ["-c", script]);
    let work = make(0, bench.sandbox(&honest)?);
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| attack.output().map(drop));
        let worked = work.output();
        bench.file("end", "")?;
        attacker.join().map_err(|_| "the attacker panicked")??;
        worked?;
        Ok::<_, Failed>(())
    })?;
    drop((hostile, honest));
    bench.all_come_back(TOKENS)?;
    match bench.seen()? {
        (most, PIECES) if most < TOKENS => Ok(()),
        (most, pieces) => Err(format!("{pieces} pieces of work, at most {most} at once").into()),
    }
}

fn ninja_shares_the_tokens(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    for number in 0..2 {
        let mut text = "rule piece\n  command = sh ./piece\n".to_owned();
        for piece in 0..PIECES {
            text += &format!("build {number}-{piece}: piece\n");
        }
        bench.file(&format!("{number}.ninja"), &text)?;
    }
    let program = program(tools);
    bench.run_two(|number, sandbox| {
        let file = format!("{number}.ninja");
        sandbox.command(program, ["--quiet", "-f", &file])
    })
}

/// Crates that need nothing of one another, checked by a compiler that works before it compiles.
fn cargo_shares_the_tokens(tools: &Tools) -> Result<(), Failed> {
    let bench = Bench::new(tools)?;
    // Cargo also asks the compiler what it is; that is no work.
    let script = "#!/bin/sh\ncase \"$*\" in *'--crate-name piece'*) sh /bench/piece;; esac\nexec \"$@\"\n";
    bench.file("compiler", script)?;
    fs_err::set_permissions(bench.path.join("compiler"), std::fs::Permissions::from_mode(0o755))?;
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
    bench.run_two(|number, sandbox| {
        sandbox
            .env("RUSTC_WRAPPER", format!("{BENCH}/compiler"))
            .env("CARGO_HOME", format!("{BENCH}/home{number}"))
            .env("PAUSE", "0.5")
            .current_dir(format!("{BENCH}/{number}"))
            .command("cargo", ["check", "--offline", "--quiet"])
    })
}

/// Path of ninja in a sandbox.
fn program(tools: &Tools) -> &'static str {
    if tools.ninja.is_some() { NINJA } else { "ninja" }
}

/// True for a ninja that is a client of the jobserver: 1.13 and later.
fn has_client_ninja(tools: &Tools) -> Result<bool, Failed> {
    let bench = Bench::new(tools)?;
    let token = bench.job()?;
    let command = bench.sandbox(&token)?.command(program(tools), ["--version"]);
    let Ok(output) = command.output() else {
        return Ok(false);
    };
    let version = output.text();
    let mut parts = version.trim().split('.').map_while(|part| part.parse::<u32>().ok());
    Ok((parts.next(), parts.next()) >= (Some(1), Some(13)))
}

fn main() -> Result<(), Failed> {
    basalt_sandbox::enter_if_asked();
    let path_of = |variable: &str| std::env::var(variable).ok().map(Utf8PathBuf::from);
    let sdk = path_of("BASALT_SDK").filter(|tree| tree.is_dir());
    let has_sdk = sdk.is_some();
    let tools = Tools {
        sdk: sdk.unwrap_or_default(),
        ninja: path_of("BASALT_NINJA"),
    };
    let has_ninja = has_sdk && has_client_ninja(&tools)?;
    let trial = |name: &str, test: fn(&Tools) -> Result<(), Failed>| {
        let tools = tools.clone();
        Trial::test(name, move || test(&tools)).with_ignored_flag(!has_sdk)
    };
    let trials = vec![
        trial("cargo_shares_the_tokens", cargo_shares_the_tokens),
        trial("make_shares_the_tokens", make_shares_the_tokens),
        trial("make_gives_way_to_another_job", make_gives_way_to_another_job),
        trial("make_is_killed", make_is_killed),
        trial("a_hostile_job_harms_itself", a_hostile_job_harms_itself),
        trial("ninja_shares_the_tokens", ninja_shares_the_tokens).with_ignored_flag(!has_ninja),
    ];
    if !has_sdk {
        skip_all("no client is tried, because BASALT_SDK does not name the tree of an SDK");
    } else if let Some(path) = tools.ninja.as_ref().filter(|_| !has_ninja) {
        // What was asked for by name must not be left out.
        return Err(format!("{path}, which BASALT_NINJA names, is no ninja of version 1.13 or later").into());
    } else if !has_ninja {
        skip_all("ninja is not tried, because neither BASALT_NINJA nor the SDK has version 1.13");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
