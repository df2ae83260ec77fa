//! RPM headers and payloads, and solving what an image installs.
