//! The outermost HTTP layer: one axum router for each purpose of a listener.
//!
//! Routes outside `/v1/` have fixed paths and belong here. Below `/v1/` the request pipeline (`v1.rs`)
//! does its own routing: mounts are data, LIST is a method, and paths are decoded before they are split.

use std::convert::Infallible;
use std::error::Error;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::engine::Failure;

use super::connection::ConnectionInfo;
use super::limits::Limits;
use super::reply::{ErrorFormat, failure};
use super::sending::{HttpResponse, ResponseBody};
use super::v1::Api;

/// What a listener serves.
#[derive(Clone, Debug)]
pub struct App {
    router: TowerToHyperService<Router>,
    /// Answers below `/v1/` without the router.
    direct: Option<ApiService>,
}

/// The API with the limits of a listener.
#[derive(Clone, Debug)]
struct ApiService {
    api: Api,
    limits: Limits,
}

impl App {
    /// The whole API, within the limits of a listener.
    pub fn new(api: Api, limits: Limits) -> Self {
        let service = ApiService { api, limits };
        let router = Router::new().fallback(call_api).with_state(service.clone());
        Self { router: TowerToHyperService::new(router), direct: Some(service) }
    }

    /// Public files alone, under the same paths: certificates, chains and revocation lists in their raw
    /// forms, to GET and HEAD.
    pub fn public(api: Api, limits: Limits) -> Self {
        let service = ApiService { api: api.public_files(), limits };
        let router = Router::new()
            .route("/v1/{*path}", any(call_api))
            .fallback(call_api)
            .with_state(service);
        Self { router: TowerToHyperService::new(router), direct: None }
    }

    /// Answers one request.
    pub async fn serve<B>(&self, request: Request<B>, connection: ConnectionInfo) -> HttpResponse
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match &self.direct {
            // Requests of the API are frequent, and the router boxes their bodies and answers.
            Some(service) if request.uri().path().starts_with("/v1/") => {
                service.api.serve(request, &service.limits, Some(&connection)).await
            }
            _ => Box::pin(self.call_router(request.map(Body::new), connection)).await,
        }
    }

    async fn call_router(
        &self,
        mut request: Request<Body>,
        connection: ConnectionInfo,
    ) -> HttpResponse {
        request.extensions_mut().insert(connection);
        let Ok::<_, Infallible>(response) = self.router.call(request).await;
        into_http_response(response).await
    }
}

/// The API as a handler. It answers 404 outside `/v1/`, with an identifier of the request, and reads a short
/// body so that the connection can be used again.
async fn call_api(State(service): State<ApiService>, request: Request<Body>) -> Response<Body> {
    let connection = request.extensions().get::<ConnectionInfo>().cloned();
    service.api.serve(request, &service.limits, connection.as_ref()).await.map(Body::new)
}

/// The answer of the router as connections send it. A body of a known length is in memory: it stays whole
/// and is not copied, so that a revocation list that many readers share is counted once (`outgoing.rs`).
async fn into_http_response(response: Response<Body>) -> HttpResponse {
    let (mut parts, body) = response.into_parts();
    let body = match body.size_hint().exact() {
        None => ResponseBody::Stream(body),
        Some(_) => match body.collect().await {
            Ok(collected) => ResponseBody::Whole(collected.to_bytes()),
            Err(_) => return failure(&Failure::Internal(String::new()), ErrorFormat::Public),
        },
    };
    // axum writes the length of the body that is left. After HEAD, and with 304, that is not the length of
    // the representation, and must not be sent (RFC 9110, 8.6). Where it is, hyper writes it.
    let zero = HeaderValue::from_static("0");
    if parts.headers.get(header::CONTENT_LENGTH) == Some(&zero) {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_whole_body_comes_out_of_the_router_as_the_same_bytes() {
        let body = Bytes::from(vec![7; 100_000]);
        let response = Response::new(Body::new(Full::new(body.clone())));
        let sending = into_http_response(response).await.into_body();
        let ResponseBody::Whole(out) = sending else { panic!("{sending:?}") };
        assert_eq!((out.as_ptr(), out.len()), (body.as_ptr(), body.len()));
    }

    #[tokio::test]
    async fn a_streamed_body_is_not_collected() {
        let (sender, chunks) = tokio::sync::mpsc::channel(2);
        for chunk in ["a", "b"] {
            sender.send(Ok(Bytes::from(chunk))).await.unwrap();
        }
        drop(sender);
        let response = Response::new(Body::new(ResponseBody::Chunks(chunks)));
        let sending = into_http_response(response).await.into_body();
        assert!(matches!(sending, ResponseBody::Stream(_)), "{sending:?}");
        assert_eq!(sending.collect().await.unwrap().to_bytes(), "ab");
    }
}
