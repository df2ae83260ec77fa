//! Checked form of the fields of `ServerCapabilities` that this client uses.

use bazel_remote_apis::build::bazel::remote::execution::v2::{ServerCapabilities, compressor};

use super::SHA256;

/// Bytes of a batch, at most: gRPC messages are limited to 4 MiB almost everywhere.
const MAX_BATCH: u64 = 3 << 20;

/// Capabilities of a REAPI server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `true` if clients may write results into the action cache.
    pub update: bool,
    /// `true` if `ByteStream` transfers may be compressed with zstd.
    pub zstd: bool,
    /// Bytes of all blobs in one batch, at most.
    pub max_batch: u64,
    /// Bytes of a blob, at most, if the server has said so.
    pub max_blob: Option<u64>,
}

/// Capabilities of a server that does not implement `GetCapabilities`: those that every REAPI server has to have.
impl Default for Features {
    fn default() -> Self {
        Self {
            update: true,
            zstd: false,
            max_batch: MAX_BATCH,
            max_blob: None,
        }
    }
}

impl Features {
    pub(super) fn check(message: &ServerCapabilities) -> Result<Self, String> {
        let Some(cache) = &message.cache_capabilities else {
            return Err("it is no cache: it tells no cache capabilities".to_owned());
        };
        if !cache.digest_functions.contains(&SHA256) {
            return Err("it does not know SHA-256".to_owned());
        }
        let update = cache.action_cache_update_capabilities;
        let positive = |size: i64| u64::try_from(size).ok().filter(|size| *size > 0);
        Ok(Self {
            update: update.is_some_and(|update| update.update_enabled),
            zstd: cache.supported_compressors.contains(&(compressor::Value::Zstd as i32)),
            max_batch: positive(cache.max_batch_total_size_bytes).map_or(MAX_BATCH, |size| size.min(MAX_BATCH)),
            max_blob: positive(cache.max_cas_blob_size_bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2::{
        ActionCacheUpdateCapabilities, CacheCapabilities, digest_function,
    };

    use super::*;

    fn server(cache: CacheCapabilities) -> ServerCapabilities {
        ServerCapabilities {
            cache_capabilities: Some(cache),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_needed_and_what_is_offered() {
        let mut cache = CacheCapabilities {
            digest_functions: vec![digest_function::Value::Sha256 as i32],
            ..Default::default()
        };
        let least = Features::check(&server(cache.clone())).expect("a cache");
        assert_eq!(
            (least.update, least.zstd, least.max_batch, least.max_blob),
            (false, false, MAX_BATCH, None)
        );
        cache.max_batch_total_size_bytes = 1000;
        cache.max_cas_blob_size_bytes = -5;
        cache.supported_compressors = vec![compressor::Value::Zstd as i32];
        cache.action_cache_update_capabilities = Some(ActionCacheUpdateCapabilities { update_enabled: true });
        let more = Features::check(&server(cache.clone())).expect("a cache");
        assert_eq!(
            (more.update, more.zstd, more.max_batch, more.max_blob),
            (true, true, 1000, None)
        );
        cache.max_batch_total_size_bytes = i64::MAX;
        assert_eq!(
            Features::check(&server(cache.clone())).map(|features| features.max_batch),
            Ok(MAX_BATCH)
        );
        cache.digest_functions = vec![digest_function::Value::Sha512 as i32];
        assert!(Features::check(&server(cache)).is_err());
        assert!(Features::check(&ServerCapabilities::default()).is_err());
    }
}
