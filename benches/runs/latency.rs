//! The latency of issuing at half of the peak rate: the open loop of the standard run alone.

use serde_json::Value;

use super::{Options, Results, number, workloads};
use crate::load::machine::pin;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    let closed = workloads::closed(options, |id, connections| {
        matches!(id, "W1" | "W2") && connections == 64
    })
    .await;
    let open = workloads::open(options, &closed).await;
    print(&open);
    results.put("workloads", closed.into());
    results.put("open", open.into());
    results.finish();
}

fn print(rows: &[Value]) {
    println!(
        "{:<44} {:>12} {:>9} {:>9} {:>9}",
        "open loop", "due a second", "p50, ms", "p99", "max"
    );
    for row in rows {
        let Value::Object(row) = row else { continue };
        println!(
            "{:<44} {:>12.0} {:>9.2} {:>9.2} {:>9.2}",
            row["what"].as_str().unwrap_or_default(),
            number(row, &["due_a_second"]),
            number(row, &["latency_ms", "p50"]),
            number(row, &["latency_ms", "p99"]),
            number(row, &["latency_ms", "max"]),
        );
    }
}
