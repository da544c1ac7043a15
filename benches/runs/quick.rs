//! The quick run: unstored and stored issue through 64 kept connections, as a multiple of the bare
//! key and signature. Short slices in turn, so that a bad second of the machine spoils one of them.

use serde_json::Value;

use super::{Options, Results, comparison};
use crate::load::place::pin;

pub async fn run(options: &Options) {
    let slices = u32::try_from(options.rounds).unwrap_or(u32::MAX);
    let options = Options { length: options.length / slices, peer: None, ..options.clone() };
    let mut results = Results::start(&options);
    pin();
    let (rows, bare) = comparison::compare(&options).await;
    print(&rows, &bare);
    results.put("rounds", options.rounds.into());
    results.put("bare", bare);
    results.put("comparison", rows.into());
    results.finish();
}

fn print(rows: &[Value], bare: &Value) {
    println!(
        "{:<44} {:>8} {:>13} {:>9} {:>12} {:>9} {:>9}",
        "EC P-256 issue, 64 connections",
        "ratio",
        "of rounds",
        "quietest",
        "server, us",
        "bare, us",
        "a second"
    );
    for row in rows {
        let Value::Object(row) = row else { continue };
        let number = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or_default();
        let ratios = format!(
            "{:.2}-{:.2}",
            row["ratio_spread"][0].as_f64().unwrap_or_default(),
            row["ratio_spread"][1].as_f64().unwrap_or_default()
        );
        println!(
            "{:<44} {:>8.2} {:>13} {:>9.2} {:>12.1} {:>9.1} {:>9.0}",
            row["label"].as_str().unwrap_or_default(),
            number("ratio"),
            ratios,
            number("quietest"),
            number("processor_us"),
            bare["us"].as_f64().unwrap_or_default(),
            number("a_second"),
        );
    }
}
