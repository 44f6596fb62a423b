//! The configuration: layers, sections, secrets.
