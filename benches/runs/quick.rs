//! The quick run: unstored and stored issue through 64 kept connections, as a multiple of the bare
//! key and signature.

use serde_json::{Map, Value};

use super::{Options, Results, number, rounded, row, say};
use crate::load::bare;
use crate::load::closed;
use crate::load::connect::Caller;
use crate::load::place::pin;
use crate::load::server::Running;
use crate::load::work::Work;

const CONNECTIONS: usize = 64;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    let mut rows = Vec::new();
    for (name, work) in [
        ("not stored", Work::Issue("pki/issue/unstored")),
        ("stored, synced", Work::Issue("pki/issue/stored")),
    ] {
        say(name);
        rows.push(Value::Object(measure(options, name, &work).await));
    }
    print(&rows);
    results.put("connections", CONNECTIONS.into());
    results.put("rows", rows.into());
    results.finish();
}

async fn measure(options: &Options, name: &str, work: &Work) -> Map<String, Value> {
    let before = bare::cryptography(options.length / 4);
    let server = Running::signet("").await;
    let callers = Caller::several(&server.target(), CONNECTIONS).await;
    let times = (options.length / 5, options.length);
    let measured = closed::measure(callers, work, server.process, times).await;
    let after = bare::cryptography(options.length / 4);
    let bare = (before + after).as_secs_f64() / 2.0 * 1e6;
    let mut row = row(&measured, &server.roots);
    let ratio = number(&row, &["used", "processor_us"]) / bare;
    row.insert("name".to_owned(), name.into());
    row.insert("bare_us".to_owned(), rounded(bare).into());
    row.insert("ratio".to_owned(), rounded(ratio).into());
    row
}

fn print(rows: &[Value]) {
    println!(
        "{:<16} {:>8} {:>12} {:>10} {:>10} {:>9} {:>9}",
        "EC P-256 issue", "ratio", "server, us", "bare, us", "a second", "p50, ms", "p99, ms"
    );
    for row in rows {
        let Value::Object(row) = row else { continue };
        println!(
            "{:<16} {:>8.2} {:>12.1} {:>10.1} {:>10.0} {:>9.1} {:>9.1}",
            row["name"].as_str().unwrap_or_default(),
            number(row, &["ratio"]),
            number(row, &["used", "processor_us"]),
            number(row, &["bare_us"]),
            number(row, &["a_second"]),
            number(row, &["latency_ms", "p50"]),
            number(row, &["latency_ms", "p99"]),
        );
    }
}
