//! The tree of build tools and the toolchain.
