//! A loopback Google.
