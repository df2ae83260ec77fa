//! Source distributions of the Python package index, as files.
//!
//! The index is asked by its own API (PEP 691 in JSON, PEP 503 in HTML), and the one file that is wanted is transferred like
//! any other. pip would unpack it and run its set-up code to find out what it needs, before anybody has looked at its digest.

mod page;
mod settings;

use basalt_progress::Silent;
use camino::Utf8Path;

use crate::SourcesError;
use crate::download::{Downloader, ExpectedSize, Request};

pub(crate) use page::File;

/// Forms of a page, most wanted first.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";
/// Largest page of a project in bytes: those with thousands of releases have some ten MiB.
const LARGEST_PAGE: u64 = 64 << 20;

/// The source distribution of that project and version, in the index that the machine's pip is set up with.
///
/// # Errors
/// When the index cannot be reached, or does not have it.
pub(crate) fn find(project: &str, version: &str, downloader: &Downloader) -> Result<File, SourcesError> {
    let Some(index) = settings::index() else {
        return Err(SourcesError::Index {
            index: "none".to_owned(),
            reason: "no index is set up: name one with PIP_INDEX_URL or in pip's configuration".to_owned(),
        });
    };
    find_in(&index, project, version, downloader)
}

fn find_in(index: &str, project: &str, version: &str, downloader: &Downloader) -> Result<File, SourcesError> {
    let wrong = |reason: String| SourcesError::Index {
        index: without_password(index),
        reason,
    };
    let folder = tempfile::tempdir().map_err(|error| wrong(format!("no place for its page: {error}")))?;
    let path = folder.path().join("page");
    let path = Utf8Path::from_path(&path).ok_or_else(|| wrong("TMPDIR is not UTF-8".to_owned()))?;
    let request = Request {
        url: format!("{}/{}/", index.trim_end_matches('/'), normalized(project)),
        accept: Some(ACCEPT.to_owned()),
        size: ExpectedSize::AtMost(LARGEST_PAGE),
    };
    let received = downloader.download(&request, path, &Silent)?;
    let text = fs_err::read(path).map_err(basalt_store::FileError::new("cannot read", path))?;
    let files = page::read(&text, &received.content_type, &received.url).map_err(&wrong)?;
    page::source_distribution(files, project, version)
        .ok_or_else(|| wrong(format!("it has no source distribution of {project} {version}")))
}

/// Name of a project as the index has it in URLs (PEP 503).
fn normalized(project: &str) -> String {
    let words = project.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// A URL for messages: passwords of company indexes stand in them.
fn without_password(url: &str) -> String {
    match url
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?.1)))
    {
        Some((scheme, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::server::{Server, Step};
    use crate::download::testing;

    fn serve(content_type: &'static str, body: &'static str) -> Server {
        let step: Step = Box::new(move |client| {
            let page = client.path() == "/simple/my-project/";
            let (status, body) = if page { ("200 OK", body) } else { ("404 Not Found", "") };
            client.send(format!(
                "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
        });
        Server::start(vec![step])
    }

    fn ask(server: &Server, version: &str) -> Result<File, SourcesError> {
        let downloader = testing::downloader(testing::limits());
        find_in(&server.url("simple"), "My_Project", version, &downloader)
    }

    #[test]
    fn a_source_distribution_is_found_in_both_forms() {
        let json = r#"{"meta":{"api-version":"1.1"},"name":"my-project","files":[
            {"filename":"my_project-1.0-py3-none-any.whl","url":"w.whl","hashes":{}},
            {"filename":"my_project-1.0.tar.gz","url":"../../files/my_project-1.0.tar.gz","hashes":{}}]}"#;
        let html = r##"<!DOCTYPE html><html><body><a href="w.whl">my_project-1.0-py3-none-any.whl</a><br/>
            <A data-requires-python="&gt;=3" HREF='../../files/my_project-1.0.tar.gz#sha256=00'>my_project-1.0.tar.gz</A>"##;
        for (content_type, body) in [
            ("application/vnd.pypi.simple.v1+json", json),
            ("text/html; charset=utf-8", html),
            ("application/vnd.pypi.simple.v1+html", html),
        ] {
            let server = serve(content_type, body);
            let file = ask(&server, "1.0").expect("found");
            assert_eq!(file.url, server.url("files/my_project-1.0.tar.gz"), "{content_type}");
            let accept = "accept: application/vnd.pypi.simple.v1+json";
            assert!(server.requests()[0].to_ascii_lowercase().contains(accept));
            let error = ask(&server, "1.1").expect_err("not there").to_string();
            assert!(error.contains("no source distribution of My_Project 1.1"), "{error}");
        }
    }

    #[test]
    fn an_index_that_is_none_is_named() {
        for (content_type, body) in [
            ("application/vnd.pypi.simple.v1+json", "{\"files\":"),
            (
                "application/vnd.pypi.simple.v1+json",
                "{\"meta\":{\"api-version\":\"2.0\"},\"files\":[]}",
            ),
            ("application/octet-stream", "x"),
        ] {
            let error = ask(&serve(content_type, body), "1.0").expect_err(body).to_string();
            assert!(error.contains("127.0.0.1"), "{error}");
        }
    }

    #[test]
    fn names_and_urls_are_normalized() {
        assert_eq!(normalized("Zope.Interface__x"), "zope-interface-x");
        assert_eq!(
            without_password("https://me:secret@index.example/simple"),
            "https://index.example/simple"
        );
    }
}
