//! The rpm database, in the format of rpm's SQLite backend, from which scanners read the installed packages.
//!
//! Each package is stored as its header, with the tags that rpm adds at installation: the time, and the state of each
//! file. Index tables map names to packages. The bytes depend on the packages only.

use camino::Utf8Path;
use rpm::{IndexTag, PackageMetadata};
use rusqlite::{Connection, params};

use crate::merge::Places;
use crate::root::Root;
use crate::{BUILD_TIME, ImageError, ImagePackage};

/// Path of the database in an image.
pub(crate) const PATH: &str = "/usr/lib/sysimage/rpm/rpmdb.sqlite";

/// Index tables of rpm 4.20 with text keys, and the tag whose values are the keys; tables without a tag stay empty.
const BY_TEXT: &[(&str, Option<IndexTag>)] = &[
    ("Name", Some(IndexTag::RPMTAG_NAME)),
    ("Basenames", Some(IndexTag::RPMTAG_BASENAMES)),
    ("Group", Some(IndexTag::RPMTAG_GROUP)),
    ("Requirename", Some(IndexTag::RPMTAG_REQUIRENAME)),
    ("Providename", Some(IndexTag::RPMTAG_PROVIDENAME)),
    ("Conflictname", Some(IndexTag::RPMTAG_CONFLICTNAME)),
    ("Obsoletename", Some(IndexTag::RPMTAG_OBSOLETENAME)),
    ("Triggername", None),
    ("Dirnames", Some(IndexTag::RPMTAG_DIRNAMES)),
    ("Sha1header", None),
    ("Filetriggername", None),
    ("Transfiletriggername", None),
    ("Recommendname", Some(IndexTag::RPMTAG_RECOMMENDNAME)),
    ("Suggestname", Some(IndexTag::RPMTAG_SUGGESTNAME)),
    ("Supplementname", Some(IndexTag::RPMTAG_SUPPLEMENTNAME)),
    ("Enhancename", Some(IndexTag::RPMTAG_ENHANCENAME)),
];
/// Index tables with binary keys.
const BY_BYTES: &[&str] = &["Installtid", "Sigmd5"];

/// States of files, tags that rpm adds at installation, and types of tags.
const NORMAL: u8 = 0;
const NOT_INSTALLED: u8 = 2;
const INSTALLTIME: u32 = 1008;
const FILESTATES: u32 = 1029;
const INSTALLCOLOR: u32 = 1127;
const INSTALLTID: u32 = 1128;
const CHAR: u32 = 1;
const INT32: u32 = 4;

/// Writes the database into a new file.
pub(crate) fn make(
    path: &Utf8Path,
    root: &Root,
    payloads: &[ImagePackage<'_>],
    places: &[Places],
) -> Result<(), ImageError> {
    let mut database = Connection::open(path)?;
    database.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    let transaction = database.transaction()?;
    create_tables(&transaction)?;
    for ((payload, places), number) in payloads.iter().zip(places).zip(1_i64..) {
        let states: Vec<u8> = places
            .iter()
            .map(|place| match place {
                Some(path) if !root.entries.contains_key(path) => NOT_INSTALLED,
                _ => NORMAL,
            })
            .collect();
        let blob = basalt_rpm::read_header_blob(payload.path)?;
        let blob = installed(&blob, &states).ok_or_else(|| ImageError::Place {
            package: payload.package.name.clone(),
            path: PATH.to_owned(),
            why: "its header is damaged".to_owned(),
            help: "build the package again",
        })?;
        transaction.execute(
            "INSERT INTO Packages (hnum, blob) VALUES (?1, ?2)",
            params![number, blob],
        )?;
        let header = basalt_rpm::read_header(payload.path)?;
        for (table, tag) in BY_TEXT {
            let Some(tag) = *tag else { continue };
            let mut insert = transaction.prepare_cached(&format!("INSERT INTO '{table}' VALUES (?1, ?2, ?3)"))?;
            for (key, index) in values(&header, tag).into_iter().zip(0_i64..) {
                insert.execute(params![key, number, index])?;
            }
        }
        let mut insert = transaction.prepare_cached("INSERT INTO Installtid VALUES (?1, ?2, 0)")?;
        insert.execute(params![transaction_id().to_ne_bytes(), number])?;
    }
    transaction.commit()?;
    database.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Returns the ID of the transaction that installed all packages, which is its time.
fn transaction_id() -> u32 {
    u32::try_from(BUILD_TIME).unwrap_or(u32::MAX)
}

fn create_tables(database: &Connection) -> Result<(), rusqlite::Error> {
    database.execute_batch("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL);")?;
    let table = |name: &str, kind: &str| {
        database.execute_batch(&format!(
            "CREATE TABLE '{name}' (key '{kind}' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL, \
             FOREIGN KEY (hnum) REFERENCES 'Packages'(hnum));"
        ))
    };
    for (name, _) in BY_TEXT {
        table(name, "TEXT")?;
        database.execute_batch(&format!(
            "CREATE INDEX '{name}_key_idx' ON '{name}'(key ASC); CREATE INDEX '{name}_hnum_idx' ON '{name}'(hnum ASC);"
        ))?;
    }
    for name in BY_BYTES {
        table(name, "BLOB")?;
    }
    Ok(())
}

/// Returns the values of a tag of the type string or list of strings; none if the header does not have it.
fn values(header: &PackageMetadata, tag: IndexTag) -> Vec<String> {
    let header = &header.header;
    if let Ok(values) = header.get_entry_data_as_string_array(tag) {
        return values.into_iter().map(str::to_owned).collect();
    }
    let one = header
        .get_entry_data_as_string(tag)
        .or_else(|_| header.get_entry_data_as_i18n_string(tag));
    one.into_iter().map(str::to_owned).collect()
}

/// Returns a header with the tags that rpm adds at installation; `None` if it is damaged.
///
/// The header is a region that must not change: added tags follow it, in the index and in the data.
fn installed(blob: &[u8], states: &[u8]) -> Option<Vec<u8>> {
    let number = |place: usize| Some(u32::from_be_bytes(blob.get(place..place + 4)?.try_into().ok()?));
    let (entries, size) = (number(0)?, number(4)?);
    let data_start = 8 + usize::try_from(entries).ok()? * 16;
    let data_end = data_start + usize::try_from(size).ok()?;
    let mut index = blob.get(8..data_start)?.to_vec();
    let mut data = blob.get(data_start..data_end)?.to_vec();
    let time = transaction_id().to_be_bytes();
    let added: [(u32, u32, &[u8]); 4] = [
        (INSTALLTIME, INT32, &time),
        (FILESTATES, CHAR, states),
        (INSTALLCOLOR, INT32, &[0; 4]),
        (INSTALLTID, INT32, &time),
    ];
    let mut count = entries;
    for (tag, kind, value) in added.into_iter().filter(|(_, _, value)| !value.is_empty()) {
        if kind == INT32 {
            data.resize(data.len().next_multiple_of(4), 0);
        }
        let values = if kind == INT32 { value.len() / 4 } else { value.len() };
        for field in [tag, kind, u32::try_from(data.len()).ok()?, u32::try_from(values).ok()?] {
            index.extend_from_slice(&field.to_be_bytes());
        }
        data.extend_from_slice(value);
        count += 1;
    }
    let mut whole = count.to_be_bytes().to_vec();
    whole.extend_from_slice(&u32::try_from(data.len()).ok()?.to_be_bytes());
    whole.extend_from_slice(&index);
    whole.extend_from_slice(&data);
    Some(whole)
}
