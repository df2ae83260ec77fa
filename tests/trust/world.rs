//! What the tests share.

use std::time::Duration;

use basalt_tests::{Cli, Failed, Place, Ran};
use camino::{Utf8Path, Utf8PathBuf};

/// What a command may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// The place, and what the tests of `audit` and `harden` do there.
pub struct World<'p> {
    /// Where the tests work.
    pub place: &'p Place,
}

impl<'p> World<'p> {
    /// In that place.
    pub fn of(place: &'p Place) -> Self {
        Self { place }
    }

    /// The command on the checkout and the user's store.
    pub fn run(&self, arguments: &[&str], code: i32) -> Result<Ran, Failed> {
        self.place.surroundings.cli().run(arguments, PATIENCE)?.ended_with(code)
    }

    /// What it answers in JSON.
    pub fn json(&self, arguments: &[&str], code: i32) -> Result<serde_json::Value, Failed> {
        let words: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        Ok(serde_json::from_str(&self.run(&words, code)?.stdout)?)
    }

    /// A checkout of its own, whose packages are the same files, and the command on it: files below `distro` that are
    /// written to are the test's own.
    pub fn checkout(&self, name: &str, files: &[(&str, &str)]) -> Result<Cli, Failed> {
        let original = &self.place.surroundings.checkout;
        let copy = self.place.folder(name)?;
        link_all(original, &copy, &["distro", ".git"])?;
        let distro = copy.join("distro");
        fs_err::create_dir_all(&distro)?;
        let vex = distro.join("vex");
        fs_err::create_dir_all(&vex)?;
        link_all(&original.join("distro"), &distro, &["vex"])?;
        for (path, text) in files {
            let path = distro.join(path);
            if path.exists() {
                // A link to the original.
                fs_err::remove_file(&path)?;
            }
            fs_err::write(&path, text)?;
        }
        Ok(Cli::new(&self.place.surroundings.program, &copy))
    }

    /// A file of the checkout.
    pub fn text(&self, path: &str) -> Result<String, Failed> {
        Ok(fs_err::read_to_string(self.place.surroundings.checkout.join(path))?)
    }

    /// A new folder with files in it.
    pub fn folder(&self, name: &str, files: &[(&str, &str)]) -> Result<Utf8PathBuf, Failed> {
        let folder = self.place.folder(name)?;
        for (name, text) in files {
            fs_err::write(folder.join(name), text)?;
        }
        Ok(folder)
    }
}

fn link_all(from: &Utf8Path, to: &Utf8Path, without: &[&str]) -> Result<(), Failed> {
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        if !without.contains(&entry.file_name()) {
            std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
