//! The bodies of answers: whole in nearly all of them, and made while it is sent where it may be
//! longer than anybody should hold in memory.

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
    /// It is all there.
    Whole(Bytes),
    /// It comes in pieces, each when the one before is on its way.
    Pieces(mpsc::Receiver<Result<Bytes, BodyAborted>>),
    /// A route of the router outside the API makes it while it is sent.
    Stream(axum::body::Body),
}

/// The rest of a body could not be made: the connection is cut, so that nobody takes what came for
/// all there is.
#[derive(Debug)]
pub struct BodyAborted;

impl ResponseBody {
    /// JSON strings between `before` and `after`: those of the first page, and of all that follow.
    pub fn keys(before: String, first: Vec<String>, rest: Serials, after: String) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(why) = send(&sender, before, first, rest, after).await {
                tracing::error!(%why, "a list could not be read to its end");
                let _ = sender.send(Err(BodyAborted)).await;
            }
        });
        Self::Pieces(pieces)
    }

    /// The body, where it is all there.
    pub(super) const fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(body) => Some(body),
            Self::Pieces(_) | Self::Stream(_) => None,
        }
    }
}

async fn send(
    sender: &mpsc::Sender<Result<Bytes, BodyAborted>>,
    mut piece: String,
    first: Vec<String>,
    mut rest: Serials,
    after: String,
) -> Result<(), Failure> {
    let (mut page, mut comma) = (first, "");
    loop {
        let is_last = page.len() < Serials::PAGE;
        for key in page {
            let _ = write!(piece, "{comma}\"{key}\"");
            comma = ",";
        }
        if is_last {
            piece.push_str(&after);
        }
        // Nobody receives any more when the client is gone.
        if sender.send(Ok(Bytes::from(piece))).await.is_err() || is_last {
            return Ok(());
        }
        piece = String::new();
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
            Self::Pieces(pieces) => {
                pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Stream(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|_| BodyAborted))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_empty(),
            Self::Pieces(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.len() as u64),
            Self::Pieces(_) => SizeHint::default(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Display for BodyAborted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the rest of the body could not be made")
    }
}

impl std::error::Error for BodyAborted {}
