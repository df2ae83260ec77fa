//! Fake programs of the test cluster: this executable under other names.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use basalt_machine::{Call, Firmware, QemuTools};
use basalt_process::Command;
use basalt_release::Arch;
use camino::Utf8PathBuf;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Programs of the control plane's tree that this executable replaces.
pub const PROGRAMS: &[&str] = &[
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "registry",
    "kubectl",
];
/// File of the control plane's tree with the names of the faults to inject.
pub const FAULTS: &str = "/etc/faults";
const QEMU: &str = "__fake-qemu";

/// Runs the fake program whose name this process was started with, and exits; returns for any other name.
pub fn run_if_asked() {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    let name = Path::new(&name)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let outcome = match (name, arguments.first().map(String::as_str)) {
        (_, Some(QEMU)) => machine(&arguments[1..]),
        (name, _) if PROGRAMS.contains(&name) => program(name, &arguments),
        _ => return,
    };
    std::process::exit(match outcome {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{name}: {error}"));
            1
        }
    });
}

#[expect(clippy::print_stderr, reason = "what a program says goes to its log")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Sleeps until a signal ends the process.
fn stay() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn program(name: &str, arguments: &[String]) -> Result<i32, Box<dyn std::error::Error>> {
    let faults = fs_err::read_to_string(FAULTS).unwrap_or_default();
    if faults.contains(&format!("{name}-ends")) {
        say("the last words");
        return Ok(3);
    }
    let value = |option: &str| {
        let found = arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(option)?.strip_prefix('='));
        found.ok_or_else(|| format!("there is no {option}"))
    };
    match name {
        "kubectl" => {
            return Ok(if arguments.first().is_some_and(|first| first == "fail") {
                7
            } else {
                0
            });
        }
        "kube-apiserver" => api_server(value("--tls-cert-file")?, value("--tls-private-key-file")?, &faults)?,
        "etcd" => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 2379))?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
        "registry" => {
            let config: Value = serde_json::from_str(&fs_err::read_to_string(&arguments[1])?)?;
            let address = config["http"]["addr"].as_str().ok_or("no address")?.to_owned();
            let listener = TcpListener::bind(address)?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
        _ => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, value("--secure-port")?.parse()?))?;
            std::thread::spawn(move || listener.incoming().for_each(drop));
        }
    }
    stay()
}

/// Starts a fake API server, in whose cluster all objects are ready.
fn api_server(certificate: &str, key: &str, faults: &str) -> Result<(), Box<dyn std::error::Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let config = Arc::new(config);
    let never_ready = faults.contains("never-ready");
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 6443))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).expect("a connection");
                answer(rustls::StreamOwned::new(connection, stream), |path| {
                    object(path, never_ready)
                });
            });
        }
    });
    Ok(())
}

/// Starts the fake web server. It runs in the process of the first machine, because programs in sandboxes may not bind
/// port 80.
fn web_server() {
    let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)) else {
        return;
    };
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let body = format!("Hello from nowhere\nnode     node-{}\n", number % 2 + 1);
            answer::<TcpStream>(stream, |_| Some(body.clone()));
        }
    });
}

/// Reads one request and answers it.
fn answer<S: Read + Write>(stream: S, page: impl Fn(&str) -> Option<String>) {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => request += &line,
        }
    }
    let path = request.split_whitespace().nth(1).unwrap_or_default();
    let (status, body) = page(path).map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    // The client may have closed the connection.
    drop(
        stream
            .get_mut()
            .write_all(text.as_bytes())
            .and_then(|()| stream.get_mut().flush()),
    );
}

fn object(path: &str, never_ready: bool) -> Option<String> {
    let node = |name: &str| json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let object = match path.rsplit('/').next().unwrap_or_default() {
        "readyz" => return (!never_ready).then(|| "ok".to_owned()),
        "nodes" => json!({"items": [node("node-1"), node("node-2")]}),
        "pods" => json!({"items": []}),
        "flannel" | "kube-proxy" => json!({"status": {"desiredNumberScheduled": 1, "numberReady": 1}}),
        "coredns" | "web" if path.contains("deployments") => {
            json!({"spec": {"replicas": 1}, "status": {"readyReplicas": 1}})
        }
        "web" => json!({"spec": {"clusterIP": "10.87.0.1"}}),
        _ => return None,
    };
    Some(object.to_string())
}

/// Tools whose QEMU is this executable.
pub struct Machines {
    /// Path of a file in place of the firmware's variables.
    pub variables: Utf8PathBuf,
}

impl QemuTools for Machines {
    fn command(&self, call: &Call) -> Command {
        Command::new("/proc/self/exe")
            .arg(QEMU)
            .arg(&call.program)
            .args(&call.arguments)
    }

    fn firmware(&self, _: Arch) -> Firmware {
        Firmware {
            code: "/dev/null".into(),
            variables: self.variables.clone(),
        }
    }
}

/// Sends an ARP request for the control plane's address, as a machine's first frame; `true` when the bridge answers it.
fn the_bridge_answers(mut cable: UnixStream) -> std::io::Result<bool> {
    let (everybody, us) = ([0xff; 6], [0x52, 0x54, 0, 0, 0, 1]);
    let (our_address, asked) = ([10, 87, 0, 11], [10, 87, 0, 1]);
    let request = [0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1];
    let frame = [&everybody[..], &us, &request, &us, &our_address, &[0; 6], &asked].concat();
    cable.set_read_timeout(Some(Duration::from_secs(5)))?;
    cable.write_all(&[&[0, 0, 0, 42], &frame[..]].concat())?;
    for _ in 0..100 {
        let mut head = [0; 4];
        cable.read_exact(&mut head)?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(head)).unwrap_or_default()];
        cable.read_exact(&mut frame)?;
        // An ARP reply from the requested address to this machine.
        if frame.starts_with(&us) && frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 2] && frame[28..32] == asked
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs a fake `qemu-img`, or a fake machine that writes to its console and waits for its power button.
fn machine(arguments: &[String]) -> Result<i32, Box<dyn std::error::Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if arguments[0] == "qemu-img" {
        let overlay = arguments
            .iter()
            .find(|argument| argument.ends_with(".new"))
            .ok_or("no disk")?;
        fs_err::write(overlay, "a disk")?;
        return Ok(0);
    }
    let option = |kind: &str, name: &str| {
        let found = arguments
            .iter()
            .find(|argument| argument.contains(kind))
            .map(String::as_str);
        found.and_then(|found| {
            found
                .split(',')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        })
    };
    let log = option("id=console", "logfile").ok_or("no console")?;
    fs_err::write(log, "a machine that only plays\nand says so\n")?;
    web_server();
    if let Some(cable) = option("stream,id=net0", "addr.path") {
        let answers = the_bridge_answers(UnixStream::connect(cable)?)?;
        fs_err::write(log, format!("the bridge answers: {answers}\n"))?;
    }
    let control = UnixListener::bind(option("id=control", "path").ok_or("no control")?)?;
    for stream in control.incoming() {
        let mut stream = BufReader::new(stream?);
        writeln!(stream.get_mut(), "{}", json!({"QMP": {}}))?;
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
            let order: Value = serde_json::from_str(&line)?;
            line.clear();
            let answer = if order["execute"] == "query-status" {
                json!({"status": "running"})
            } else {
                json!({})
            };
            writeln!(stream.get_mut(), "{}", json!({"return": answer}))?;
            if order["execute"] == "system_powerdown" || order["execute"] == "quit" {
                return Ok(0);
            }
        }
    }
    stay()
}
