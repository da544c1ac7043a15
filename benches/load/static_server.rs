//! A server that gives one static answer: the cost of HTTP on our listener, without any work.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use signet::http::body::{BodyBudget, BodyPolicy, read_body};
use signet::http::limits::Limits;
use signet::http::listener::{Listener, Signals};
use signet::http::sending::HttpResponse;
use signet::server::control_channels;

/// The length of the answer to an issue of an EC key.
const BYTES: usize = 2_500;

static ANSWER: LazyLock<Bytes> =
    LazyLock::new(|| format!("{{\"data\":\"{}\"}}", "x".repeat(BYTES - 11)).into());

/// Serves until the process is killed, and prints its address as `signet server` does.
pub fn serve() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (controls, signals) = control_channels();
        let any = ([127, 0, 0, 1], 0).into();
        let listener = Listener::bind(any, None, Limits::default()).await.expect("an address");
        println!("address: http://{}", listener.address());
        run(listener, signals).await;
        drop(controls);
    });
}

async fn run(listener: Listener, signals: Signals) {
    let limits = Limits::default();
    let budget = BodyBudget::new(limits.body_size);
    let handler = move |request: Request<Incoming>, _info| {
        let budget = budget.clone();
        async move {
            let (size, within) = (limits.body_size, limits.request);
            let body =
                read_body(request.into_body(), size, within, &budget, BodyPolicy::Full).await;
            let body = if body.is_ok() { ANSWER.clone() } else { Bytes::new() };
            let mut answer: HttpResponse = Response::new(body.into());
            let json = HeaderValue::from_static("application/json");
            answer.headers_mut().insert(header::CONTENT_TYPE, json);
            answer
        }
    };
    let _ = listener.serve(handler, signals).await;
}
