//! Prints answers in the requested form: table, JSON, YAML, or one field.

use clap::{ArgMatches, Command};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::arguments::{flag, text};
use super::failure::CommandFailure;
use super::{CommandResult, Context, duration, paragraph, table};
use crate::wire::answer::{Answer, Auth, WrapInfo};

/// `-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputFormat {
    Table,
    Json,
    Yaml,
    /// The body as received; only for reading.
    Raw,
}

/// How a command prints an answer.
#[derive(Clone, Debug)]
pub(super) struct Display {
    pub(super) format: OutputFormat,
    pub(super) field: Option<String>,
}

/// `-format` and `-field`.
pub(super) fn with_display(command: Command) -> Command {
    with_format(command).arg(
        flag("field", "NAME", "Print this field only; into a pipe without a line end")
            .help_heading("Output"),
    )
}

/// `-format` alone.
pub(super) fn with_format(command: Command) -> Command {
    command.arg(
        flag("format", "FORMAT", "table, json or yaml (SIGNET_FORMAT); for read also raw")
            .help_heading("Output"),
    )
}

impl Display {
    /// From the flags, then the environment.
    pub(super) fn from(
        context: &Context<'_>,
        matches: &ArgMatches,
    ) -> Result<Self, CommandFailure> {
        let named = text(matches, "format").map(str::to_owned);
        let named = named.or_else(|| context.variable("FORMAT")).unwrap_or_default();
        let format = match named.to_ascii_lowercase().as_str() {
            "" | "table" => OutputFormat::Table,
            "json" => OutputFormat::Json,
            "yaml" | "yml" => OutputFormat::Yaml,
            "raw" => OutputFormat::Raw,
            _ => {
                return Err(CommandFailure::local(format!("Invalid output format: {named}"))
                    .with_remedy("write -format=table, json or yaml; for read also raw."));
            }
        };
        let field = matches.try_get_one::<String>("field").ok().flatten().cloned();
        Ok(Self { format, field })
    }

    /// The same for a command without a raw form.
    pub(super) fn cooked(
        context: &Context<'_>,
        matches: &ArgMatches,
    ) -> Result<Self, CommandFailure> {
        let display = Self::from(context, matches)?;
        if display.format == OutputFormat::Raw {
            return Err(CommandFailure::local(
                "This command does not support the -format=raw option.",
            )
            .with_remedy("write -format=table, json or yaml."));
        }
        Ok(display)
    }

    /// Prints the answer; its warnings too.
    pub(super) fn answer(&self, context: &mut Context<'_>, answer: &Answer) -> CommandResult {
        if let Some(name) = &self.field {
            let value = field(answer, name);
            return self.value(context, name, value);
        }
        match self.format {
            OutputFormat::Table | OutputFormat::Raw => {
                let text = tabulated(answer);
                if !text.is_empty() {
                    context.output.line(&text)?;
                }
                warn(context, answer.warnings.as_deref().unwrap_or_default());
                Ok(0)
            }
            OutputFormat::Json | OutputFormat::Yaml => self.whole(context, answer),
        }
    }

    /// Prints a value that is not an answer: a list, a map, a status.
    pub(super) fn whole(&self, context: &mut Context<'_>, value: &impl Serialize) -> CommandResult {
        let text = self.formatted(value)?;
        if self.format == OutputFormat::Yaml {
            context.output.bytes(text.as_bytes())?;
        } else {
            context.output.line(&text)?;
        }
        Ok(0)
    }

    /// Prints one value; fails if the answer has no value of that name.
    pub(super) fn value(
        &self,
        context: &mut Context<'_>,
        name: &str,
        value: Option<Value>,
    ) -> CommandResult {
        let value = value.filter(|value| !value.is_null()).ok_or_else(|| {
            CommandFailure::local(format!("Field {name:?} not present in secret"))
                .with_remedy("leave out -field to see all fields.")
        })?;
        let text = match self.format {
            OutputFormat::Table | OutputFormat::Raw => table::go(&value),
            OutputFormat::Json | OutputFormat::Yaml => self.formatted(&value)?,
        };
        context.output.value(&text)?;
        Ok(0)
    }

    fn formatted(&self, value: &impl Serialize) -> Result<String, CommandFailure> {
        let odd = |error: &dyn std::fmt::Display| {
            CommandFailure::local(format!("cannot print the answer: {error}"))
        };
        if self.format == OutputFormat::Yaml {
            let value = serde_json::to_value(value).map_err(|error| odd(&error))?;
            return serde_norway::to_string(&sorted_value(value)).map_err(|error| odd(&error));
        }
        let text = serde_json::to_string_pretty(value).map_err(|error| odd(&error))?;
        // Go escapes these characters for HTML; in JSON they occur only within strings.
        Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
    }
}

/// The answer with its data sorted by the names of the members, at every depth.
pub(super) fn sorted(mut answer: Answer) -> Answer {
    answer.data = answer.data.map(|data| match sorted_value(Value::Object(data)) {
        Value::Object(data) => data,
        _ => Map::new(),
    });
    answer
}

fn sorted_value(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(
                members.into_iter().map(|(name, value)| (name, sorted_value(value))).collect(),
            )
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted_value).collect()),
        other => other,
    }
}

/// Warnings go to standard error, so that a pipe receives only the answer.
pub(super) fn warn(context: &mut Context<'_>, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    context.output.note("WARNING! The following warnings were returned from Signet:\n");
    for warning in warnings {
        let text = paragraph::wrap(&format!("* {warning}"), 2);
        context.output.note(&format!("{text}\n"));
    }
}

fn tabulated(answer: &Answer) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(wrap) = &answer.wrap_info {
        rows.extend(wrapped(wrap));
    } else if let Some(auth) = &answer.auth {
        return with_metadata(auth);
    } else {
        if !answer.lease_id.is_empty() {
            rows.push(("lease_id", answer.lease_id.clone()));
            rows.push(("lease_duration", duration::short(answer.lease_duration)));
            rows.push(("lease_renewable", answer.renewable.to_string()));
        } else if answer.lease_duration > 0 {
            rows.push(("refresh_interval", duration::short(answer.lease_duration)));
        }
        let Some(data) = &answer.data else { return String::new() };
        let members = table::sorted(data).into_iter();
        rows.extend(members.map(|(name, value)| (name.as_str(), table::named(name, value))));
    }
    table::pairs(&rows)
}

fn wrapped(wrap: &WrapInfo) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("wrapping_token:", wrap.token.clone()),
        ("wrapping_accessor:", wrap.accessor.clone()),
        ("wrapping_token_ttl:", duration::short(wrap.ttl)),
        ("wrapping_token_creation_time:", wrap.creation_time.clone()),
        ("wrapping_token_creation_path:", wrap.creation_path.clone()),
    ];
    if !wrap.wrapped_accessor.is_empty() {
        rows.push(("wrapped_accessor:", wrap.wrapped_accessor.clone()));
    }
    rows
}

fn with_metadata(auth: &Auth) -> String {
    let list = |texts: &Option<Vec<String>>| table::quoted(texts.as_deref().unwrap_or_default());
    // Vault's symbol for a token that does not expire.
    let life = match auth.lease_duration {
        0 => "∞".to_owned(),
        seconds => duration::short(seconds),
    };
    let mut rows = vec![
        ("token", auth.client_token.clone()),
        ("token_accessor", auth.accessor.clone()),
        ("token_duration", life),
        ("token_renewable", auth.renewable.to_string()),
        ("token_policies", list(&auth.token_policies)),
        ("identity_policies", list(&auth.identity_policies)),
        ("policies", list(&auth.policies)),
    ];
    let metadata: Vec<(String, String)> = auth
        .metadata
        .iter()
        .flat_map(|metadata| table::sorted(metadata))
        .map(|(name, value)| (format!("token_meta_{name}"), table::go(value)))
        .collect();
    rows.extend(metadata.iter().map(|(name, value)| (name.as_str(), value.clone())));
    table::pairs(&rows)
}

/// The value that `-field` names: of the token, of the wrapping, of the data.
fn field(answer: &Answer, name: &str) -> Option<Value> {
    if let Some(auth) = &answer.auth {
        return match name {
            "token" => Some(json!(auth.client_token)),
            "token_accessor" => Some(json!(auth.accessor)),
            "token_duration" => Some(json!(auth.lease_duration)),
            "token_renewable" => Some(json!(auth.renewable)),
            "token_policies" => Some(json!(auth.token_policies)),
            "identity_policies" => Some(json!(auth.identity_policies)),
            "policies" => Some(json!(auth.policies)),
            other => {
                let metadata = auth.metadata.as_ref()?;
                metadata.get(other.strip_prefix("token_meta_")?).cloned()
            }
        };
    }
    if let Some(wrap) = &answer.wrap_info {
        return match name {
            "wrapping_token" => Some(json!(wrap.token)),
            "wrapping_accessor" => Some(json!(wrap.accessor)),
            "wrapping_token_ttl" => Some(json!(wrap.ttl)),
            "wrapping_token_creation_time" => Some(json!(wrap.creation_time)),
            "wrapping_token_creation_path" => Some(json!(wrap.creation_path)),
            "wrapped_accessor" => Some(json!(wrap.wrapped_accessor)),
            _ => None,
        };
    }
    let data = answer.data.as_ref();
    match name {
        "refresh_interval" => Some(json!(answer.lease_duration)),
        "data" => data.map(|data| Value::Object(data.clone())),
        other => data?.get(other).cloned(),
    }
}
