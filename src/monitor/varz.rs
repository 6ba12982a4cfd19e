use std::thread::available_parallelism;
use std::time::{Instant, SystemTime};

use natsd_api::{Time, Varz, to_json, uptime};

use super::process::resident_memory;
use super::{Answer, Context, Params};

/// `/varz`: what the server is, its limits and its counters.
pub(super) fn varz(context: &Context, _: &Params) -> Answer {
    Answer::json(to_json(&document(context)))
}

/// What `/varz` says.
pub(super) fn document(context: &Context) -> Varz {
    let now = Time(SystemTime::now());
    let varz = context.inspect.varz();
    let processors = available_parallelism().map_or(1, |n| n.get() as u64);
    Varz {
        now,
        uptime: uptime(now.since(varz.start)),
        mem: resident_memory(),
        cores: processors,
        gomaxprocs: tokio::runtime::Handle::current().metrics().num_workers() as u64,
        cpu: context.processor_use.lock().percent(Instant::now()),
        http_host: context.host.clone(),
        http_port: context.ports.0,
        https_port: context.ports.1,
        http_base_path: context.base_path.clone(),
        http_req_stats: context.requests.lock().iter().map(|(&path, &count)| (path.to_owned(), count)).collect(),
        ..varz
    }
}
