//! The real binary, in folders and processes of its own.
//!
//! Nothing here waits by sleeping: a program that goes on running prints one line when it is ready, and
//! the reader of its standard output waits for that line.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use locum::outbound::{Answer, Limits, Outbound};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a configuration, a root key and later a vault.
pub struct Folder {
    dir: TempDir,
}

/// What an emulator said about itself.
pub struct Google {
    pub program: Program,
    pub base: String,
    pub facts: Value,
    /// Where it puts contents that are too large for its memory.
    _folder: TempDir,
}

impl Google {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program =
            Program::start(bare(folder.path()).args(["--json", "emulator", "--listen", "127.0.0.1:0"]));
        let facts = program.facts.clone();
        let base = text(&facts["base_url"]).trim_end_matches('/').to_owned();
        Self { program, base, facts, _folder: folder }
    }

    /// A code as an app's SDK would get it for `person`.
    pub async fn code(&self, person: &str) -> String {
        self.code_of(&serde_json::json!({ "person": person })).await
    }

    /// A code of a person who goes through the consent page again, so that Google gives a new refresh
    /// token with it.
    pub async fn code_after_consent(&self, person: &str) -> String {
        self.code_of(&serde_json::json!({ "person": person, "force_consent": true })).await
    }

    async fn code_of(&self, order: &Value) -> String {
        let answer = post_json(&format!("{}/emulator/codes", self.base), order).await;
        assert_eq!(answer.status, 200, "{}", words(&answer));
        text(&json(&answer)["code"]).to_owned()
    }
}

impl Folder {
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    /// A configuration for the emulator's client; `extra` are whole sections.
    pub fn configured(google: &Google, extra: &str) -> Self {
        Self::configured_for(&google.facts, extra)
    }

    /// As [`Folder::configured`], for an emulator that says these facts about itself.
    pub fn configured_for(facts: &Value, extra: &str) -> Self {
        let folder = Self::empty();
        folder.write_private("root.key", &"5a".repeat(32));
        folder.write_private(
            "locum.toml",
            &format!(
                "allow_users = \"anyone\"\n\n[google]\ndiscovery_url = {}\ndrive_url = {}\n\n[vault]\npath = \"vault/locum.db\"\n\
                 root_key_file = \"root.key\"\n\n[[clients]]\nname = \"main\"\nclient_id = {}\nclient_secret = {}\n\
                 sources = [\"ios\"]\n\n[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n\n[limits]\nenabled = false\n{extra}",
                facts["discovery_url"], facts["drive_url"], facts["client_id"], facts["client_secret"],
            ),
        );
        folder
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write_private(&self, name: &str, content: &str) {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.file(name))
            .expect("written");
        file.write_all(content.as_bytes()).expect("written");
    }

    /// The binary with this folder as its whole world.
    pub fn locum(&self, arguments: &[&str]) -> Command {
        let mut command = bare(self.path());
        command.args(arguments);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended(self.locum(arguments).stdin(Stdio::null()).output().expect("it runs"))
    }

    /// Starts a server and waits until it is ready.
    pub fn serve(&self) -> Program {
        Program::start(&mut self.locum(&["--json", "serve"]))
    }
}

fn bare(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("locum"));
    command.env_clear().env("PATH", PATH).env("HOME", folder).env("TMPDIR", folder).current_dir(folder);
    command
}

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How a program ended, with what it said.
#[derive(Debug)]
pub struct Ended(pub Output);

impl Ended {
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).expect("text")
    }

    pub fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).expect("text")
    }

    /// The JSON on standard output of a program that must have ended with `code`.
    pub fn json(&self, code: i32) -> Value {
        assert_eq!(self.code(), Some(code), "{self:?}");
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "stdout: {}\nstderr: {}", self.stdout(), self.stderr());
        self
    }
}

/// A program that goes on running. Killed when dropped.
pub struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line it printed when it was ready.
    pub facts: Value,
}

impl Program {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        if line.is_empty() {
            let mut stderr = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut stderr);
            panic!("it ended before it was ready: {stderr}");
        }
        let facts = serde_json::from_str(&line).unwrap_or(Value::String(line));
        Self { child, stdout, facts }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn base(&self) -> &str {
        text(&self.facts["listen"])
    }

    /// The rest of what it prints until `end`, for programs that print text.
    pub fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).expect("text") > 0, "no {end:?} in {text}");
            text.push_str(&line);
        }
        text
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).expect("not zero"), signal)
            .expect("it runs");
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, waits for that, and returns what it said on standard error.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    pub fn wait(&mut self) -> (ExitStatus, String) {
        let mut stderr = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
        (self.child.wait().expect("it ends"), stderr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("not JSON: {}", words(answer)))
}

pub fn words(answer: &Answer) -> String {
    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
}

fn outbound() -> Outbound {
    Outbound::new(Limits::default())
}

pub async fn post_json(url: &str, body: &Value) -> Answer {
    let (outbound, body) = (outbound(), body.to_string());
    let request = outbound.client().expect("a client").post(url);
    let request = request.header("content-type", "application/json").body(body);
    outbound.send(request).await.expect("an answer")
}

/// Posts a code as an app does.
pub async fn exchange(base: &str, code: &str) -> Result<Answer, locum::outbound::OutboundError> {
    let outbound = outbound();
    let body = serde_json::json!({ "code": code }).to_string();
    let request = outbound.client().expect("a client").post(format!("{base}/v1/exchange"));
    let request = request.header("x-requested-with", "test").header("content-type", "application/json");
    outbound.send(request.body(body)).await
}

/// Asks with an API key.
pub async fn get(base: &str, path: &str, key: &str) -> Answer {
    let outbound = outbound();
    let request = outbound.client().expect("a client").get(format!("{base}{path}"));
    outbound.send(request.bearer_auth(key)).await.expect("an answer")
}
