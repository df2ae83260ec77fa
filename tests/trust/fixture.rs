//! Fixture of all tests.

use std::time::Duration;

use basalt_test_environment::{Cli, Failed, Ran, TestDirectory, link_all};
use camino::Utf8PathBuf;

/// Time-out of a command on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// Fixture of the tests: their directory, and the command on the checkout, or on a copy of it.
pub struct Fixture<'p> {
    /// Folder, store and SDK of the tests.
    pub directory: &'p TestDirectory,
}

impl<'p> Fixture<'p> {
    /// Fixture in the directory of the tests.
    pub fn of(directory: &'p TestDirectory) -> Self {
        Self { directory }
    }

    /// The command on the checkout and the user's store.
    pub fn run(&self, arguments: &[&str], code: i32) -> Result<Ran, Failed> {
        self.directory
            .environment
            .cli()
            .run(arguments, TIMEOUT)?
            .ended_with(code)
    }

    /// Answer of the command with `--json`.
    pub fn json(&self, arguments: &[&str], code: i32) -> Result<serde_json::Value, Failed> {
        self.directory.environment.cli().json(arguments, TIMEOUT, code)
    }

    /// A checkout of its own, which is the same but for some files below `distro`, and the command on it. Of a folder in
    /// which one of these is, nothing else is there.
    pub fn checkout(&self, name: &str, files: &[(&str, &str)]) -> Result<Cli, Failed> {
        let original = &self.directory.environment.checkout;
        let copy = self.directory.folder(name)?;
        link_all(original, &copy, &["distro", ".git"])?;
        let distro = copy.join("distro");
        fs_err::create_dir_all(&distro)?;
        let own: Vec<&str> = files.iter().filter_map(|(path, _)| path.split('/').next()).collect();
        link_all(&original.join("distro"), &distro, &own)?;
        for (path, text) in files {
            let path = distro.join(path);
            if let Some(folder) = path.parent() {
                fs_err::create_dir_all(folder)?;
            }
            fs_err::write(&path, text)?;
        }
        Ok(Cli::new(&self.directory.environment.program, &copy))
    }

    /// The names of the packages in the checkout.
    pub fn packages(&self) -> Result<Vec<String>, Failed> {
        let folder = self.directory.environment.checkout.join("distro/packages");
        let mut packages = Vec::new();
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                packages.push(entry.file_name().to_owned());
            }
        }
        Ok(packages)
    }

    /// A file of the checkout.
    pub fn text(&self, path: &str) -> Result<String, Failed> {
        Ok(fs_err::read_to_string(self.directory.environment.checkout.join(path))?)
    }

    /// A new folder with files in it.
    pub fn folder(&self, name: &str, files: &[(&str, &str)]) -> Result<Utf8PathBuf, Failed> {
        let folder = self.directory.folder(name)?;
        for (name, text) in files {
            fs_err::write(folder.join(name), text)?;
        }
        Ok(folder)
    }
}
