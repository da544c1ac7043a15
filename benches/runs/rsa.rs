//! The cost of RSA: keys, keys in bursts from the pool, and signatures.

use super::{Options, Results, workloads};
use crate::load::machine::pin;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    results.put("workloads", workloads::closed(options, |id, _| id == "W9").await.into());
    results.put("bursts", workloads::bursts().await);
    results.finish();
}
