//! Errors of file operations, for errors that name the path themselves.

use std::fmt::Display;
use std::io;

/// Error of the operating system in an error of `fs_err`, which names the operation and the path: without both, for the
/// source of an error that names the same path.
///
/// Errors with two paths, as those of a rename, stay as they are, and so do errors about another path. `fs_err` gives out
/// the error that it wraps as text only, so that the text is taken apart.
pub fn without_path(error: io::Error, path: impl Display) -> io::Error {
    let text = error.to_string();
    match text.split_once(&format!(" `{path}`: ")) {
        Some((operation, cause)) if !operation.contains('`') => io::Error::new(error.kind(), cause.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/nowhere/a";
    const CAUSE: &str = "No such file or directory (os error 2)";

    #[test]
    fn the_path_is_taken_out_of_errors_with_one() {
        let errors = [
            fs_err::read(PATH).map(drop),
            fs_err::create_dir(PATH),
            fs_err::read_dir(PATH).map(drop),
            fs_err::remove_file(PATH),
            fs_err::symlink_metadata(PATH).map(drop),
            fs_err::File::create(PATH).map(drop),
        ];
        for error in errors {
            let error = without_path(error.expect_err("there is no such folder"), PATH);
            assert_eq!(
                (error.to_string().as_str(), error.kind()),
                (CAUSE, io::ErrorKind::NotFound)
            );
        }
    }

    #[test]
    fn what_names_another_path_stays_whole() {
        let renamed = fs_err::rename("/nowhere/b", PATH).expect_err("there is no such file");
        let other = fs_err::read("/nowhere/b").expect_err("there is no such file");
        for error in [renamed, other, io::Error::from_raw_os_error(2)] {
            let text = error.to_string();
            assert_eq!(without_path(error, PATH).to_string(), text);
        }
    }
}
