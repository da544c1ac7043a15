//! The quick run: unstored and stored issue through 64 kept connections, as a multiple of the bare
//! key and signature. Short rounds, so that a disturbance affects one of them.

use serde_json::Value;

use super::comparison::{self, Comparison};
use super::{Options, Results};
use crate::load::machine::pin;

pub async fn run(options: &Options) {
    let slices = u32::try_from(options.rounds).unwrap_or(u32::MAX);
    let options = Options { length: options.length / slices, peer: None, ..options.clone() };
    let mut results = Results::start(&options);
    pin();
    let found = comparison::compare(&options).await;
    print(&found);
    results.put("rounds", options.rounds.into());
    found.put(&mut results);
    results.finish();
}

fn print(found: &Comparison) {
    let Comparison { rows, bare, against } = found;
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
    for row in against {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        println!(
            "processor time of this binary over the other one, {}: {:.3} (rounds {:.3}-{:.3})",
            row["name"].as_str().unwrap_or_default(),
            number(&row["ratio"]),
            number(&row["spread"][0]),
            number(&row["spread"][1]),
        );
    }
}
