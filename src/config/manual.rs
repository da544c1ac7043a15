//! Every key of the configuration: the table that the reader follows and `docs/config.md` is generated from.

/// The form of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueForm {
    /// Any text.
    Text,
    /// `true` or `false`; also 1, 0 and these words in quotes.
    Bool,
    /// `"90s"`, `"1h30m"`, `"30d"`, or a number of seconds. Not zero.
    Duration,
    /// A whole number above zero.
    Count,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl ValueForm {
    /// The form in words, for the manual and for errors.
    pub(super) fn words(self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Duration => "a duration above zero such as \"90s\" or \"1h30m\"".to_owned(),
            Self::Count => "a whole number above zero".to_owned(),
            Self::OneOf(words) => format!("one of \"{}\"", words.join("\", \"")),
        }
    }
}

/// One key of a section.
#[derive(Debug)]
pub(super) struct ConfigKey {
    pub(super) name: &'static str,
    pub(super) form: ValueForm,
    /// As written in a file; empty without a default.
    pub(super) default: &'static str,
    /// `X` where the environment's `SIGNET_X`, or else `VAULT_X`, takes precedence over the files.
    pub(super) variable: Option<&'static str>,
    pub(super) text: &'static str,
}

/// A block, or the top of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// The word before the brace; empty for the top of the file.
    pub(super) name: &'static str,
    /// The name in quotes.
    pub(super) label: &'static str,
    pub(super) text: &'static str,
    pub(super) keys: &'static [ConfigKey],
}

const fn key(
    name: &'static str,
    form: ValueForm,
    default: &'static str,
    text: &'static str,
) -> ConfigKey {
    ConfigKey { name, form, default, variable: None, text }
}

/// Every section, in the order of the manual; the first is the top of the file.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        label: "",
        text: "Keys outside any block.",
        keys: &[
            ConfigKey {
                name: "api_addr",
                form: ValueForm::Text,
                default: "",
                variable: Some("API_ADDR"),
                text: "The URL (`https://…`) by which clients reach this server: `leader_address` of `sys/leader`.",
            },
            key(
                "cluster_name",
                ValueForm::Text,
                "",
                "A name for this installation, shown by `sys/health` and `sys/seal-status`. The default is the name that the store got when it was initialised.",
            ),
            key(
                "default_lease_ttl",
                ValueForm::Duration,
                "768h",
                "The lifetime of a lease whose request names none.",
            ),
            key(
                "max_lease_ttl",
                ValueForm::Duration,
                "768h",
                "The longest lease; not below `default_lease_ttl`.",
            ),
            ConfigKey {
                name: "log_level",
                form: ValueForm::OneOf(&["trace", "debug", "info", "warn", "error"]),
                default: "info",
                variable: Some("LOG_LEVEL"),
                text: "The least important lines that are logged.",
            },
            ConfigKey {
                name: "log_format",
                form: ValueForm::OneOf(&["standard", "json"]),
                default: "standard",
                variable: Some("LOG_FORMAT"),
                text: "How lines are written to the standard error stream.",
            },
            key(
                "pid_file",
                ValueForm::Text,
                "",
                "A file that holds the process's number while it runs. A file that holds anything else is not overwritten.",
            ),
            key(
                "disable_mlock",
                ValueForm::Bool,
                "",
                "Accepted for Vault's files where it is true; false is refused, since memory is not locked.",
            ),
            key("ui", ValueForm::Bool, "", "Accepted for Vault's files; has no effect."),
        ],
    },
    Section {
        name: "listener",
        label: "tcp",
        text: "An address to serve on. At least one block is required; each further block adds an address.\n\n\
               A self-signed certificate for trials, and its content; clients trust it with `SIGNET_CACERT=tls.crt`:\n\n    \
               openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -keyout tls.key -out tls.crt -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1\n    \
               openssl x509 -in tls.crt -noout -subject -dates -ext subjectAltName",
        keys: &[
            key(
                "address",
                ValueForm::Text,
                "127.0.0.1:8200",
                "IP address and port. `:8200` means every IPv4 address; `localhost` means 127.0.0.1; port 0 means any free port; without a port it is 8200.",
            ),
            key(
                "purpose",
                ValueForm::OneOf(&["api", "public"]),
                "api",
                "`public` serves certificates, chains and revocation lists in their raw forms and answers 404 to everything else, with or without a token; see docs/security.md. It needs no TLS: without `tls_cert_file` and `tls_key_file` it serves plain HTTP.",
            ),
            key(
                "tls_cert_file",
                ValueForm::Text,
                "",
                "The certificate in PEM, followed by its intermediates. Read again on SIGHUP and when it changes.",
            ),
            key("tls_key_file", ValueForm::Text, "", "Its private key in PEM, not encrypted."),
            key(
                "tls_disable",
                ValueForm::Bool,
                "false",
                "Serve without TLS. Tokens and keys then cross the network in clear.",
            ),
            key(
                "tls_min_version",
                ValueForm::OneOf(&["tls12", "tls13"]),
                "tls12",
                "The oldest TLS version that is accepted.",
            ),
            key(
                "max_request_size",
                ValueForm::Count,
                "33554432",
                "Bytes of a request's body. Bodies above 16 KiB need a valid token, and all of them together may use four times this much memory.",
            ),
            key(
                "max_request_header_size",
                ValueForm::Count,
                "32768",
                "Bytes of a request's headers; below 8192 counts as 8192.",
            ),
            key(
                "max_request_duration",
                ValueForm::Duration,
                "90s",
                "The time a request may take, its body included.",
            ),
            key(
                "max_connections",
                ValueForm::Count,
                "8192",
                "Connections at the same time; further ones wait.",
            ),
            key(
                "http_read_header_timeout",
                ValueForm::Duration,
                "10s",
                "The time for a request's headers.",
            ),
            key(
                "http_idle_timeout",
                ValueForm::Duration,
                "5m",
                "How long an idle connection stays open.",
            ),
            key(
                "tls_handshake_timeout",
                ValueForm::Duration,
                "10s",
                "The time for the TLS handshake.",
            ),
            key(
                "shutdown_timeout",
                ValueForm::Duration,
                "30s",
                "How long requests in flight may continue after SIGTERM.",
            ),
        ],
    },
    Section {
        name: "storage",
        label: "rocksdb",
        text: "The embedded store on this machine's disk.",
        keys: &[key("path", ValueForm::Text, "", "The folder of the database. Required.")],
    },
    Section {
        name: "storage",
        label: "inmem",
        text: "Everything in memory, lost when the process ends. For trials.",
        keys: &[],
    },
    Section {
        name: "seal",
        label: "static",
        text: "The key under which the store's keys are sealed: 32 bytes. `env://NAME` or `file:///path` names the variable or the file that holds them in base64, in hexadecimal or, in a file, as raw bytes; they may also be written here, in base64 or hexadecimal. To change it, put the new key in `current_*` and the old one in `previous_*`, and start the server. When the log says that the store is now sealed under the new key, remove `previous_*`; from then on the old key alone does not open the store. May be left out with `storage \"inmem\"`.",
        keys: &[
            key("current_key", ValueForm::Text, "", "The key that seals the store. Required."),
            key(
                "current_key_id",
                ValueForm::Text,
                "",
                "A name for the key, stored with what it seals. Required.",
            ),
            key("previous_key", ValueForm::Text, "", "A key that may still unseal the store."),
            key("previous_key_id", ValueForm::Text, "", "Its name; required with `previous_key`."),
        ],
    },
];

/// The columns of a line of the manual.
const WIDTH: usize = 120;

/// The page with its paragraphs in lines of at most [`WIDTH`] columns. Tables, headings and commands stay.
fn wrapped(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        if ["|", "#", "<", " "].iter().any(|start| line.starts_with(start)) || line.is_empty() {
            lines.push(line.to_owned());
            continue;
        }
        let mut current = String::new();
        for word in line.split(' ') {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut current));
            }
            let space = if current.is_empty() { "" } else { " " };
            current.push_str(&format!("{space}{word}"));
        }
        lines.push(current);
    }
    lines.join("\n") + "\n"
}

/// The text of `docs/config.md`.
pub fn manual() -> String {
    let mut page = String::from(
        "# Configuration of `signet server`\n\n\
         <!-- Made from the table in src/config/manual.rs; a test compares. -->\n\n\
         The files are HCL as Vault's, or JSON. `-config` names a file, or a folder whose `*.hcl` and \
         `*.json` files are read in the order of their names; it may be given several times. All listener \
         blocks of all files are used; for any other key the last file wins. A key that is not on this page is an \
         error.\n\n\
         `signet config check FILE` prints every fault with its position. It checks the files that the \
         configuration names with the code of the server's start: run it as the server's user. A setting that works \
         and is dangerous is a warning there and in the log: a key that users other than its owner may read, a \
         certificate that has expired, has no subjectAltName or is not valid for servers, a relative path.\n",
    );
    for section in SECTIONS {
        let title = match section.name {
            "" => "Top of the file".to_owned(),
            name => format!("`{name} \"{}\"`", section.label),
        };
        page.push_str(&format!("\n## {title}\n\n{}\n", section.text));
        if section.keys.is_empty() {
            continue;
        }
        page.push_str("\n| key | is | default | what it does |\n|---|---|---|---|\n");
        for key in section.keys {
            let default = match key.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let variable = key.variable.map_or_else(String::new, |name| {
                format!(
                    " The environment's `SIGNET_{name}`, or else `VAULT_{name}`, takes precedence."
                )
            });
            let (name, form, text) = (key.name, key.form.words(), key.text);
            page.push_str(&format!("| `{name}` | {form} | {default} | {text}{variable} |\n"));
        }
    }
    wrapped(&page)
}
