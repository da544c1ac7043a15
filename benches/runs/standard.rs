//! The standard run: side by side, every workload, both loops and the count of syncs.

use super::{Options, Results, comparison, say, workloads};
use crate::load::machine::pin;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    say("== Side by side");
    let found = comparison::compare(options).await;
    results.put("rounds", options.rounds.into());
    found.put(&mut results);
    say("== Workloads, closed loop");
    let closed = workloads::closed(options, |_, _| true).await;
    results.put("bursts", workloads::bursts().await);
    say("== Workloads, open loop");
    results.put("open", workloads::open(options, &closed).await.into());
    results.put("workloads", closed.into());
    say("== Syncs");
    results.put("syncs", workloads::count_syncs(options).await);
    results.finish();
}
