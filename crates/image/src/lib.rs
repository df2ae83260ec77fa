//! Disk and container images: erofs, verity, UKI, partitions, layers.
