//! Reading a request's body, bounded in size and in time.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than the limit (413).
    TooLarge,
    /// It did not end in time (408).
    TimedOut,
    /// The connection broke, or its framing is wrong (400).
    Broken,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLarge => "http: request body too large",
            Self::TimedOut => "http: request body did not arrive in time",
            Self::Broken => "http: request body is broken",
        })
    }
}

impl std::error::Error for BodyError {}

/// Reads the whole body: at most `limit` octets, within `within`. A length that the client
/// announces above the limit is refused before any octet is read.
///
/// # Errors
/// See [`BodyError`]; what was read so far is dropped.
pub async fn read_body(body: Incoming, limit: usize, within: Duration) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = body.size_hint().lower();
    if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge);
    }
    tokio::time::timeout(within, gather(body, limit)).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn gather<B>(mut body: B, limit: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    // Most bodies are one frame, and that is handed on as it is.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        let so_far = first.len().saturating_add(rest.len());
        if so_far.saturating_add(data.len()) > limit {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len().saturating_add(rest.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use hyper::body::Frame;

    use super::*;

    /// A body of these frames.
    struct Frames(VecDeque<&'static [u8]>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = self.0.pop_front();
            std::task::Poll::Ready(next.map(|data| Ok(Frame::data(Bytes::from_static(data)))))
        }
    }

    async fn gathered(frames: &[&'static [u8]], limit: usize) -> Result<Bytes, BodyError> {
        gather(Frames(frames.iter().copied().collect()), limit).await
    }

    #[tokio::test]
    async fn frames_become_one_body() {
        assert_eq!(gathered(&[], 3).await.unwrap(), "");
        assert_eq!(gathered(&[b"abc"], 3).await.unwrap(), "abc");
        assert_eq!(gathered(&[b"a", b"", b"b", b"c"], 3).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn refuses_one_octet_too_many() {
        assert_eq!(gathered(&[b"abcd"], 3).await, Err(BodyError::TooLarge));
        assert_eq!(gathered(&[b"ab", b"cd"], 3).await, Err(BodyError::TooLarge));
        assert_eq!(gathered(&[b"a"], 0).await, Err(BodyError::TooLarge));
    }
}
