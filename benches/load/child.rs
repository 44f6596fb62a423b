//! Servers under load run in processes of their own, so that their CPU time and memory can be told
//! from the load generator's.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server process; ended when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What the process said after its address.
    pub facts: Vec<String>,
}

impl Server {
    /// Starts this very program in another role and waits until it says where it listens: one line
    /// `ready ADDRESS FACT…`.
    pub fn start(role: &str, arguments: &[String]) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--role")
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let mut words = line.split(' ').map(str::to_owned);
            if words.next().as_deref() == Some("ready") {
                let address =
                    words.next().and_then(|a| a.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
                return Ok(Self { child, address, facts: words.collect() });
            }
        }
        Err(std::io::Error::other(format!("the {role} process ended before it was ready")))
    }

    /// CPU time used so far, user and system; zero where /proc is not there to tell.
    pub fn cpu(&self) -> Duration {
        // proc(5): fields 14 and 15, in ticks of 10 ms, counted after the parenthesised name.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let ticks: u64 = stat
            .rsplit_once(')')
            .map(|(_, rest)| {
                rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum()
            })
            .unwrap_or(0);
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory in MiB; zero where /proc is not there to tell.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0);
        kib / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
