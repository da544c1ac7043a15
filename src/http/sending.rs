//! The bodies of answers: nearly all are whole; one that may be too long for memory is generated while it is
//! sent.

use std::fmt::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::engine::Failure;
use crate::engine::pki::certificates::Serials;

/// What hyper sends.
pub type HttpResponse = Response<ResponseBody>;

/// The body of an answer.
#[derive(Debug)]
pub enum ResponseBody {
    /// The whole body.
    Whole(Bytes),
    /// Chunks, each generated while the previous one is sent.
    Chunks(mpsc::Receiver<Result<Bytes, BodyAborted>>),
    /// A stream of a route outside the API.
    Stream(axum::body::Body),
}

/// The rest of a body could not be generated: the connection is cut, so that the client does not mistake the
/// part for the whole.
#[derive(Debug)]
pub struct BodyAborted;

impl ResponseBody {
    /// JSON strings between `before` and `after`: the keys of the first page, then those of all further pages.
    pub fn keys(before: String, first: Vec<String>, rest: Serials, after: String) -> Self {
        let (sender, chunks) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(why) = send_keys(&sender, before, first, rest, after).await {
                tracing::error!(%why, "a list could not be read to its end");
                let _ = sender.send(Err(BodyAborted)).await;
            }
        });
        Self::Chunks(chunks)
    }

    /// The body, if it is whole.
    pub(super) const fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(body) => Some(body),
            Self::Chunks(_) | Self::Stream(_) => None,
        }
    }
}

async fn send_keys(
    sender: &mpsc::Sender<Result<Bytes, BodyAborted>>,
    mut chunk: String,
    first: Vec<String>,
    mut rest: Serials,
    after: String,
) -> Result<(), Failure> {
    let (mut page, mut comma) = (first, "");
    loop {
        let is_last = page.len() < Serials::PAGE;
        for key in page {
            let _ = write!(chunk, "{comma}\"{key}\"");
            comma = ",";
        }
        if is_last {
            chunk.push_str(&after);
        }
        // Sending fails when the client has disconnected.
        if sender.send(Ok(Bytes::from(chunk))).await.is_err() || is_last {
            return Ok(());
        }
        chunk = String::new();
        page = rest.page().await?;
    }
}

impl From<Bytes> for ResponseBody {
    fn from(body: Bytes) -> Self {
        Self::Whole(body)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                let body = std::mem::take(body);
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Self::Chunks(chunks) => {
                chunks.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
            Self::Stream(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|_| BodyAborted))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_empty(),
            Self::Chunks(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Self::Chunks(_) => SizeHint::default(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Display for BodyAborted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the rest of the body could not be generated")
    }
}

impl std::error::Error for BodyAborted {}
