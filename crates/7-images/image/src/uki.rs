//! The unified kernel image: systemd's EFI stub with the kernel, its command line and its name in further sections.

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};

use crate::ImageError;

/// What goes into a unified kernel image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// systemd's stub.
    pub(crate) stub: &'a [u8],
    /// The kernel, itself an EFI program.
    pub(crate) kernel: &'a [u8],
    /// What `uname -r` will say.
    pub(crate) release: &'a str,
    /// What the kernel is told.
    pub(crate) command_line: &'a str,
    /// /etc/os-release: the boot loader shows a name from it.
    pub(crate) os_release: &'a [u8],
}

/// Puts them together.
pub(crate) fn assemble(parts: &Parts<'_>) -> Result<Vec<u8>, ImageError> {
    let kernel = PeFile64::parse(parts.kernel).map_err(unusable("the kernel"))?;
    let in_memory = kernel.nt_headers().optional_header().size_of_image();
    let mut image = Program::parse(parts.stub)?;
    let data = pe::IMAGE_SCN_CNT_INITIALIZED_DATA;
    image.add(b".osrel", parts.os_release, None, data)?;
    image.add(b".cmdline", parts.command_line.as_bytes(), None, data)?;
    image.add(b".uname", parts.release.as_bytes(), None, data)?;
    // The last one, with room for the kernel as it unfolds in memory.
    image.add(b".linux", parts.kernel, Some(in_memory), pe::IMAGE_SCN_CNT_CODE)?;
    Ok(image.bytes)
}

/// An EFI program that sections are added to.
struct Program {
    bytes: Vec<u8>,
    file_header: usize,
    optional_header: usize,
    /// Where the header of the next section goes.
    next_header: usize,
    headers_end: usize,
    file_alignment: usize,
    section_alignment: u32,
    /// Where the last section ends in memory.
    end: u32,
}

/// Offsets in the file header and the optional header; they are part of the format.
const NUMBER_OF_SECTIONS: usize = 2;
const SIZE_OF_INITIALIZED_DATA: usize = 8;
const SIZE_OF_IMAGE: usize = 56;
const CHECKSUM: usize = 64;
const SECTION_HEADER: usize = 40;

impl Program {
    fn parse(stub: &[u8]) -> Result<Self, ImageError> {
        let wrong = |why: &str| ImageError::Efi {
            what: "systemd's EFI stub",
            why: why.to_owned(),
        };
        let file = PeFile64::parse(stub).map_err(unusable("systemd's EFI stub"))?;
        let optional = file.nt_headers().optional_header();
        let file_header = file.dos_header().nt_headers_offset() as usize + 4;
        let optional_header = file_header + size_of::<pe::ImageFileHeader>();
        let sections = file.section_table();
        let size_of_optional = usize::from(file.nt_headers().file_header().size_of_optional_header.get(LE));
        let end = sections
            .iter()
            .map(|section| section.virtual_address.get(LE) + section.virtual_size.get(LE))
            .max();
        let security = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_SECURITY);
        if security.is_some_and(|entry| entry.virtual_address.get(LE) != 0) {
            return Err(wrong("it is signed, and adding to it would break the signature"));
        }
        Ok(Self {
            file_header,
            optional_header,
            next_header: optional_header + size_of_optional + sections.len() * SECTION_HEADER,
            headers_end: optional.size_of_headers() as usize,
            file_alignment: (optional.file_alignment() as usize).max(1),
            section_alignment: optional.section_alignment().max(1),
            end: end.ok_or_else(|| wrong("it has no sections"))?,
            bytes: stub.to_vec(),
        })
    }

    fn add(
        &mut self,
        name: &[u8],
        content: &[u8],
        in_memory: Option<u32>,
        kind: pe::SectionFlags,
    ) -> Result<(), ImageError> {
        let wrong = |why: String| ImageError::Efi {
            what: "systemd's EFI stub",
            why,
        };
        let shown = String::from_utf8_lossy(name);
        if self.next_header + SECTION_HEADER > self.headers_end {
            return Err(wrong(format!("its header has no room for the section {shown}")));
        }
        let too_large = |_| wrong(format!("the section {shown} is too large"));
        let size = u32::try_from(content.len()).map_err(too_large)?;
        let in_memory = in_memory.unwrap_or(size).max(size);
        let address = self.end.next_multiple_of(self.section_alignment);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(self.file_alignment), 0);
        let offset = u32::try_from(self.bytes.len()).map_err(too_large)?;
        self.bytes.extend_from_slice(content);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(self.file_alignment), 0);
        let stored = u32::try_from(self.bytes.len()).map_err(too_large)? - offset;

        let mut header = [0; SECTION_HEADER];
        header[..name.len()].copy_from_slice(name);
        let numbers = [
            (8, in_memory),
            (12, address),
            (16, stored),
            (20, offset),
            (36, (kind | pe::IMAGE_SCN_MEM_READ).0),
        ];
        for (place, number) in numbers {
            header[place..place + 4].copy_from_slice(&number.to_le_bytes());
        }
        self.bytes[self.next_header..self.next_header + SECTION_HEADER].copy_from_slice(&header);
        self.next_header += SECTION_HEADER;
        self.end = address + in_memory;

        let count = self.file_header + NUMBER_OF_SECTIONS;
        let sections = u16::from_le_bytes([self.bytes[count], self.bytes[count + 1]]) + 1;
        self.bytes[count..count + 2].copy_from_slice(&sections.to_le_bytes());
        let data = self.number(SIZE_OF_INITIALIZED_DATA).wrapping_add(in_memory);
        self.set_number(SIZE_OF_INITIALIZED_DATA, data);
        self.set_number(SIZE_OF_IMAGE, self.end.next_multiple_of(self.section_alignment));
        // Firmware does not look at it; a wrong one would be worse than none.
        self.set_number(CHECKSUM, 0);
        Ok(())
    }

    fn number(&self, place: usize) -> u32 {
        let place = self.optional_header + place;
        u32::from_le_bytes([
            self.bytes[place],
            self.bytes[place + 1],
            self.bytes[place + 2],
            self.bytes[place + 3],
        ])
    }

    fn set_number(&mut self, place: usize, number: u32) {
        let place = self.optional_header + place;
        self.bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
    }
}

fn unusable(what: &'static str) -> impl FnOnce(object::read::Error) -> ImageError {
    move |error| ImageError::Efi {
        what,
        why: format!("it is not an EFI program: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use object::read::{Object as _, ObjectSection as _};

    use super::*;
    use crate::efi::efi_program;

    #[test]
    fn what_went_in_is_read_back() {
        let (stub, kernel) = (efi_program(b"stub"), efi_program(&[1; 3000]));
        let parts = Parts {
            stub: &stub,
            kernel: &kernel,
            release: "6.12.107-1.bs1",
            command_line: "root=/dev/dm-0 ro",
            os_release: b"ID=basalt\n",
        };
        let uki = assemble(&parts).expect("assembled");
        let read = PeFile64::parse(uki.as_slice()).expect("an EFI program");
        let content = |name: &str| {
            let section = read.section_by_name(name).unwrap_or_else(|| panic!("{name} is there"));
            section.data().expect("its data").to_vec()
        };
        assert!(content(".text").starts_with(b"stub"));
        assert_eq!(content(".osrel"), b"ID=basalt\n");
        assert_eq!(content(".cmdline"), b"root=/dev/dm-0 ro");
        assert_eq!(content(".uname"), b"6.12.107-1.bs1");
        assert!(content(".linux").starts_with(&kernel));
        let mut end = 0;
        for section in read.sections() {
            assert!(
                section.address() >= end,
                "{:?} lies over the one before",
                section.name()
            );
            end = section.address() + section.size();
        }
        let in_memory = u64::from(read.nt_headers().optional_header().size_of_image());
        assert!(in_memory >= end && in_memory % 4096 == 0);
        assert_eq!(assemble(&parts).expect("again"), uki);
    }

    #[test]
    fn a_stub_without_room_or_sense_is_refused() {
        let kernel = efi_program(b"kernel");
        let parts = |stub| Parts {
            stub,
            kernel: &kernel,
            release: "",
            command_line: "",
            os_release: b"",
        };
        assert!(matches!(assemble(&parts(b"no program")), Err(ImageError::Efi { .. })));
        let mut program = Program::parse(&efi_program(b"stub")).expect("a program");
        program.headers_end = program.next_header;
        assert!(program.add(b".x", b"y", None, pe::IMAGE_SCN_CNT_CODE).is_err());
    }
}
