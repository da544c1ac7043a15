//! The parameters of a request, unparsed until the request is authorized.

use bytes::Bytes;
use http::request;
use serde_json::{Map, Value};

use crate::backend::route::Operation;
use crate::engine::Failure;

use super::body::{BodyBudget, BodyError, BudgetPermit};
use super::budget::{Budget, MAX_NODES, MAX_NODES_WITHOUT_TOKEN};
use super::form::form;
use super::head::content_type;
use super::json;

/// The source of the parameters of a request.
enum Source {
    /// After the path, bounded by the size of the headers.
    Query(String),
    /// In a body that is a form.
    Form(Bytes),
    /// In a body that is JSON.
    Json(Bytes),
}

/// Unparsed parameters, and the permit that their body holds.
pub struct Unparsed {
    source: Source,
    held: BudgetPermit,
}

impl Unparsed {
    /// The parameters of this request. A body that looks like JSON is JSON whatever its type says: curl
    /// sends the type of forms with everything.
    pub fn of(
        parts: &request::Parts,
        operation: Operation,
        body: Bytes,
        held: BudgetPermit,
    ) -> Self {
        let source = match operation {
            Operation::Read | Operation::List | Operation::Delete => {
                Source::Query(parts.uri.query().unwrap_or_default().to_owned())
            }
            Operation::Update | Operation::Patch if is_form(parts, &body) => Source::Form(body),
            Operation::Update | Operation::Patch => Source::Json(body),
        };
        Self { source, held }
    }

    /// Parses what was sent without a token.
    ///
    /// # Errors
    /// Parameters that are not an object, or exceed a limit.
    pub fn without_token(self) -> Result<Map<String, Value>, Failure> {
        self.source.parsed(MAX_NODES_WITHOUT_TOKEN)
    }

    /// Parses what was sent with a valid token. The returned permit covers the
    /// memory of the parameters and must be held as long as they exist.
    ///
    /// # Errors
    /// Parameters that are not an object, or exceed a limit; [`Failure::Busy`] if the budget is used up.
    pub async fn parsed(
        self,
        budget: &BodyBudget,
    ) -> Result<(Map<String, Value>, BudgetPermit), Failure> {
        let memory = match &self.source {
            Source::Query(_) => BudgetPermit::default(),
            Source::Form(body) | Source::Json(body) => {
                budget.acquire_for_parsing(body).await.map_err(|_: BodyError| Failure::Busy)?
            }
        };
        let parameters = self.source.parsed(MAX_NODES)?;
        // The body has been dropped, so its permit is released.
        drop(self.held);
        Ok((parameters, memory))
    }
}

impl Source {
    fn parsed(self, most: usize) -> Result<Map<String, Value>, Failure> {
        match self {
            Self::Query(query) => {
                form(query.as_bytes(), &Budget::of(MAX_NODES)).map_err(|why| why.0)
            }
            Self::Form(body) => form(&body, &Budget::of(most)).map_err(|why| why.0),
            Self::Json(body) => {
                json::parameters_within(&body, &Budget::of(most)).map_err(|why| why.0)
            }
        }
        .map_err(Failure::refused)
    }
}

fn is_form(parts: &request::Parts, body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    content_type(parts) == "application/x-www-form-urlencoded"
        && !matches!(first, Some(b'{' | b'['))
}
