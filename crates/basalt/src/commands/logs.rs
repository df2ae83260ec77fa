//! `basalt logs`: log of a build, of a component of the cluster, or of a node's console.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use basalt_cluster::{ClusterError, LocalCluster};
use basalt_process::{interrupt, plain_text};
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result};

use crate::checkout::Checkout;
use crate::output::Stdout;

/// Longest part of a line that waits for the rest of it, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// Copies a log to standard output as plain text, and with `follow` goes on until Ctrl-C.
pub fn run(checkout: &Checkout, name: &str, follow: bool) -> Result<ExitCode> {
    let mut file = fs_err::File::open(find(checkout, name)?).into_diagnostic()?;
    let mut begun = Vec::new();
    loop {
        let length = (&mut file).take(PIECE).read_to_end(&mut begun).into_diagnostic()?;
        let is_last = length == 0 && (!follow || interrupt::requested());
        let text = plain_lines(&take_lines(&mut begun, is_last));
        match Stdout.write_all(text.as_bytes()).and_then(|()| Stdout.flush()) {
            // `basalt logs x | head` is no error.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            written => written.into_diagnostic()?,
        }
        if is_last {
            break;
        }
        if length == 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes the whole lines out of what was read; everything at the end of the log, and where a line is too long.
fn take_lines(begun: &mut Vec<u8>, is_last: bool) -> Vec<u8> {
    if is_last || begun.len() > LONGEST {
        return std::mem::take(begun);
    }
    let whole = begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    begun.drain(..whole).collect()
}

/// Converts lines to plain text, since programs of others wrote them.
fn plain_lines(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        text += &plain_text(&String::from_utf8_lossy(line));
        if line.ends_with(b"\n") {
            text.push('\n');
        }
    }
    text
}

/// Returns the path of a log. Logs of the cluster come first, since its components may have names of packages.
fn find(checkout: &Checkout, name: &str) -> Result<Utf8PathBuf> {
    let build = basalt_build::log::path(&checkout.store.logs(), name);
    match LocalCluster::open(checkout.cluster_state())?.log(name) {
        Ok(path) => Ok(path),
        Err(ClusterError::NoLog { .. } | ClusterError::Stopped) if build.is_file() => Ok(build),
        Err(ClusterError::Stopped) => {
            let folder = checkout.store.logs();
            Err(miette::miette!(
                help = format!("`ls {folder}` names the builds; `./basalt up` starts a cluster"),
                "no package `{name}` was built here, and no cluster is running"
            ))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_whole_and_plain() {
        let mut begun = b"one\n\x1b[2Jtwo\nthr".to_vec();
        assert_eq!(plain_lines(&take_lines(&mut begun, false)), "one\ntwo\n");
        begun.extend_from_slice(b"ee");
        assert_eq!(plain_lines(&take_lines(&mut begun, false)), "");
        assert_eq!(plain_lines(&take_lines(&mut begun, true)), "three");
        assert!(begun.is_empty());
    }
}
