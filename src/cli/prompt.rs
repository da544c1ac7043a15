//! Asks for a secret at the terminal, with the echo off while the answer is typed.

use std::io::IsTerminal;
use std::process::Command as Process;

use zeroize::Zeroizing;

use super::Context;
use super::failure::CommandFailure;

/// Asks for `what` and reads one line. Without a terminal it fails with `no_terminal`.
pub(super) fn ask(
    context: &mut Context<'_>,
    what: &str,
    no_terminal: &str,
) -> Result<Zeroizing<String>, CommandFailure> {
    if !std::io::stdin().is_terminal() {
        return Err(CommandFailure::server(no_terminal));
    }
    let echo = |state: &str| Process::new("stty").arg(state).status().is_ok_and(|s| s.success());
    let hidden = echo("-echo");
    let hint = if hidden { "will be hidden" } else { "WILL BE SHOWN" };
    context.output.ask(&format!("{what} ({hint}): "));
    // One byte at a time, so that input after the line stays for the next reader.
    let (mut line, mut byte) = (Vec::new(), [0]);
    while matches!(context.input.read(&mut byte), Ok(1)) && byte != *b"\n" {
        line.extend(byte);
    }
    if hidden {
        echo("echo");
        context.output.note("");
    }
    let text = String::from_utf8(line)
        .map_err(|_| CommandFailure::local(format!("{what}: the input is not UTF-8")))?;
    Ok(Zeroizing::new(text))
}
