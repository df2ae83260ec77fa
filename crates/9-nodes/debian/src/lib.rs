//! Disks of Debian machines, installed by mmdebstrap from the newest packages, with Basalt's container stack put into them:
//! nodes of another distribution, for measurements (`basalt bench boot`), for clusters of both (`basalt up --beside debian`)
//! and for the kubeadm cluster of the tests.
//!
//! ```text
//! packages.toml --(resolved today)--> a list --(mmdebstrap, with folders of files and the RPMs' files)--> root.tar, /boot
//! root.tar --(mkfs.ext4 -d)--> a root partition;  /boot + systemd-boot --(mcopy)--> an EFI system partition
//! ```
//!
//! Debian's own kernel, initramfs, udev and ext4, as on any Debian machine in a cloud; started by systemd-boot, because
//! GRUB would only be slower. All of it without privileges, and kept in the store under the digest of its inputs.

mod disk;
mod error;
mod system;

pub use disk::DebianDisk;
pub use error::DebianError;
pub use system::{DebianSystem, NO_TIMER_CHECK, NODE_STACK, StackPackage};
