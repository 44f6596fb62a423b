//! Content that somebody else brings piece by piece, with an end that has to be said.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::google::drive::{Content, ContentBroke};

/// How many pieces may wait to be taken.
const WAITING: usize = 4;

/// The bringing end. Dropped without [`Feed::finish`], it has broken off, and nothing is stored: a caller who
/// hangs up never leaves half a file.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<Option<Bytes>>);

/// Nobody takes the content any more; what became of it is told where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content is no longer wanted")]
pub struct Unwanted;

/// A content of this length, if it is known, and the end to bring it by.
pub fn feed(length: Option<u64>) -> (Feed, Content) {
    let (send, receive) = mpsc::channel(WAITING);
    let stream = futures_util::stream::unfold(Some(receive), |receive| async {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Some(bytes)) => Some((Ok(bytes), Some(receive))),
            Some(None) => None,
            None => Some((Err(ContentBroke), None)),
        }
    });
    (Feed(send), Content::stream(length, stream))
}

impl Feed {
    /// Brings a piece; waits while enough of them are waiting.
    ///
    /// # Errors
    /// [`Unwanted`].
    pub async fn send(&self, bytes: Bytes) -> Result<(), Unwanted> {
        self.0.send(Some(bytes)).await.map_err(|_| Unwanted)
    }

    /// That was all.
    ///
    /// # Errors
    /// [`Unwanted`].
    pub async fn finish(self) -> Result<(), Unwanted> {
        self.0.send(None).await.map_err(|_| Unwanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_must_be_said() {
        let (feed, content) = super::feed(None);
        feed.send("ab".into()).await.expect("wanted");
        feed.finish().await.expect("wanted");
        assert_eq!(content.gathered(100).await.expect("whole").length(), Some(2));

        let (feed, content) = super::feed(Some(2));
        feed.send("ab".into()).await.expect("wanted");
        drop(feed);
        assert!(content.gathered(100).await.is_err(), "all bytes are here and yet it broke off");

        let (feed, content) = super::feed(None);
        drop(content);
        assert_eq!(feed.send("ab".into()).await, Err(Unwanted));
    }
}
