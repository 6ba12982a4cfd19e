use std::time::SystemTime;

use natsd_api::{RouteInfo, Routez, Time, rtt, to_json, uptime};

use super::inspect::Route;
use super::params::{ParamError, Subs};
use super::subsz::detail;
use super::{Answer, Context, Params};

/// `/routez`: the connections to other servers. Parameter: `subs`.
pub(super) fn routez(context: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(answer(context, params).map(|routez| to_json(&routez)))
}

fn answer(context: &Context, params: &Params) -> Result<Routez, ParamError> {
    let subs = params.subs()?;
    let now = Time(SystemTime::now());
    let mut routes = context.inspect.routes();
    routes.sort_by_key(|route| route.rid);
    let routes: Vec<_> = routes
        .into_iter()
        .map(|route| {
            let mut info = info(route, now);
            let list = |rid| context.inspect.subscriptions_of(rid);
            match subs {
                Subs::Number => {}
                Subs::Subjects => info.subscriptions_list = list(info.rid).into_iter().map(|sub| sub.subject).collect(),
                Subs::Detail => info.subscriptions_list_detail = list(info.rid).into_iter().map(detail).collect(),
            }
            info
        })
        .collect();
    let (import, export) = context.inspect.route_permissions();
    Ok(Routez {
        server_id: context.inspect.server_id(),
        server_name: context.inspect.server_name(),
        now,
        import,
        export,
        num_routes: routes.len() as u64,
        routes,
    })
}

pub(super) fn info(route: Route, now: Time) -> RouteInfo {
    let (start, last_activity) = (Time(route.start), Time(route.last_activity));
    RouteInfo {
        rid: route.rid,
        remote_id: route.facts.remote_id,
        remote_name: route.facts.remote_name,
        did_solicit: route.facts.did_solicit,
        is_configured: route.facts.is_configured,
        ip: route.peer.ip.to_string(),
        port: route.peer.port,
        start,
        last_activity,
        rtt: route.rtt.map(rtt).unwrap_or_default(),
        uptime: uptime(now.since(start)),
        idle: uptime(now.since(last_activity)),
        import: route.facts.permissions.0,
        export: route.facts.permissions.1,
        pending_size: route.traffic.pending,
        in_msgs: route.traffic.in_msgs,
        out_msgs: route.traffic.out_msgs,
        in_bytes: route.traffic.in_bytes,
        out_bytes: route.traffic.out_bytes,
        subscriptions: route.facts.subscriptions,
        account: route.facts.account,
        subjects: route.facts.class,
        compression: route.facts.compression.name().into(),
        isd_as: route.peer.isd_as.map(|isd_as| isd_as.to_string()).unwrap_or_default(),
        ..RouteInfo::default()
    }
}
