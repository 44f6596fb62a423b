//! Where a secret comes from, and how it is taken from there.
//!
//! Nothing is read before [`SecretSource::load`]: a command that speaks to a running server needs no
//! secret, and its user may not be allowed to read one. Errors name the place and the cure, never the
//! content.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::environment::{Environment, PREFIX};
use super::error::ConfigError;
use super::{secret_command, secret_file};
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
    /// Thirty-two bytes, raw (files, commands and credentials) or as hex or base64.
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

/// Why a secret cannot be had. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// There is no such file.
    #[error("the file {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// The file cannot be opened or read.
    #[error("the file {} cannot be read: {}", path.display(), kind)]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The last part of the path is a symbolic link.
    #[error("{} is a symbolic link, which somebody else may point elsewhere; name the file itself", .0.display())]
    IsLink(PathBuf),
    /// A directory, device, pipe or socket.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// The file belongs to somebody who is neither root nor the user locum runs as.
    #[error(
        "the file {} belongs to the user {owner}; run the command as that user (`sudo -u '#{owner}' locum …`), or `chown` the file to the user that runs locum",
        path.display()
    )]
    ForeignOwner {
        /// The file.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
    },
    /// Group or others have rights to the file.
    #[error("other users have rights to the file {path}; run `chmod 600 {path}`", path = .0.display())]
    TooOpen(PathBuf),
    /// More than a secret can be.
    #[error("{0} gives more than {limit} bytes, which is no secret", limit = secret_file::LIMIT)]
    TooLong(String),
    /// Nothing there.
    #[error("{0} gives nothing")]
    Empty(String),
    /// Not text where text is needed.
    #[error("{0} gives bytes that are not UTF-8 text")]
    NotText(String),
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    /// The variable's name would not be taken out of the process.
    #[error(
        "the variable's name must begin with LOCUM_: those, and only those, are removed from the process before anything else runs"
    )]
    ForeignVariable,
    /// systemd gave no credentials.
    #[error(
        "$CREDENTIALS_DIRECTORY is not set: credentials exist only under systemd, with LoadCredential= or LoadCredentialEncrypted= in the unit"
    )]
    NoCredentials,
    /// The name could leave the directory.
    #[error("a credential is named without slashes")]
    CredentialName,
    /// The program cannot be started.
    #[error("the program cannot be started: {0}")]
    NotStarted(std::io::ErrorKind),
    /// The program did not end in time.
    #[error("the program gave no answer within {} seconds", secret_command::LIMIT.as_secs())]
    TooSlow,
    /// The program failed.
    #[error("the program failed ({0})")]
    Failed(String),
    /// Not a root key.
    #[error(
        "{0} does not give a root key: exactly 32 raw bytes, or their hex (64 digits) or base64 (43 or 44 characters). Where no vault exists yet, `head -c 32 /dev/urandom | base64` makes one"
    )]
    NotAKey(String),
    /// A key that protects nothing.
    #[error(
        "{0} gives a root key of zeroes only, which protects nothing. Where no vault exists yet, `head -c 32 /dev/urandom | base64` makes one"
    )]
    ZeroKey(String),
    /// A pass-phrase that can be guessed.
    #[error("{0} gives a pass-phrase of fewer than 16 characters, which can be guessed")]
    ShortPassphrase(String),
}

/// Who else may have rights to a file that holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Openness {
    /// Nobody: the file of a root key or a pass-phrase.
    Private,
    /// Whoever the owner likes; the caller warns.
    Any,
}

impl SecretSource {
    /// Where the secret comes from, for people: `file /etc/locum/root.key`.
    pub fn place(&self) -> String {
        match self {
            Self::Value(_) => "the configuration".to_owned(),
            Self::File(path) => format!("file {}", path.display()),
            Self::Env(name) => format!("variable {name}"),
            Self::Command(argv) => format!("command {}", argv.first().map_or("", String::as_str)),
            Self::Credential(name) => format!("systemd credential {name}"),
        }
    }

    /// How the source's key ends.
    pub(super) const fn ending(&self) -> &'static str {
        match self {
            Self::Value(_) => "",
            Self::File(_) => "_file",
            Self::Env(_) => "_env",
            Self::Command(_) => "_command",
            Self::Credential(_) => "_credential",
        }
    }

    fn bytes(
        &self,
        environment: &Environment,
        openness: Openness,
    ) -> Result<Zeroizing<Vec<u8>>, SecretProblem> {
        match self {
            Self::Value(text) => Ok(Zeroizing::new(text.expose().as_bytes().to_vec())),
            Self::File(path) => secret_file::read(path, openness).map(|file| file.content),
            Self::Env(name) if !name.starts_with(PREFIX) => Err(SecretProblem::ForeignVariable),
            Self::Env(name) => environment
                .var(name)
                .map(|value| Zeroizing::new(value.as_bytes().to_vec()))
                .ok_or_else(|| SecretProblem::NoVariable(name.clone())),
            Self::Command(argv) => secret_command::run(argv, environment),
            Self::Credential(name) if name.is_empty() || name.contains('/') || name.starts_with('.') => {
                Err(SecretProblem::CredentialName)
            }
            Self::Credential(name) => {
                let directory =
                    environment.var("CREDENTIALS_DIRECTORY").ok_or(SecretProblem::NoCredentials)?;
                // systemd itself closes the directory to everybody else, but grants the service's user its
                // right by an access list, which shows as rights of the group.
                secret_file::read(&Path::new(directory).join(name), Openness::Any).map(|file| file.content)
            }
        }
    }

    /// The secret as text, without the white space around it.
    ///
    /// # Errors
    /// See [`SecretProblem`].
    pub(super) fn load(
        &self,
        environment: &Environment,
        openness: Openness,
    ) -> Result<SecretText, SecretProblem> {
        let bytes = self.bytes(environment, openness)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretProblem::NotText(self.place()))?.trim();
        if text.is_empty() {
            return Err(SecretProblem::Empty(self.place()));
        }
        Ok(SecretText::new(text))
    }
}

impl RootKeySource {
    /// The way the key or the pass-phrase is given.
    pub const fn source(&self) -> &SecretSource {
        match self {
            Self::Key(source) | Self::Passphrase(source) => source,
        }
    }

    /// The key of the configuration that names the source.
    pub fn key(&self) -> String {
        match self {
            Self::Key(source) => format!("vault.root_key{}", source.ending()),
            Self::Passphrase(source) => format!("vault.passphrase{}", source.ending()),
        }
    }

    /// Takes the root key from its source.
    ///
    /// # Errors
    /// [`ConfigError::RootKey`], which names the key, the place and the cure.
    pub fn load(&self, environment: &Environment) -> Result<RootSecret, ConfigError> {
        self.load_inner(environment).map_err(|problem| ConfigError::RootKey { key: self.key(), problem })
    }

    fn load_inner(&self, environment: &Environment) -> Result<RootSecret, SecretProblem> {
        match self {
            Self::Key(source) => {
                let bytes = source.bytes(environment, Openness::Private)?;
                if bytes.is_empty() {
                    return Err(SecretProblem::Empty(source.place()));
                }
                let key = key_of(&bytes).ok_or_else(|| SecretProblem::NotAKey(source.place()))?;
                if key.iter().all(|byte| *byte == 0) {
                    return Err(SecretProblem::ZeroKey(source.place()));
                }
                Ok(RootSecret::Key(SecretKey::new(*key)))
            }
            Self::Passphrase(source) => {
                let text = source.load(environment, Openness::Private)?;
                if text.expose().chars().count() < 16 {
                    return Err(SecretProblem::ShortPassphrase(source.place()));
                }
                Ok(RootSecret::Passphrase(text))
            }
        }
    }
}

/// Thirty-two bytes are the key itself; anything else must be the hex or base64 of thirty-two bytes.
fn key_of(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if let Ok(raw) = <[u8; 32]>::try_from(bytes) {
        return Some(Zeroizing::new(raw));
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let mut key = Zeroizing::new([0; 32]);
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    let unpadded = text.strip_suffix('=').filter(|text| text.len() == 43).unwrap_or(text);
    let decode = |engine: &base64::engine::GeneralPurpose| engine.decode(unpadded).ok().map(Zeroizing::new);
    let decoded = decode(&STANDARD_NO_PAD).or_else(|| decode(&URL_SAFE_NO_PAD))?;
    if decoded.len() != 32 {
        return None;
    }
    key.copy_from_slice(&decoded);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn nothing() -> Environment {
        Environment::given("/", Vec::<(String, String)>::new())
    }

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("root.key");
        std::fs::write(&path, content).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        (directory, path)
    }

    fn load(path: &Path) -> Result<RootSecret, SecretProblem> {
        RootKeySource::Key(SecretSource::File(path.to_owned())).load_inner(&nothing())
    }

    fn key(path: &Path) -> [u8; 32] {
        match load(path).expect("a key") {
            RootSecret::Key(key) => *key.expose(),
            RootSecret::Passphrase(_) => panic!("not a pass-phrase"),
        }
    }

    #[test]
    fn a_root_key_file_is_raw_hex_or_base64() {
        let raw: [u8; 32] = std::array::from_fn(|i| 0xF0 ^ u8::try_from(i).expect("small"));
        let hex = raw.iter().map(|b| format!("{b:02X}")).collect::<String>();
        let standard = base64::engine::general_purpose::STANDARD.encode(raw);
        let url_safe = URL_SAFE_NO_PAD.encode(raw);
        for content in
            [raw.to_vec(), hex.into_bytes(), format!("{standard}\n").into_bytes(), url_safe.into_bytes()]
        {
            for mode in [0o600, 0o400] {
                let (_keep, path) = file(&content, mode);
                assert_eq!(key(&path), raw);
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for content in [&b"short"[..], &[7; 33], &[b'a'; 63], "GOCSPX-EXAMPLE-locum-test-vector!!".as_bytes()]
        {
            let (_keep, path) = file(content, 0o600);
            assert!(matches!(load(&path), Err(SecretProblem::NotAKey(_))));
        }
        let (_keep, path) = file(&[0; 32], 0o600);
        assert!(matches!(load(&path), Err(SecretProblem::ZeroKey(_))));
        let (_keep, path) = file("0".repeat(64).as_bytes(), 0o600);
        assert!(matches!(load(&path), Err(SecretProblem::ZeroKey(_))));
        let (_keep, path) = file(b"", 0o600);
        assert!(matches!(load(&path), Err(SecretProblem::Empty(_))));
    }

    #[test]
    fn a_root_key_file_is_private_regular_and_no_link() {
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let (_keep, path) = file(&[7; 32], mode);
            assert_eq!(load(&path).err(), Some(SecretProblem::TooOpen(path.clone())));
        }
        let (keep, path) = file(&[7; 32], 0o600);
        let link = keep.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        assert_eq!(load(&link).err(), Some(SecretProblem::IsLink(link)));
        assert_eq!(load(keep.path()).err(), Some(SecretProblem::NotRegular(keep.path().to_owned())));
        let absent = keep.path().join("absent");
        assert_eq!(load(&absent).err(), Some(SecretProblem::NoFile(absent)));
    }

    #[test]
    fn a_root_key_file_of_another_user_is_refused() {
        // Only root can give a file away; the other direction, a file of root's, is allowed anyway.
        let (_keep, path) = file(&[7; 32], 0o600);
        let given_away = std::os::unix::fs::chown(&path, Some(65_534), None).is_ok();
        let expected = given_away.then(|| SecretProblem::ForeignOwner { path: path.clone(), owner: 65_534 });
        assert_eq!(load(&path).err(), expected);
    }

    #[test]
    fn a_credential_stays_in_its_directory() {
        let (keep, _) = file(&[7; 32], 0o440);
        let source = |name: &str| RootKeySource::Key(SecretSource::Credential(name.to_owned()));
        let under_systemd =
            Environment::given("/", [("CREDENTIALS_DIRECTORY", keep.path().to_str().expect("text"))]);
        assert!(source("root.key").load_inner(&under_systemd).is_ok());
        for name in ["../root.key", "/etc/passwd", "", ".."] {
            assert_eq!(source(name).load_inner(&under_systemd).err(), Some(SecretProblem::CredentialName));
        }
        assert_eq!(source("root.key").load_inner(&nothing()).err(), Some(SecretProblem::NoCredentials));
    }

    #[test]
    fn a_variable_is_ours_or_refused() {
        let environment =
            Environment::given("/", [("LOCUM_ROOT", "07".repeat(32)), ("ROOT", "07".repeat(32))]);
        let source = |name: &str| RootKeySource::Key(SecretSource::Env(name.to_owned()));
        assert!(source("LOCUM_ROOT").load_inner(&environment).is_ok());
        assert_eq!(source("ROOT").load_inner(&environment).err(), Some(SecretProblem::ForeignVariable));
        assert!(matches!(source("LOCUM_X").load_inner(&environment), Err(SecretProblem::NoVariable(_))));
    }

    #[test]
    fn a_passphrase_is_long() {
        let source = |text: &str| RootKeySource::Passphrase(SecretSource::Value(SecretText::new(text)));
        assert!(matches!(source("hunter2").load_inner(&nothing()), Err(SecretProblem::ShortPassphrase(_))));
        assert!(matches!(
            source("correct horse battery staple").load_inner(&nothing()),
            Ok(RootSecret::Passphrase(_))
        ));
    }
}
