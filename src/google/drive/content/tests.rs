//! Contents read piece by piece, gathered, read again, and broken.

use std::io::Write as _;

use super::*;

fn sum_of(bytes: &[u8]) -> Sum {
    Sum { size: bytes.len() as u64, md5: Md5::digest(bytes).into() }
}

fn flat(window: &Window) -> Vec<u8> {
    window.parts().concat()
}

fn pieces(length: Option<u64>, pieces: &[&'static str]) -> Content {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
    Content::stream(length, futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn a_stream_is_read_piece_by_piece() {
    let mut window = Window::new(pieces(None, &["abc", "", "defgh", "ij", ""]));
    window.fill(4).await.expect("readable");
    assert_eq!((flat(&window), window.is_last(), window.total()), (b"abcd".to_vec(), false, None));
    window.acknowledge(3).expect("forwards");
    window.fill(4).await.expect("readable");
    assert_eq!((flat(&window), window.start()), (b"defg".to_vec(), 3));
    assert_eq!(window.acknowledge(2), Err(SourceFault::Spent));
    window.acknowledge(7).expect("forwards");
    window.fill(3).await.expect("readable");
    assert_eq!((flat(&window), window.is_last()), (b"hij".to_vec(), true));
    assert_eq!(window.sum(), Some(sum_of(b"abcdefghij")));
}

#[tokio::test]
async fn a_stream_must_be_as_long_as_announced() {
    for (length, fault) in [(4, SourceFault::Longer), (6, SourceFault::Shorter)] {
        let mut window = Window::new(pieces(Some(length), &["abc", "de"]));
        assert_eq!(window.fill(100).await, Err(fault));
    }
    let broken = futures_util::stream::iter([Ok(Bytes::from("abc")), Err(ContentBroke)]);
    assert_eq!(Window::new(Content::stream(None, broken)).fill(100).await, Err(SourceFault::Unreadable));
}

#[tokio::test]
async fn too_much_is_seen_before_it_is_held() {
    for (length, most, outcome) in [
        (None, 5, Ok(())),
        (None, 4, Err(SourceFault::TooLong)),
        (Some(5), 5, Ok(())),
        (Some(5), 4, Err(SourceFault::TooLong)),
    ] {
        let content = pieces(length, &["abc", "de"]).at_most(most);
        assert_eq!(Window::new(content).fill(100).await, outcome, "{length:?} {most}");
    }
}

#[tokio::test]
async fn what_was_gathered_comes_first() {
    for most in [1, 4, 5, 100] {
        let content = pieces(None, &["abc", "de"]).gathered(most).await.expect("unbroken");
        assert_eq!(content.length(), (most > 5).then_some(5), "{most}");
        let mut window = Window::new(content);
        window.fill(100).await.expect("readable");
        assert_eq!(window.sum(), Some(sum_of(b"abcde")));
    }
    let broken = futures_util::stream::iter([Ok(Bytes::from("abc")), Err(ContentBroke)]);
    assert!(Content::stream(None, broken).gathered(100).await.is_err());
}

#[tokio::test]
async fn a_file_is_read_again_and_summed_once() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("written");
    let mut window = Window::new(Content::file(file.try_clone().expect("a handle"), 1000));
    window.fill(600).await.expect("readable");
    window.acknowledge(550).expect("forwards");
    window.fill(600).await.expect("readable");
    assert!(window.is_last() && window.sum() == Some(sum_of(&bytes)));
    window.acknowledge(0).expect("a file can be read again");
    assert!(!window.is_last());
    window.fill(300).await.expect("readable");
    assert_eq!((flat(&window), window.end()), (bytes[..300].to_vec(), 300));
    assert_eq!(window.drain(256).await, Ok(sum_of(&bytes)));
    for (size, fault) in [(999, SourceFault::Longer), (1001, SourceFault::Shorter)] {
        let mut window = Window::new(Content::file(file.try_clone().expect("a handle"), size));
        assert_eq!(window.fill(5000).await, Err(fault));
    }
}

#[tokio::test]
async fn nothing_is_a_content_too() {
    for content in [Content::bytes(""), Content::file(tempfile::tempfile().expect("a file"), 0)] {
        let mut window = Window::new(content);
        window.fill(10).await.expect("readable");
        assert_eq!(window.sum(), Some(sum_of(b"")));
    }
}

#[tokio::test]
async fn what_has_arrived_is_told_once() {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"abcdefghij").expect("written");
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = told.clone();
    let content = Content::file(file, 10).watched(move |bytes| ear.lock().expect("not poisoned").push(bytes));
    let mut window = Window::new(content);
    window.fill(8).await.expect("readable");
    window.acknowledge(8).expect("forwards");
    // Drive has lost something, and has it again and one byte more a little later.
    window.acknowledge(2).expect("a file");
    window.fill(8).await.expect("readable");
    for place in [8, 9] {
        window.acknowledge(place).expect("forwards");
    }
    assert_eq!(*told.lock().expect("not poisoned"), [8, 1]);
}
