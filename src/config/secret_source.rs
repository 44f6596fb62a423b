//! Where a secret comes from.

use std::path::PathBuf;

use crate::secret::{SecretKey, SecretText};

/// One of the five ways to give a secret.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Written in the configuration itself.
    Value(SecretText),
    /// The content of a file.
    File(PathBuf),
    /// The value of an environment variable, whose name begins with `LOCUM_`.
    Env(String),
    /// What a program prints: the program and its arguments, no shell.
    Command(Vec<String>),
    /// A systemd credential: the name of a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Where the vault's root key comes from.
#[derive(Clone, Debug)]
pub enum RootKeySource {
    /// Thirty-two bytes, raw (files and credentials only) or as hex or base64.
    Key(SecretSource),
    /// A pass-phrase that the vault derives the key from.
    Passphrase(SecretSource),
}

/// The root key, or what it is derived from.
#[derive(Clone, Debug)]
pub enum RootSecret {
    /// The key itself.
    Key(SecretKey),
    /// A pass-phrase; the vault derives the key with Argon2id.
    Passphrase(SecretText),
}
