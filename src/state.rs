//! What a running locum is made of.
