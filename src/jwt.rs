//! The cryptography of JSON Web Tokens, on ring.
