//! `auth/token/`: the caller's own token.

use crate::engine::Failure;
use crate::engine::token::Tokens;
use crate::wire::token::TokenAnswer;
use std::sync::Arc;

use super::call::Call;
use super::kind::Backend;
use super::response::Response;
use super::table::{Route, handler};

impl Backend for Tokens {
    const TYPE: &'static str = "token";

    const HELP: &'static str = "Tokens that authenticate callers.";

    const ROUTES: &'static [Route<Self>] = &[
        Route::read("lookup-self", handler!(lookup_self)).help("Reads the caller's own token."),
        Route::update("renew-self", handler!(renew_self)).help("Renews the caller's own token."),
    ];
}

async fn lookup_self(_tokens: Arc<Tokens>, call: Call) -> Result<Response, Failure> {
    let (Some(token), Some(presented)) = (call.grant.token(), call.grant.presented()) else {
        return Err(Failure::Internal("a route that needs a token was run without one".to_owned()));
    };
    Ok(Response::data(TokenAnswer {
        accessor: token.accessor.clone(),
        creation_time: token.created,
        creation_ttl: 0,
        display_name: token.display_name.clone(),
        entity_id: String::new(),
        expire_time: None,
        explicit_max_ttl: 0,
        id: presented.expose().clone(),
        meta: None,
        num_uses: 0,
        orphan: true,
        path: token.path.clone(),
        policies: token.policies.clone(),
        renewable: false,
        ttl: 0,
        kind: "service".to_owned(),
    }))
}

/// A root token does not expire, so there is no lease to renew.
async fn renew_self(_tokens: Arc<Tokens>, _call: Call) -> Result<Response, Failure> {
    Err(Failure::refused("lease is not renewable"))
}
