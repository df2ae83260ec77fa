//! Virtual machines by QEMU: firmware, disks, console, control.
