//! Calls to Google.
