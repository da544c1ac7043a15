//! `signet login`: checks a token and keeps it for later commands.

use clap::{ArgMatches, Command};
use serde_json::{Map, Value};

use super::arguments::{flag, is_on, positional, switch, text, words};
use super::connection::with_connection;
use super::failure::CommandFailure;
use super::remedy::Remedy;
use super::render::{Display, OutputFormat, warn, with_display};
use super::{CommandResult, Context, paragraph, prompt};
use crate::client::Client;
use crate::secret::Secret;
use crate::wire::answer::{Answer, Auth};

pub(super) fn command() -> Command {
    with_display(with_connection(
        Command::new("login")
            .about("Check a token and keep it for later commands")
            .override_usage("signet login [flags] [TOKEN | -]")
            .arg(positional("TOKEN"))
            .arg(flag("method", "NAME", "Auth method; only token exists"))
            .arg(flag(
                "path",
                "PATH",
                "Path of the auth method; only token exists",
            ))
            .arg(switch("no-print", "Do not print the token"))
            .arg(switch("no-store", "Do not keep the token"))
            .arg(switch("token-only", "Print the token only; neither check nor keep it"))
            .after_help(
                "The token is kept in ~/.vault-token, readable by its owner only. Without an argument the\n\
                 command asks for the token at the terminal.\n\n\
                 Examples:\n  \
                 signet login - < token.txt\n  \
                 signet login -no-print root",
            ),
    ))
}

pub(super) async fn run(context: &mut Context<'_>, matches: &ArgMatches) -> CommandResult {
    let mut display = Display::cooked(context, matches)?;
    let only = is_on(matches, "token-only");
    if only {
        display.field = Some("token".to_owned());
    }
    let store = !is_on(matches, "no-store") && !only;
    let print = !is_on(matches, "no-print");
    if !store && !print {
        return Err(CommandFailure::local("-no-store and -no-print cannot be used together"));
    }
    let token = given_token(context, matches)?;
    if only {
        context.output.value(token.expose())?;
        return Ok(0);
    }
    warn_of_environment(context, store);
    let client = context.client_with(matches, Some(token))?;
    let (auth, warnings) = look_up(&client).await?;
    if store {
        context.store_token(&Secret::new(auth.client_token.clone()))?;
    }
    if !print {
        return Ok(0);
    }
    show(context, &display, store, auth, warnings)
}

fn given_token(
    context: &mut Context<'_>,
    matches: &ArgMatches,
) -> Result<Secret<String>, CommandFailure> {
    match text(matches, "method") {
        None | Some("token") => {}
        Some(other) => {
            let text = format!(
                "Unknown auth method: {other}. Use \"signet login\" with a token; other methods of a server are used with \"signet write auth/…\"."
            );
            return Err(CommandFailure::local(paragraph::wrap(&text, 0)));
        }
    }
    if let Some(path) = text(matches, "path").filter(|path| path.trim_matches('/') != "token") {
        return Err(CommandFailure::local(format!(
            "-path={path} is not a path of the token method, which is at auth/token only: leave the flag out"
        )));
    }
    let words = words(matches, 0, 1)?;
    match words.first().map(|word| word.strip_prefix("token=").unwrap_or(word)) {
        Some("-") => {
            let mut text = String::new();
            context.input.read_to_string(&mut text).map_err(|error| {
                CommandFailure::local(format!("Error parsing token from stdin: {error}"))
            })?;
            Ok(Secret::new(text.trim().to_owned()))
        }
        Some(token) => Ok(Secret::new(token.trim().to_owned())),
        None => ask(context),
    }
}

/// Asks at the terminal.
fn ask(context: &mut Context<'_>) -> Result<Secret<String>, CommandFailure> {
    let no_terminal = "Error authenticating: there is no terminal to ask for a token. To pass it through a pipe, give \"-\" as the argument.";
    let token = prompt::ask(context, "Token", no_terminal)?;
    Ok(Secret::new(token.trim().to_owned()))
}

fn warn_of_environment(context: &mut Context<'_>, store: bool) {
    let Some(name) = context.token_variable().filter(|_| store) else { return };
    let text = format!(
        "WARNING! The {name} environment variable is set! The value of this variable will take precedence; if this is unwanted please unset {name} or update its value accordingly."
    );
    context.output.note(&format!("{}\n", paragraph::wrap(&text, 0)));
}

/// What the server knows about the client's token, in the form of a login's answer.
async fn look_up(client: &Client) -> Result<(Auth, Vec<String>), CommandFailure> {
    let answer = client
        .read("auth/token/lookup-self", &[])
        .await
        .map_err(|error| {
            let failure =
                CommandFailure::request("Error authenticating: error looking up token", &error);
            match failure.remedy {
                Remedy::Token(_) => failure.with_remedy("the server does not accept this token. Check the token, and the server's address with -address or SIGNET_ADDR."),
                _ => failure,
            }
        })?
        .ok_or_else(|| CommandFailure::server("Error authenticating: empty response from lookup-self"))?;
    let data = answer.data.unwrap_or_default();
    Ok((from_lookup(&data), answer.warnings.unwrap_or_default()))
}

fn from_lookup(data: &Map<String, Value>) -> Auth {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |name: &str| -> Option<Vec<String>> {
        let values = data.get(name)?.as_array()?;
        Some(values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect())
    };
    let own = list("policies");
    let identity = list("identity_policies").filter(|policies| !policies.is_empty());
    let policies = own.iter().chain(&identity).flatten().cloned().collect();
    Auth {
        client_token: text("id"),
        accessor: text("accessor"),
        policies: Some(policies),
        token_policies: own,
        identity_policies: identity,
        metadata: data.get("meta").and_then(Value::as_object).cloned(),
        lease_duration: data.get("ttl").and_then(Value::as_i64).unwrap_or_default(),
        renewable: data.get("renewable").and_then(Value::as_bool).unwrap_or_default(),
        ..Auth::default()
    }
}

fn show(
    context: &mut Context<'_>,
    display: &Display,
    store: bool,
    auth: Auth,
    warnings: Vec<String>,
) -> CommandResult {
    let table = display.format == OutputFormat::Table;
    if table && !store {
        let text = "The token was not stored in token helper. Set the SIGNET_TOKEN environment variable or pass the token below with each request to Signet.";
        context.output.note(&format!("{}\n", paragraph::wrap(text, 0)));
    }
    if table && display.field.is_none() {
        let text = if store {
            "Success! You are now authenticated. The token information displayed below is already stored in the token helper. You do NOT need to run \"signet login\" again. Future Signet requests will automatically use this token."
        } else {
            "Success! You are now authenticated. The token information is displayed below."
        };
        context.output.line(&format!("{}\n", paragraph::wrap(text, 0)))?;
    }
    let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
    let answer = Answer { auth: Some(auth), warnings: None, ..Answer::default() };
    let code = display.answer(context, &Answer { warnings: warnings.clone(), ..answer })?;
    if display.field.is_some() {
        warn(context, warnings.as_deref().unwrap_or_default());
    }
    Ok(code)
}
