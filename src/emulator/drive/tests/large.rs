//! Contents that do not stay in memory.

use md5::{Digest as _, Md5};

use super::*;

const PIECE: usize = 1 << 20;

/// The n-th piece of a content that nobody holds whole.
fn piece(n: usize) -> Vec<u8> {
    (0..PIECE / 8)
        .flat_map(|m| ((n * PIECE + m) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .collect()
}

#[actix_web::test]
async fn content_streams_through_in_both_directions() {
    let drive = start().await;
    let pieces = 48;
    let total = pieces * PIECE;
    let mut md5 = Md5::new();
    (0..pieces).for_each(|n| md5.update(piece(n)));
    let md5: Vec<String> = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();

    let address = drive.begin("large", Some(total)).await;
    let (client, mut sent) = (drive.outbound.client().expect("TLS roots"), 0);
    for chunk in 0..pieces / 8 {
        let body: Vec<u8> = (chunk * 8..chunk * 8 + 8).flat_map(piece).collect();
        let range = format!("bytes {sent}-{}/{total}", sent + body.len() - 1);
        sent += body.len();
        let answer = drive.send(client.put(address.clone()).header("Content-Range", range).body(body)).await;
        assert_eq!(answer.status, if sent == total { 200 } else { 308 });
    }
    let file = drive.app_data().file("large").expect("made");
    assert_eq!((file.size, file.md5), (total as u64, md5.concat()));

    let request = drive.request(Method::GET, &format!("{FILES}/{}?alt=media", file.id));
    let mut response = request.send().await.expect("a head");
    let mut got = Md5::new();
    while let Some(piece) = response.chunk().await.expect("a piece") {
        got.update(&piece);
    }
    let got: Vec<String> = got.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(got, md5);
    assert_eq!(drive.emulator.world.drive_counts().download_bytes, total as u64);
}
