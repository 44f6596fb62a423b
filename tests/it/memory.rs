//! How much memory the real server takes while a large file goes through it. Run by hand:
//! `cargo test --test it -- --ignored --nocapture a_large_file_goes_through_in_little_memory`, with
//! `LOCUM_TEST_MIB=1024` for a whole gigabyte.

#![cfg(target_os = "linux")]

use std::io::{Read, Write as _};
use std::net::TcpStream;

use crate::program::{Folder, Google, Program, exchange, words};

const ALICE: &str = "alice@example.org";
const MIB: usize = 1 << 20;
/// What a transfer may take beyond what the idle server has, in kB.
const LIMIT: u64 = 60 * 1024;

/// A line of `/proc/PID/status`, in kB.
fn kilobytes(server: &Program, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field of the kernel's");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// The most memory the server has while `work` is done, beyond what it has before.
fn peak(server: &Program, work: impl FnOnce()) -> (u64, u64) {
    // 5 sets the peak to what there is now.
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").expect("our own child");
    let idle = kilobytes(server, "VmRSS:");
    work();
    (idle, kilobytes(server, "VmHWM:").saturating_sub(idle))
}

fn open(server: &Program, key: &str, head: &str) -> TcpStream {
    let address = server.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "{head} HTTP/1.1\r\nhost: locum\r\nauthorization: Bearer {key}\r\nconnection: close\r\n",
        head = head.replace("{}", &format!("/v1/users/{ALICE}/app-data/large")),
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

fn read_to_end(mut stream: impl Read) -> (String, usize) {
    let (mut first, mut total, mut buffer) = (String::new(), 0, vec![0; 1 << 16]);
    loop {
        let count = stream.read(&mut buffer).expect("no reset");
        if count == 0 {
            return (first, total);
        }
        if total == 0 {
            first = String::from_utf8_lossy(&buffer[..count.min(200)]).into_owned();
        }
        total += count;
    }
}

#[actix_web::test]
#[ignore = "takes a minute and more; the figures are in docs/app-data.md"]
async fn a_large_file_goes_through_in_little_memory() {
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever runs this by hand")]
    let size = std::env::var("LOCUM_TEST_MIB");
    let mib: usize = size.map_or(256, |mib| mib.parse().expect("a number of MiB"));
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    let server = folder.serve();
    let answer = exchange(server.base(), &google.code(ALICE).await).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", words(&answer));
    let arguments =
        ["--json", "key", "create", "test", "--allow", "app-data:read,app-data:write", "--user", "all"];
    let key = folder.run(&arguments).json(0)["key"].as_str().expect("a key").to_owned();
    let small = |head: &str, rest: &str| {
        let mut stream = open(&server, &key, head);
        stream.write_all(rest.as_bytes()).expect("sent");
        read_to_end(stream)
    };
    // Whatever is made at the first use counts as idle.
    small("PUT {}", "content-length: 1\r\n\r\nx");
    small("GET {}", "\r\n");

    let piece: Vec<u8> = (0..MIB).map(|n| (n % 251) as u8).collect();
    let (idle, up) = peak(&server, || {
        let mut stream = open(&server, &key, "PUT {}");
        write!(stream, "content-length: {}\r\n\r\n", mib * MIB).expect("sent");
        for _ in 0..mib {
            stream.write_all(&piece).expect("taken");
        }
        let (answer, _) = read_to_end(stream);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    println!("{mib} MiB written: {} MiB above {} MiB", up / 1024, idle / 1024);
    let (idle, down) = peak(&server, || {
        let mut stream = open(&server, &key, "GET {}");
        stream.write_all(b"\r\n").expect("sent");
        let (answer, total) = read_to_end(stream);
        assert!(answer.starts_with("HTTP/1.1 200") && total > mib * MIB, "{total} {answer}");
    });
    println!("{mib} MiB read: {} MiB above {} MiB", down / 1024, idle / 1024);
    assert!(up < LIMIT && down < LIMIT, "{up} kB up, {down} kB down");
}
