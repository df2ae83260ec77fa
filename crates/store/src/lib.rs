//! Content-addressed objects and trees, results, leases, collection.
