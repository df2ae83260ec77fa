//! Namespaces, overlays, and what a build may see.
