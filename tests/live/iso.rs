//! CDs with one file in their root folder (ECMA-119). No tool of the SDK makes them, and the format is small.

/// Size of a sector in bytes.
const SECTOR: usize = 2048;
/// Sectors: of the volume descriptor, of the path tables (each byte order has its own), of the root folder, of the file.
const DESCRIPTOR: usize = 16;
const PATHS: [u32; 2] = [18, 19];
const FOLDER: u32 = 20;
const FILE: u32 = 21;

/// A number in both byte orders.
fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A short number in both byte orders.
fn both_short(number: u16) -> [u8; 4] {
    let mut bytes = [0; 4];
    bytes[..2].copy_from_slice(&number.to_le_bytes());
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Entry of a folder.
fn entry(sector: u32, size: u32, is_folder: bool, name: &[u8]) -> Vec<u8> {
    let mut entry = vec![0, 0];
    entry.extend(both(sector));
    entry.extend(both(size));
    // 2026-01-01 00:00:00 UTC.
    entry.extend([126, 1, 1, 0, 0, 0, 0]);
    entry.extend([if is_folder { 2 } else { 0 }, 0, 0]);
    entry.extend(both_short(1));
    entry.push(u8::try_from(name.len()).expect("a short name"));
    entry.extend(name);
    if entry.len() % 2 == 1 {
        entry.push(0);
    }
    entry[0] = u8::try_from(entry.len()).expect("a short entry");
    entry
}

/// Image of a CD.
pub fn image(label: &str, file: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("a small file");
    let sector = u32::try_from(SECTOR).expect("a small sector");
    let sectors = FILE + size.div_ceil(sector);
    let mut image = vec![0; SECTOR * usize::try_from(sectors).expect("a small image")];
    let root = entry(FOLDER, sector, true, &[0]);

    let descriptor = &mut image[SECTOR * DESCRIPTOR..];
    descriptor[..7].copy_from_slice(b"\x01CD001\x01");
    descriptor[8..72].fill(b' ');
    descriptor[40..40 + label.len()].copy_from_slice(label.as_bytes());
    descriptor[80..88].copy_from_slice(&both(sectors));
    for place in [120, 124] {
        descriptor[place..place + 4].copy_from_slice(&both_short(1));
    }
    descriptor[128..132].copy_from_slice(&both_short(2048));
    descriptor[132..140].copy_from_slice(&both(10));
    descriptor[140..144].copy_from_slice(&PATHS[0].to_le_bytes());
    descriptor[148..152].copy_from_slice(&PATHS[1].to_be_bytes());
    descriptor[156..156 + root.len()].copy_from_slice(&root);
    descriptor[190..813].fill(b' ');
    descriptor[881] = 1;
    descriptor[SECTOR..SECTOR + 7].copy_from_slice(b"\xffCD001\x01");

    for (place, number) in PATHS.into_iter().zip([FOLDER.to_le_bytes(), FOLDER.to_be_bytes()]) {
        let table = &mut image[SECTOR * usize::try_from(place).expect("small")..];
        table[0] = 1;
        table[2..6].copy_from_slice(&number);
        table[6..8].copy_from_slice(if place == PATHS[0] { &[1, 0] } else { &[0, 1] });
    }
    let names = [
        root.clone(),
        entry(FOLDER, sector, true, &[1]),
        entry(FILE, size, false, format!("{};1", file.to_uppercase()).as_bytes()),
    ];
    let mut place = SECTOR * usize::try_from(FOLDER).expect("small");
    for name in names {
        image[place..place + name.len()].copy_from_slice(&name);
        place += name.len();
    }
    let place = SECTOR * usize::try_from(FILE).expect("small");
    image[place..place + content.len()].copy_from_slice(content);
    image
}
