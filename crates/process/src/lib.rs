//! The one door to external programs.
