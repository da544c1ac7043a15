//! `sys/internal/specs/openapi`: every route of every mount as one OpenAPI document.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use crate::backend::call::Call;
use crate::backend::field::{Field, FieldKind};
use crate::backend::kind::Surface;
use crate::backend::pattern::{Captured, captured};
use crate::backend::registry::{SYSTEM_PATH, TOKEN_PATH, kind};
use crate::backend::response::Response;
use crate::backend::route::{BodyKind, Operation, RouteInfo};
use crate::engine::{Engine, Failure};

use super::VERSION;

/// The document (OpenAPI Specification 3.0.2).
#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Info,
    paths: BTreeMap<String, PathItem>,
    components: Components,
}

#[derive(Serialize)]
struct Info {
    title: &'static str,
    description: &'static str,
    version: &'static str,
    license: License,
}

#[derive(Serialize)]
struct License {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Components {
    security_schemes: BTreeMap<&'static str, SecurityScheme>,
}

#[derive(Serialize)]
struct SecurityScheme {
    r#type: &'static str,
    r#in: &'static str,
    name: &'static str,
}

/// The operations of one path, by method.
#[derive(Default, Serialize)]
struct PathItem {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<OpenApiParameter>,
    #[serde(flatten)]
    operations: BTreeMap<&'static str, OperationItem>,
}

#[derive(Serialize)]
struct OpenApiParameter {
    name: &'static str,
    r#in: &'static str,
    required: bool,
    description: &'static str,
    schema: Schema,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationItem {
    summary: String,
    operation_id: String,
    tags: [&'static str; 1],
    security: Vec<BTreeMap<&'static str, [&'static str; 0]>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<OpenApiParameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<OpenApiBody>,
    responses: BTreeMap<&'static str, Described>,
}

#[derive(Serialize)]
struct OpenApiBody {
    required: bool,
    content: BTreeMap<&'static str, Media>,
}

#[derive(Serialize)]
struct Media {
    schema: Schema,
}

#[derive(Serialize)]
struct Described {
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<BTreeMap<&'static str, Media>>,
}

impl Described {
    const fn new(description: &'static str) -> Self {
        Self { description, content: None }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    choices: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Box<Self>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<BTreeMap<&'static str, Self>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_properties: Option<Box<Self>>,
}

pub(super) async fn document(engine: Arc<Engine>, _call: Call) -> Result<Response, Failure> {
    let mut paths = BTreeMap::new();
    let mounts = engine.mounts();
    let stored = mounts.iter().map(|mount| {
        let record = &mount.entry.record;
        (record.path.as_str(), record.kind.as_str())
    });
    for (mount, name) in [(SYSTEM_PATH, "system"), (TOKEN_PATH, "token")].into_iter().chain(stored)
    {
        if let Some(surface) = kind(name) {
            describe(surface, mount, &mut paths);
        }
    }
    let token = SecurityScheme { r#type: "apiKey", r#in: "header", name: "X-Vault-Token" };
    Ok(Response::plain(
        StatusCode::OK,
        Document {
            openapi: "3.0.2",
            info: Info {
                title: "Signet",
                description: "A workload-identity certificate authority. All API routes begin with `/v1/`.",
                version: VERSION,
                license: License { name: "Apache-2.0" },
            },
            paths,
            components: Components { security_schemes: BTreeMap::from([(TOKEN, token)]) },
        },
    ))
}

const TOKEN: &str = "token";

/// Adds the routes of one mount.
fn describe(surface: &'static dyn Surface, mount: &str, paths: &mut BTreeMap<String, PathItem>) {
    for info in surface.routes() {
        let path = format!("/{mount}{}", info.path());
        let item = paths.entry(path.clone()).or_default();
        if item.parameters.is_empty() {
            item.parameters = captured(info.pattern).map(path_parameter).collect();
        }
        // OpenAPI has no method LIST: it is a GET with a parameter. Where a path can be read too, the
        // parameter chooses, and reading describes it.
        let method = match info.operation {
            Operation::Read | Operation::List => "get",
            Operation::Update => "post",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
        };
        let mut described = operation(surface.kind(), &path, info);
        if let Some(other) = item.operations.remove(method) {
            described.summary = format!("{} {}", other.summary, described.summary);
            described.parameters.extend(other.parameters);
            for parameter in &mut described.parameters {
                parameter.required = false;
            }
        }
        item.operations.insert(method, described);
    }
}

fn path_parameter(Captured { name, regex }: Captured) -> OpenApiParameter {
    OpenApiParameter {
        name,
        r#in: "path",
        required: true,
        description: "Part of the path.",
        schema: Schema {
            r#type: "string",
            pattern: Some(format!("^{regex}$")),
            ..Schema::default()
        },
    }
}

fn operation(kind: &'static str, path: &str, info: &RouteInfo) -> OperationItem {
    let mut parameters: Vec<_> = match info.operation.changes_state() {
        true => Vec::new(),
        false => info.fields().map(query_parameter).collect(),
    };
    if info.operation == Operation::List {
        parameters.push(OpenApiParameter {
            name: "list",
            r#in: "query",
            required: true,
            description: "Lists instead of reading.",
            schema: Schema { r#type: "string", choices: Some(["true"]), ..Schema::default() },
        });
    }
    let words = path.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let needs_token = !info.needs_no_token();
    OperationItem {
        summary: info.help.to_owned(),
        operation_id: format!("{}-{words}", info.operation.method().to_ascii_lowercase()),
        tags: [kind],
        security: if needs_token { vec![BTreeMap::from([(TOKEN, [])])] } else { Vec::new() },
        parameters,
        request_body: body(info),
        responses: responses(info),
    }
}

/// Errors are described once for all: every route answers with some of them.
fn responses(info: &RouteInfo) -> BTreeMap<&'static str, Described> {
    let ok = Described { description: "OK", content: info.file.map(bytes_of) };
    let mut responses = BTreeMap::from([
        ("200", ok),
        ("204", Described::new("OK, and nothing to tell")),
        ("400", Described::new("The request is refused, with the reason")),
        ("404", Described::new("There is nothing of that name")),
        ("405", Described::new("The path does not have this operation")),
        ("413", Described::new("The body is too long")),
        ("415", Described::new("The body has another media type than the path takes")),
        ("503", Described::new("The store is sealed, or the server has too much to do")),
        ("default", Described::new("A state that the client asked for by a parameter")),
    ]);
    if info.file.is_some() {
        let description = "The client has the file already (If-None-Match, If-Modified-Since)";
        responses.insert("304", Described::new(description));
    }
    if !info.needs_no_token() {
        let description = "The token is missing, unknown or not allowed to do this";
        responses.insert("403", Described::new(description));
    }
    responses
}

/// Bytes of this media type.
fn bytes_of(media: &'static str) -> BTreeMap<&'static str, Media> {
    let schema = Schema { r#type: "string", format: Some("binary"), ..Schema::default() };
    BTreeMap::from([(media, Media { schema })])
}

fn query_parameter(field: &'static Field) -> OpenApiParameter {
    OpenApiParameter {
        name: field.name,
        r#in: "query",
        required: false,
        description: field.help,
        schema: schema(field),
    }
}

fn body(info: &RouteInfo) -> Option<OpenApiBody> {
    if !matches!(info.operation, Operation::Update | Operation::Patch) {
        return None;
    }
    let content = match info.body {
        BodyKind::Raw { media, .. } => bytes_of(media),
        BodyKind::Json => {
            let media = match info.operation {
                Operation::Patch => "application/merge-patch+json",
                _ => "application/json",
            };
            let properties = info.fields().map(|field| (field.name, schema(field))).collect();
            let properties = Some(properties);
            let schema = Schema { r#type: "object", properties, ..Schema::default() };
            BTreeMap::from([(media, Media { schema })])
        }
    };
    Some(OpenApiBody { required: false, content })
}

fn schema(field: &Field) -> Schema {
    let text = || Box::new(Schema { r#type: "string", ..Schema::default() });
    let schema = match field.kind {
        FieldKind::String => {
            let format = field.sensitive.then_some("password");
            Schema { r#type: "string", format, ..Schema::default() }
        }
        FieldKind::Bool => Schema { r#type: "boolean", ..Schema::default() },
        FieldKind::Integer => Schema { r#type: "integer", ..Schema::default() },
        FieldKind::Seconds => {
            Schema { r#type: "string", format: Some("duration"), ..Schema::default() }
        }
        FieldKind::List | FieldKind::ListOrJson => {
            Schema { r#type: "array", items: Some(text()), ..Schema::default() }
        }
        FieldKind::KeyValues => {
            let additional_properties = Some(text());
            Schema { r#type: "object", additional_properties, ..Schema::default() }
        }
        FieldKind::Object => Schema { r#type: "object", ..Schema::default() },
    };
    Schema { description: Some(field.help), ..schema }
}
