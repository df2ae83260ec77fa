//! `basalt repo keys`: keys that sign, and keys that are trusted.

use std::process::ExitCode;

use basalt_process::without_path;
use basalt_progress::Reporter as _;
use basalt_signing::{Certificate, KeyError, KeyringEntry, Timestamp, Validity};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use super::keyring;
use crate::arguments::repo::{Keys, NewKey, Passphrase};
use crate::commands::{answer, answer_json};
use crate::environment::variable;
use crate::table::Table;
use crate::terminal::Terminal;

/// Runs the verb.
pub fn run(what: &Keys, terminal: &Terminal, json: bool) -> Result<ExitCode> {
    let ring = keyring()?;
    let now = Timestamp::now();
    match what {
        Keys::List => list(&ring.entries()?, now, terminal, json),
        Keys::New(options) => {
            if let Some(entry) = ring.signing()? {
                return Err(miette!(
                    help = "`./basalt repo keys rotate` makes the next one; the one before stays trusted until its end",
                    "the key {} signs already",
                    entry.certificate.key_id()
                ));
            }
            make(options, now, json)?;
        }
        Keys::Rotate(options) => {
            if ring.signing()?.is_none() {
                return Err(miette!(
                    help = "make the first: ./basalt repo keys new",
                    "there is no key yet"
                ));
            }
            make(options, now, json)?;
            terminal.note("publish again (./basalt repo publish), so that clients learn of it from the one before");
        }
        Keys::Import { file, trust_only } => {
            let bytes = fs_err::read(file)
                .map_err(|error| without_path(error, file))
                .into_diagnostic()
                .wrap_err_with(|| format!("the key {file} cannot be read"))?;
            let entries = ring.import(&bytes, file.as_str(), !trust_only)?;
            list(&entries, now, terminal, json);
        }
        Keys::Use { key } => {
            let entry = ring.find(key)?;
            entry.certificate.ensure_valid(now)?;
            ring.choose(entry.certificate.fingerprint())?;
            show(&entry.certificate, "signs from now on", json);
        }
        Keys::Export { key } => {
            let certificates = match key {
                Some(key) => vec![ring.find(key)?.certificate],
                None => ring.trusted(now)?,
            };
            export(&certificates, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes public keys to standard output.
fn export(certificates: &[Certificate], json: bool) -> Result<()> {
    if certificates.is_empty() {
        return Err(miette!(
            code = "keys::none",
            help = "`./basalt repo keys new` makes one; `./basalt repo keys list` shows those that have expired, too",
            "there is no trusted key to export"
        ));
    }
    let texts = certificates.iter().map(Certificate::armored);
    let texts = texts.collect::<Result<Vec<_>, KeyError>>()?;
    if json {
        let keys = certificates.iter().zip(&texts);
        let keys = keys.map(|(certificate, text)| {
            serde_json::json!({
                "fingerprint": certificate.fingerprint(), "user": certificate.user(), "expires": certificate.expires(),
                "armored": text,
            })
        });
        answer_json(&keys.collect::<Vec<_>>());
    } else {
        answer(texts.concat().trim_end());
    }
    Ok(())
}

fn make(options: &NewKey, now: Timestamp, json: bool) -> Result<()> {
    let user = options.user.clone().unwrap_or_else(default_user);
    let passphrase = passphrase(&options.passphrase)?;
    let key = keyring()?.make(&user, now, options.days, passphrase.as_deref())?;
    show(key.certificate(), "was made, and signs from now on", json);
    Ok(())
}

fn show(certificate: &Certificate, what: &str, json: bool) {
    if json {
        answer_json(&serde_json::json!({
            "fingerprint": certificate.fingerprint(), "user": certificate.user(), "expires": certificate.expires(),
        }));
    } else {
        answer(format!("{} {what} ({})", certificate.fingerprint(), certificate.user()));
    }
}

/// Returns the default user id of a development key: this user on this machine.
pub fn default_user() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let host = rustix::system::uname();
    format!("Basalt development ({user}@{})", host.nodename().to_string_lossy())
}

fn list(entries: &[KeyringEntry], now: Timestamp, terminal: &Terminal, json: bool) {
    if json {
        let briefs: Vec<_> = entries
            .iter()
            .map(|entry| {
                let certificate = &entry.certificate;
                serde_json::json!({
                    "fingerprint": certificate.fingerprint(), "user": certificate.user(),
                    "algorithm": certificate.algorithm(), "made": certificate.made(), "expires": certificate.expires(),
                    "state": state(entry, now), "signing": entry.signing, "secret": entry.secret,
                })
            })
            .collect();
        return answer_json(&briefs);
    }
    if entries.is_empty() {
        return answer("there is no key yet; the first publishing makes one for development");
    }
    let mut table = Table::new(["fingerprint", "algorithm", "ends", "state", "secret half", "whose"]);
    for entry in entries {
        let certificate = &entry.certificate;
        table.row([
            certificate.fingerprint().to_owned(),
            certificate.algorithm(),
            certificate
                .expires()
                .map_or_else(|| "never".to_owned(), |end| end.to_string()),
            state(entry, now),
            if entry.secret { "here" } else { "elsewhere" }.to_owned(),
            certificate.user().to_owned(),
        ]);
    }
    answer(table);
    for entry in entries {
        if let Validity::EndsSoon { days } = entry.certificate.validity(now) {
            terminal.warn(&format!("the key {} ends in {days} days", entry.certificate.key_id()));
        }
    }
}

fn state(entry: &KeyringEntry, now: Timestamp) -> String {
    let role = if entry.signing { "signs" } else { "trusted" };
    match entry.certificate.validity(now) {
        Validity::Valid => role.to_owned(),
        Validity::EndsSoon { days } => format!("{role}, {days} days left"),
        Validity::Expired => "expired".to_owned(),
        Validity::FromTheFuture => "not yet made".to_owned(),
        Validity::Revoked => "revoked".to_owned(),
    }
}

/// Reads the passphrase from the file, or from the variable, without one line break at its end.
pub fn passphrase(options: &Passphrase) -> Result<Option<String>> {
    let text = match &options.passphrase_file {
        Some(path) => Some(
            fs_err::read_to_string(path)
                .map_err(|error| without_path(error, path))
                .into_diagnostic()
                .wrap_err_with(|| format!("the file with the passphrase, {path}, cannot be read"))?,
        ),
        None => variable("BASALT_KEY_PASSPHRASE")?,
    };
    Ok(text.map(|text| text.strip_suffix('\n').unwrap_or(&text).to_owned()))
}
