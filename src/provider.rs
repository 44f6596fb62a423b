//! Discovery and key cache.
