//! Images that a word of the user names.

use basalt_release::Arch;
use camino::Utf8Path;

use crate::folder::ImageFolder;
use crate::image::ContainerImage;
use crate::{ContainerEngine, ImageReference, OciError, docker, engine, layout, unpack};

/// Endings of archives.
const ENDINGS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".tar.zst"];

/// Thing that a word of the user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WordKind {
    Folder,
    Archive,
    Name,
}

/// Reads the images that a word names: a folder with an OCI layout, an archive, or an image of a container engine; with
/// `engine`, of this one. They are for an architecture, and checked. `scratch` is an empty folder for what has to be
/// unpacked; the images need it as long as they are used.
///
/// # Errors
/// See [`OciError`].
pub fn find(
    word: &str,
    engine: Option<ContainerEngine>,
    scratch: &Utf8Path,
    arch: Arch,
) -> Result<Vec<ContainerImage>, OciError> {
    match kind(word, engine) {
        WordKind::Folder => read(&ImageFolder::new(word, word), arch),
        WordKind::Archive => archive(Utf8Path::new(word), word, scratch, arch),
        WordKind::Name => {
            let exported = scratch.join("exported.tar");
            engine::export(word, engine, &exported)?;
            let mut images = archive(&exported, word, scratch, arch)?;
            // Everything of it is unpacked now.
            fs_err::remove_file(&exported).map_err(OciError::file("remove", &exported))?;
            // podman has short names under `localhost`, which pods do not look for.
            if !engine::is_id(word)
                && let ([image], Ok(name)) = (&mut images[..], word.parse::<ImageReference>())
                && !image.names.contains(&name)
            {
                image.names.push(name);
            }
            Ok(images)
        }
    }
}

fn kind(word: &str, engine: Option<ContainerEngine>) -> WordKind {
    let path = Utf8Path::new(word);
    let is_path = word.starts_with(['/', '.']) || ENDINGS.iter().any(|ending| word.ends_with(ending));
    if engine.is_some() {
        WordKind::Name
    } else if path.is_dir() && (is_path || path.join(layout::INDEX).is_file()) {
        WordKind::Folder
    } else if path.is_file() || is_path {
        WordKind::Archive
    } else {
        WordKind::Name
    }
}

fn archive(path: &Utf8Path, place: &str, scratch: &Utf8Path, arch: Arch) -> Result<Vec<ContainerImage>, OciError> {
    let files = scratch.join("files");
    fs_err::create_dir(&files).map_err(OciError::file("create", &files))?;
    unpack::unpack(path, &files)?;
    read(&ImageFolder::new(files, place), arch)
}

fn read(folder: &ImageFolder, arch: Arch) -> Result<Vec<ContainerImage>, OciError> {
    if folder.has(layout::INDEX) {
        layout::read(folder, arch)
    } else if folder.has(docker::MANIFEST) {
        docker::read(folder, arch)
    } else {
        Err(OciError::Format {
            place: folder.place().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use basalt_digest::Digest;
    use camino::Utf8PathBuf;
    use serde_json::json;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let guard = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::try_from(guard.path().to_owned()).expect("UTF-8");
        (guard, path)
    }

    /// Archive of an image without layers.
    fn tar(add: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [] } }).to_string();
        let name = format!("{}.json", Digest::of(&config));
        append(&mut builder, &name, config.as_bytes());
        let list = json!([{ "Config": name, "RepoTags": ["app:1"], "Layers": null }]).to_string();
        append(&mut builder, "manifest.json", list.as_bytes());
        add(&mut builder);
        builder.into_inner().expect("written")
    }

    fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Not by `append_data`, which refuses names that an archive must not have.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, content).expect("written");
    }

    fn found(content: &[u8]) -> Result<Vec<ContainerImage>, OciError> {
        let (_guard, path) = folder();
        let archive = path.join("app.tar");
        fs_err::write(&archive, content).expect("written");
        let scratch = path.join("scratch");
        fs_err::create_dir(&scratch).expect("made");
        find(archive.as_str(), None, &scratch, Arch::X86_64)
    }

    #[test]
    fn archives_are_read_whatever_compressed_them() {
        let plain = tar(|_| {});
        let zstd = zstd::encode_all(&plain[..], 1).expect("packed");
        for content in [plain, zstd] {
            let images = found(&content).expect("read");
            assert_eq!(images[0].names[0].to_string(), "docker.io/library/app:1");
        }
    }

    #[test]
    fn hostile_archives_are_refused_with_the_entry() {
        for name in ["../outside", "/absolute", "a/../../outside"] {
            let content = tar(|builder| append(builder, name, b"x"));
            let error = found(&content).expect_err("refused");
            assert!(error.to_string().contains(&format!("entry `{name}`")), "{error}");
        }
        let twice = tar(|builder| append(builder, "manifest.json", b"[]"));
        assert!(
            found(&twice)
                .expect_err("refused")
                .to_string()
                .contains("is there twice")
        );
        let whole = tar(|_| {});
        let cut = &whole[..700];
        assert!(found(cut).is_err(), "a truncated archive");
        assert!(matches!(found(b""), Err(OciError::Format { .. })), "an empty file");
        assert!(matches!(found(b"\xfd7zXZ\0"), Err(OciError::Compression { .. })));
    }

    #[test]
    fn words_are_told_apart() {
        let (_guard, path) = folder();
        fs_err::write(path.join(layout::INDEX), "{}").expect("written");
        let file = path.join("archive");
        fs_err::write(&file, "").expect("written");
        for (word, engine, expected) in [
            (path.as_str(), None, WordKind::Folder),
            (file.as_str(), None, WordKind::Archive),
            ("missing.tar", None, WordKind::Archive),
            ("./missing", None, WordKind::Archive),
            ("missing-image", None, WordKind::Name),
            ("missing-image:1.tar", Some(ContainerEngine::Podman), WordKind::Name),
            ("quay.io/a/b:1", None, WordKind::Name),
        ] {
            assert_eq!(kind(word, engine), expected, "{word}");
        }
    }
}
