//! Unified kernel images: systemd's EFI stub with the kernel, its command line and its release in further sections.

use object::LittleEndian as LE;
use object::pe;
use object::pod::bytes_of;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, PeFile64};

use crate::ImageError;

/// Parts of a unified kernel image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// EFI stub of systemd.
    pub(crate) stub: &'a [u8],
    /// Kernel, itself an EFI program.
    pub(crate) kernel: &'a [u8],
    /// Release of the kernel, as printed by `uname -r`.
    pub(crate) release: &'a str,
    /// Kernel command line.
    pub(crate) command_line: &'a str,
    /// Content of /etc/os-release: the boot loader shows a name from it.
    pub(crate) os_release: &'a [u8],
}

/// Assembles a unified kernel image.
///
/// # Errors
/// When the stub or the kernel is no EFI program, or the stub's header has no space for further sections.
pub(crate) fn assemble(parts: &Parts<'_>) -> Result<Vec<u8>, ImageError> {
    let kernel = PeFile64::parse(parts.kernel).map_err(unusable("the kernel"))?;
    let in_memory = kernel.nt_headers().optional_header().size_of_image();
    let mut image = Program::parse(parts.stub)?;
    let data = pe::IMAGE_SCN_CNT_INITIALIZED_DATA;
    image.add(".osrel", parts.os_release, None, data)?;
    image.add(".cmdline", parts.command_line.as_bytes(), None, data)?;
    image.add(".uname", parts.release.as_bytes(), None, data)?;
    // The last section, with the size that the kernel needs in memory.
    image.add(".linux", parts.kernel, Some(in_memory), pe::IMAGE_SCN_CNT_CODE)?;
    Ok(image.bytes)
}

/// EFI program to which sections are added.
struct Program {
    bytes: Vec<u8>,
    file_header: usize,
    optional_header: usize,
    /// Offset of the next section header in bytes.
    next_header: usize,
    headers_end: usize,
    file_alignment: usize,
    section_alignment: u32,
    /// End of the last section in memory, as a relative virtual address.
    end: u32,
}

/// Offsets of fields in the file header and the optional header, and size of a section header (PE format).
const NUMBER_OF_SECTIONS: usize = 2;
const SIZE_OF_INITIALIZED_DATA: usize = 8;
const SIZE_OF_IMAGE: usize = 56;
const CHECKSUM: usize = 64;
const SECTION_HEADER: usize = pe::IMAGE_SIZEOF_SECTION_HEADER;

/// Name of the stub in errors.
const STUB: &str = "systemd's EFI stub";

impl Program {
    fn parse(stub: &[u8]) -> Result<Self, ImageError> {
        let file = PeFile64::parse(stub).map_err(unusable(STUB))?;
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
        name: &str,
        content: &[u8],
        in_memory: Option<u32>,
        kind: pe::SectionFlags,
    ) -> Result<(), ImageError> {
        if self.next_header + SECTION_HEADER > self.headers_end {
            return Err(wrong(format!("its header has no room for the section {name}")));
        }
        let too_large = |_| wrong(format!("the section {name} is too large"));
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

        let mut padded = [0; pe::IMAGE_SIZEOF_SHORT_NAME];
        padded.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        let header = pe::ImageSectionHeader {
            name: padded,
            virtual_size: in_memory.into(),
            virtual_address: address.into(),
            size_of_raw_data: stored.into(),
            pointer_to_raw_data: offset.into(),
            pointer_to_relocations: 0.into(),
            pointer_to_linenumbers: 0.into(),
            number_of_relocations: 0.into(),
            number_of_linenumbers: 0.into(),
            characteristics: (kind | pe::IMAGE_SCN_MEM_READ).into(),
        };
        self.put(self.next_header, bytes_of(&header))?;
        self.next_header += SECTION_HEADER;
        self.end = address + in_memory;

        let count = self.file_header + NUMBER_OF_SECTIONS;
        let sections = u16::from_le_bytes(self.take(count)?) + 1;
        self.put(count, &sections.to_le_bytes())?;
        let data = self.optional_header + SIZE_OF_INITIALIZED_DATA;
        let size = u32::from_le_bytes(self.take(data)?).wrapping_add(in_memory);
        self.put(data, &size.to_le_bytes())?;
        let size = self.end.next_multiple_of(self.section_alignment);
        self.put(self.optional_header + SIZE_OF_IMAGE, &size.to_le_bytes())?;
        // Firmware does not check it; 0 means that there is none.
        self.put(self.optional_header + CHECKSUM, &[0; 4])
    }

    /// The bytes at an offset.
    fn take<const LENGTH: usize>(&self, offset: usize) -> Result<[u8; LENGTH], ImageError> {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or_else(truncated)
    }

    /// Overwrites the bytes at an offset.
    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), ImageError> {
        let rest = self.bytes.get_mut(offset..);
        let place = rest
            .and_then(|rest| rest.get_mut(..bytes.len()))
            .ok_or_else(truncated)?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

fn wrong(why: impl Into<String>) -> ImageError {
    ImageError::Efi {
        what: STUB,
        why: why.into(),
    }
}

fn truncated() -> ImageError {
    wrong("it ends within its headers")
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
        assert!(program.add(".x", b"y", None, pe::IMAGE_SCN_CNT_CODE).is_err());
    }
}
