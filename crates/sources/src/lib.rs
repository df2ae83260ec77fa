//! Fetching and verifying upstream source.
