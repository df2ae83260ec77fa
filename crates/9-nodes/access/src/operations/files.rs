//! Files of a node.

use std::io::{Seek as _, Write};

use basalt_archive::ExtractionSummary;
use basalt_process::ProcessError;
use camino::Utf8Path;

use super::{NodeAccess, OPERATION, SESSION};
use crate::AccessError;
use crate::files::{self, FileInfo, FileOperation, NodePath};
use crate::image::ProgramNeed;
use crate::node::NodeName;

impl NodeAccess<'_> {
    /// Lists a folder of the node.
    ///
    /// # Errors
    /// When there is no such folder, or the pod does not start.
    pub fn list_files(&self, name: &NodeName, path: &NodePath) -> Result<Vec<FileInfo>, AccessError> {
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Tools, OPERATION)?;
        let command = pod.exec(files::command(FileOperation::List, path));
        let bytes = pod.output(format!("listing {} of {name}", path.as_str()), &command)?;
        Ok(files::parse_list(&String::from_utf8_lossy(&bytes)))
    }

    /// Writes the content of a file of the node to a sink.
    ///
    /// # Errors
    /// When there is no such file, or the pod does not start.
    pub fn show_file(&self, name: &NodeName, path: &NodePath, sink: &mut dyn Write) -> Result<(), AccessError> {
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Tools, OPERATION)?;
        let command = pod.exec(files::command(FileOperation::Show, path));
        let shown = command.stream(|bytes| sink.write_all(bytes));
        shown.map_err(AccessError::kubectl(format!("reading {} of {name}", path.as_str())))
    }

    /// Copies a file or a folder of the node into a new folder of this machine, under its own name. Links that lead
    /// elsewhere, devices and sockets are left out; owners are not kept.
    ///
    /// # Errors
    /// When `into` exists, there is no such file, or the archive is damaged.
    pub fn copy_files(
        &self,
        name: &NodeName,
        path: &NodePath,
        into: &Utf8Path,
    ) -> Result<ExtractionSummary, AccessError> {
        if into.symlink_metadata().is_ok() {
            return Err(AccessError::Exists { path: into.to_owned() });
        }
        let node = self.node(name)?;
        let pod = self.pod(&node, ProgramNeed::Tools, SESSION)?;
        let parent = into.parent().filter(|parent| !parent.as_str().is_empty());
        let parent = parent.unwrap_or(Utf8Path::new("."));
        fs_err::create_dir_all(parent).map_err(AccessError::file(format!("create {parent}")))?;
        // The whole archive first: only its end, and the exit status of tar, tell that it is complete.
        let write = || AccessError::file(format!("write a temporary file in {parent}"));
        let mut archive = tempfile::tempfile_in(parent).map_err(write())?;
        let command = pod.exec(files::command(FileOperation::Pack, path));
        match command.stream(|bytes| archive.write_all(bytes)) {
            Err(ProcessError::Failed { tail, .. })
                if !tail.is_empty() && tail.iter().all(|line| files::is_harmless(line)) =>
            {
                self.reporter
                    .warn(&format!("not all files were copied whole: {}", tail.join("; ")));
            }
            packed => packed.map_err(AccessError::kubectl(format!("copying {} of {name}", path.as_str())))?,
        }
        archive.rewind().map_err(write())?;
        let folder = tempfile::Builder::new()
            .prefix(".basalt-copy-")
            .tempdir_in(parent)
            .map_err(write())?;
        let content = Utf8Path::from_path(folder.path()).ok_or_else(|| AccessError::Path {
            path: folder.path().display().to_string(),
        })?;
        let reader = std::io::BufReader::new(archive);
        let summary = basalt_archive::extract(reader, path.as_str(), content, files::policy())?;
        fs_err::rename(content, into).map_err(AccessError::file(format!("move the copy to {into}")))?;
        Ok(summary)
    }
}
