//! What RSA costs: keys, keys in bursts from the pool, and signatures. The part of the standard run that
//! waits for keys to be made.

use super::{Options, Results, workloads};
use crate::load::machine::pin;

pub async fn run(options: &Options) {
    let mut results = Results::start(options);
    pin();
    results.put("workloads", workloads::closed(options, |id, _| id == "W9").await.into());
    results.put("bursts", workloads::bursts().await);
    results.finish();
}
