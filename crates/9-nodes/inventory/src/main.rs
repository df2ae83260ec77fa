//! `basalt-inventory`: prints the inventory of the machine that it runs on.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, for nodes of others"
)]

use std::path::Path;
use std::process::ExitCode;

use basalt_inventory::NodeInventory;

const USAGE: &str = "\
basalt-inventory prints what people gave this machine, as JSON: for `basalt preflight node --inventory FILE`.

  basalt-inventory [ROOT]      ROOT is the folder that the machine's files are in, / unless given

It reads files and changes nothing. As root it sees all; what it may not read is in the list `unread`.
Exit codes: 0 all was read; 2 something was not, or wrong usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = match arguments.as_slice() {
        [] => "/",
        [root] if !root.starts_with('-') => root.as_str(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let inventory = NodeInventory::read(Path::new(root));
    print!("{}", inventory.to_json());
    for unread in &inventory.unread {
        eprintln!("not read: {}: {}", unread.path, unread.reason);
    }
    match inventory.unread.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    }
}
