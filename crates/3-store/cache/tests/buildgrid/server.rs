//! A BuildGrid server, for tests of this crate and of the command.
//!
//! `BASALT_BUILDGRID` names a Python environment in which it is installed: `python3 -m venv FOLDER; FOLDER/bin/pip
//! install buildgrid`. Without it, nothing is tested, and that is said.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use basalt_process::Command;

/// Time until it listens: Python imports a great deal, and the machine may be busy.
const START: Duration = Duration::from_secs(300);

/// A server with an instance `team/main`, on loopback; it ends when this is dropped.
pub struct BuildGrid {
    address: SocketAddr,
    child: Child,
    // Removes the folder when it is dropped.
    _folder: tempfile::TempDir,
}

impl Drop for BuildGrid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BuildGrid {
    /// Starts a server. Returns `None`, and writes a line that the test is skipped, where it is not installed.
    pub fn start(test: &str) -> Option<Self> {
        let Ok(environment) = std::env::var("BASALT_BUILDGRID") else {
            basalt_test_output::skip(test, "BASALT_BUILDGRID names no environment with BuildGrid");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let file = format!("{path}/server.yml");
        fs_err::write(&file, configuration(address, path)).expect("writes");
        let command = Command::new(format!("{environment}/bin/bgd")).args(["server", "start", &file]);
        let child = command
            .to_std()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("BASALT_BUILDGRID holds bin/bgd");
        let mut server = Self {
            address,
            child,
            _folder: folder,
        };
        server.wait();
        Some(server)
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().expect("its status");
            assert!(ended.is_none(), "BuildGrid has ended: {ended:?}");
            assert!(begun.elapsed() < START, "BuildGrid does not listen");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Address of an instance, as `--cache` takes it.
    pub fn location(&self, instance: &str) -> String {
        format!("grpc://{}/{instance}", self.address)
    }
}

fn configuration(address: SocketAddr, folder: &str) -> String {
    format!(
        "server:
  - !channel
    address: '{address}'
    insecure-mode: true
description: cache
authorization:
  method: none
monitoring:
  enabled: false
storages:
  - !disk-storage &cas
    path: {folder}/cas
caches:
  - !lru-action-cache &ac
    storage: *cas
    max-cached-refs: 1000
    allow-updates: true
    cache-failed-actions: false
instances:
  - name: 'team/main'
    description: cache
    storages: [*cas]
    caches: [*ac]
    services:
      - !action-cache
        cache: *ac
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
thread-pool-size: 20
"
    )
}
