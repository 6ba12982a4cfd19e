//! Output for pipes and files: JSON lines, or text.

use std::io::{self, Write};
use std::time::SystemTime;

use natsd_api::{Pathz, Time, to_compact_json};
use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::format::{millis, printable, scaled};
use crate::source::Source;
use crate::state::State;
use crate::world::{Entry, Server, World};
use crate::{FetchError, LabControl, LabView, Mode, MonitorUrl, Options, RunError, Snapshot, render, tables};

/// One line of the JSON output.
#[derive(Serialize)]
struct Cycle<'a> {
    time: Time,
    servers: Vec<ServerCycle<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lab: Option<LabView>,
}

/// One server in one cycle: either `error` or the rest.
#[derive(Serialize)]
struct ServerCycle<'a> {
    url: String,
    error: Option<String>,
    #[serde(flatten)]
    snapshot: Option<&'a Snapshot>,
}

type Reading = Result<Snapshot, FetchError>;

/// Prints each cycle as one JSON document on one line.
pub(crate) async fn json(options: Options, lab: Option<Box<dyn LabControl>>) -> Result<(), RunError> {
    cycles(options, |servers, readings| {
        let servers = servers.iter().zip(readings).map(|(url, reading)| ServerCycle {
            url: url.to_string(),
            error: reading.as_ref().err().map(ToString::to_string),
            snapshot: reading.as_ref().ok(),
        });
        let lab = lab.as_ref().map(|lab| lab.view());
        print(to_compact_json(&Cycle { time: SystemTime::now().into(), servers: servers.collect(), lab }) + "\n")
    })
    .await
}

/// Prints a line for each path in each cycle.
pub(crate) async fn csv(options: Options) -> Result<(), RunError> {
    let mut head = Some(tables::csv_head());
    cycles(options, |servers, readings| {
        let now = SystemTime::now().into();
        let rows = answers(servers, readings).map(|(name, pathz)| tables::csv(now, &name, pathz));
        let rows: String = rows.collect();
        print(head.take().unwrap_or_default() + &rows)
    })
    .await
}

/// Prints the network of each server in each cycle.
pub(crate) async fn dot(options: Options) -> Result<(), RunError> {
    cycles(options, |servers, readings| {
        print(answers(servers, readings).map(|(name, pathz)| tables::dot(&name, pathz)).collect())
    })
    .await
}

/// Prints a table of all paths in each cycle.
pub(crate) async fn pretty(options: Options) -> Result<(), RunError> {
    let mut state = State::new(World::new(options.servers.iter().cloned()), None, SystemTime::now());
    let ascii = options.ascii;
    cycles(options, |servers, readings| {
        for (index, reading) in readings.iter().enumerate() {
            let reading = reading.as_ref().cloned().map_err(ToString::to_string);
            state.live.observe(index, SystemTime::now(), reading);
        }
        // What is wrong with some is not in the table.
        answers(servers, readings).for_each(drop);
        print(render::pretty(&state, ascii) + "\n")
    })
    .await
}

/// The servers that answered and have paths, by name. What is wrong with others goes to standard error.
fn answers<'a>(servers: &'a [MonitorUrl], readings: &'a [Reading]) -> impl Iterator<Item = (String, &'a Pathz)> {
    servers.iter().zip(readings).filter_map(|(url, reading)| match reading {
        Ok(Snapshot { varz, pathz: Some(pathz), .. }) => Some((varz.server_name.clone(), pathz)),
        Ok(_) => {
            eprintln!("natsd top: {url} runs without SCION: it has no /pathz");
            None
        }
        Err(error) => {
            eprintln!("natsd top: {error}");
            None
        }
    })
}

/// Prints each cycle as one line a server, and what happened as a line each.
pub(crate) async fn text(options: Options, lab: Option<Box<dyn LabControl>>) -> Result<(), RunError> {
    let mut world = World::new(options.servers.iter().cloned());
    cycles(options, |servers, readings| {
        let now = SystemTime::now();
        let mut out = String::new();
        for (index, reading) in readings.iter().enumerate() {
            let reading = match reading {
                Ok(snapshot) => Ok(snapshot.clone()),
                Err(error) => Err(error.to_string()),
            };
            let answers = reading.is_ok();
            let entries = world.observe(index, now, reading);
            for entry in world.latest_entries(entries) {
                out += &event_line(entry);
            }
            if answers {
                out += &server_line(now.into(), &world.servers[index], servers.len());
            }
        }
        if let Some(lab) = &lab {
            out += &lab_line(now.into(), &lab.view());
        }
        print(out)
    })
    .await
}

/// Reads all servers at once, again and again, and lets `show` print what they said.
async fn cycles(
    options: Options,
    mut show: impl FnMut(&[MonitorUrl], &[Reading]) -> io::Result<()>,
) -> Result<(), RunError> {
    let source = if options.mode == Mode::Pretty { Source::with_histories } else { Source::new };
    let mut sources: Vec<_> = options.servers.iter().cloned().map(source).collect();
    let mut tick = tokio::time::interval(options.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cycle = 0;
    loop {
        cycle += 1;
        tick.tick().await;
        let readings = read_all(&mut sources).await;
        match show(&options.servers, &readings) {
            // The reader has seen enough: `natsd top | head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(RunError::Output)?,
        }
        if options.cycles.is_some_and(|limit| cycle >= limit) {
            let none_answered = readings.iter().all(Result::is_err);
            let error = readings.into_iter().find_map(Result::err).filter(|_| none_answered);
            return error.map_or(Ok(()), |error| Err(RunError::Unreachable(error)));
        }
    }
}

async fn read_all(sources: &mut Vec<Source>) -> Vec<Reading> {
    let reading = |mut source: Source| async move { (source.read("cid").await, source) };
    let tasks: Vec<_> = sources.drain(..).map(|source| tokio::spawn(reading(source))).collect();
    let mut readings = Vec::with_capacity(tasks.len());
    for task in tasks {
        let (reading, source) = task.await.expect("reading a server does not panic");
        readings.push(reading);
        sources.push(source);
    }
    readings
}

fn print(text: String) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn server_line(now: Time, server: &Server, servers: usize) -> String {
    let Some(Snapshot { varz, pathz, .. }) = &server.latest else { return String::new() };
    let label = if servers > 1 { format!(" {}", server.label()) } else { String::new() };
    let rates = server.rates;
    let mut line = format!(
        "{}{label} conns {} routes {} subs {} in {}/s {}B/s out {}/s {}B/s cpu {:.0}% mem {}B",
        now.time_of_day(),
        varz.connections,
        varz.routes,
        varz.subscriptions,
        scaled(rates.in_msgs),
        scaled(rates.in_bytes),
        scaled(rates.out_msgs),
        scaled(rates.out_bytes),
        varz.cpu,
        scaled(varz.mem as f64),
    );
    for peer in pathz.iter().flat_map(|pathz| &pathz.peers) {
        let active = peer.paths.iter().find(|path| peer.active.as_ref() == Some(&path.fingerprint));
        line += &match active {
            Some(path) => {
                let rtt = millis(path.measured.rtt_ms);
                format!(" | {} via path #{} (hops {}) rtt {rtt}", peer.heading(), path.id, path.hops)
            }
            None => format!(" | {} has no path", peer.heading()),
        };
    }
    printable(&line) + "\n"
}

fn event_line(entry: &Entry) -> String {
    let gap = entry.gap_ms.map(|ms| format!(", after {} of silence", millis(Some(ms)))).unwrap_or_default();
    let parts = [entry.server.as_str(), entry.heading.as_str(), entry.kind];
    let head: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    printable(&format!("{} * {}: {}{gap}", entry.time.time_of_day(), head.join(" "), entry.text)) + "\n"
}

fn lab_line(now: Time, lab: &LabView) -> String {
    let load = lab.load;
    format!(
        "{} lab sent {} received {} lost {} duplicated {} rate {:.0}/s longest gap {} ms\n",
        now.time_of_day(),
        load.sent,
        load.received,
        load.lost,
        load.duplicated,
        load.rate,
        load.longest_gap.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, at};

    #[test]
    fn text() {
        let mut world = World::new(["http://127.0.0.1:8222".parse().unwrap()]);
        let count = world.observe(0, at(60), Ok(testing::snapshot()));
        let events: String = world.latest_entries(count).into_iter().map(event_line).collect();
        let line = server_line(at(60).into(), &world.servers[0], 1);
        insta::assert_snapshot!(events + &line + &lab_line(at(60).into(), &testing::lab()));
    }

    #[test]
    fn json() {
        let snapshot = testing::snapshot();
        let answered = ServerCycle { url: "http://a:1".into(), error: None, snapshot: Some(&snapshot) };
        let silent = ServerCycle { url: "http://b:1".into(), error: Some("refused".into()), snapshot: None };
        let line = to_compact_json(&Cycle { time: at(60).into(), servers: vec![answered, silent], lab: None });
        let document: serde_json::Value = serde_json::from_str(&line).expect("one document");
        assert_eq!(document["time"], "2026-11-21T07:10:04Z");
        assert_eq!(document["servers"][0]["pathz"]["peers"][0]["paths"][0]["measured"]["rtt_ms"], 22.4);
        assert_eq!(document["servers"][0]["error"], serde_json::Value::Null);
        assert_eq!(document["servers"][1], serde_json::json!({"url": "http://b:1", "error": "refused"}));
        assert!(!line.contains('\n'));
    }

    #[tokio::test]
    async fn only_a_last_cycle_without_any_answer_is_an_error() {
        let server = testing::FakeServer::natsd().await;
        let mut options = Options::new(vec![server.url.parse().unwrap(), "http://127.0.0.1:1".parse().unwrap()]);
        options.cycles = Some(2);
        options.interval = std::time::Duration::from_millis(1);
        let mut cycles_seen = 0;
        let count = |_: &[MonitorUrl], readings: &[Reading]| {
            cycles_seen += 1;
            assert_eq!(readings.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
            Ok(())
        };
        cycles(options.clone(), count).await.expect("one answers");
        assert_eq!(cycles_seen, 2);

        options.servers.remove(0);
        let error = cycles(options, |_, _| Ok(())).await.expect_err("nobody answers").to_string();
        assert!(error.starts_with("cannot connect to http://127.0.0.1:1"), "{error}");
    }
}
