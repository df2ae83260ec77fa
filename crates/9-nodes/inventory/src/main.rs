//! Static program that prints the inventory of the host that it runs on.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, for hosts without anything else of Basalt"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
basalt-inventory prints what `basalt preflight node` judges: settings and additions of a node of another distribution.

  basalt-inventory [--root FOLDER] > node.json

FOLDER is where the root of the host is mounted, `/` unless given. Nothing is written or run, and no password or key is
printed. As another user than root, what only root may read is listed as not looked at.

Exit codes: 0 the inventory was printed; 1 it could not be; 2 wrong usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = match arguments[..] {
        [] => "/",
        ["--root", root] => root,
        ["--version" | "-V"] => {
            println!("basalt-inventory {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(root);
    if !root.is_dir() {
        eprintln!("{} is no folder that can be read", root.display());
        return ExitCode::FAILURE;
    }
    let text = basalt_inventory::read(root).to_json();
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot print the inventory: {error}");
            ExitCode::FAILURE
        }
    }
}
