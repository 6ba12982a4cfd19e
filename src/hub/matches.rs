//! Who gets a message.

use std::borrow::Cow;
use std::sync::Arc;

use natsd_core::sublist::Visitor;

use super::imports::ServiceImport;
use super::remote::RemoteInterest;
use super::subscription::Subscription;
use crate::link::{Kind, Link};

/// All that a subject matches in an account.
#[derive(Clone, Default)]
pub(crate) struct Matches {
    /// These each get the message.
    pub plain: Vec<Arc<Subscription>>,
    /// Of each of these one gets it.
    pub groups: Vec<QueueGroup>,
    /// Servers behind routes and leaf connections, each once for each name that the message has there.
    pub routes: Vec<RouteMatch>,
    /// Other clusters, each once.
    pub gateways: Vec<GatewayMatch>,
    /// Services of other accounts, which get the request.
    pub services: Vec<Arc<ServiceImport>>,
    /// The subject is that of answers to other accounts.
    pub response: bool,
    /// The client whose cache this is in may not publish to the subject.
    pub refused: bool,
}

/// A queue group, over all servers.
#[derive(Clone)]
pub(crate) struct QueueGroup {
    pub name: Box<[u8]>,
    pub local: Vec<Arc<Subscription>>,
    /// Members at other servers of the cluster, and where in [`Matches::routes`] that is.
    pub remote: Vec<(usize, Arc<RemoteInterest>)>,
    /// The same of leaf nodes and hubs, which come last.
    pub leafs: Vec<(usize, Arc<RemoteInterest>)>,
}

/// Another cluster.
#[derive(Clone)]
pub(crate) struct GatewayMatch {
    pub link: Arc<Link>,
    /// Somebody there gets the message whether one of its queue members is chosen or not.
    pub plain: bool,
    /// Queue groups that have members there.
    pub queues: Vec<Box<[u8]>>,
}

/// A server behind a route or a leaf connection.
#[derive(Clone)]
pub(crate) struct RouteMatch {
    pub link: Arc<Link>,
    /// What the message is called there, if the account there imports it.
    pub renamed: Option<Box<[u8]>>,
    /// Clients there get the message whether one of its queue members is chosen or not.
    pub plain: bool,
    /// So do leaf nodes there, or what is at the other end of a leaf connection.
    pub leafs: Vec<Arc<RemoteInterest>>,
}

impl Matches {
    pub(crate) fn clear(&mut self) {
        self.plain.clear();
        self.groups.clear();
        self.routes.clear();
        self.gateways.clear();
        self.services.clear();
        self.response = false;
        self.refused = false;
    }

    /// Takes what clients here subscribe to; of a message to `filtered`, if that is given, only those subscriptions that
    /// may get it.
    pub(crate) fn local<'a>(&'a mut self, filtered: Option<&'a [u8]>) -> impl Visitor<Subscription> + use<'a> {
        Local { found: self, filtered }
    }

    /// Takes what is subscribed to elsewhere, as far as `subject` may go there; over routes only if it may be exported.
    pub(crate) fn remote<'a>(
        &'a mut self,
        subject: &'a [u8],
        exported: bool,
    ) -> impl Visitor<RemoteInterest> + use<'a> {
        Remote { found: self, subject, exported }
    }

    /// Takes what other clusters want.
    pub(super) fn of_clusters(&mut self) -> impl Visitor<RemoteInterest> + use<'_> {
        Clusters { found: self }
    }

    /// The cluster that `link` leads to.
    pub(super) fn cluster(&mut self, link: &Arc<Link>) -> &mut GatewayMatch {
        let known = self.gateways.iter().position(|known| Arc::ptr_eq(&known.link, link));
        let at = known.unwrap_or_else(|| {
            self.gateways.push(GatewayMatch { link: link.clone(), plain: false, queues: Vec::new() });
            self.gateways.len() - 1
        });
        &mut self.gateways[at]
    }

    fn group(&mut self, name: &[u8]) -> &mut QueueGroup {
        let at = self.groups.iter().position(|group| *group.name == *name).unwrap_or_else(|| {
            self.groups.push(QueueGroup {
                name: name.into(),
                local: Vec::new(),
                remote: Vec::new(),
                leafs: Vec::new(),
            });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    fn route(&mut self, link: Arc<Link>, renamed: Option<Vec<u8>>) -> usize {
        let is_same =
            |known: &RouteMatch| Arc::ptr_eq(&known.link, &link) && known.renamed.as_deref() == renamed.as_deref();
        self.routes.iter().position(is_same).unwrap_or_else(|| {
            let renamed = renamed.map(Vec::into_boxed_slice);
            self.routes.push(RouteMatch { link, renamed, plain: false, leafs: Vec::new() });
            self.routes.len() - 1
        })
    }
}

struct Local<'a> {
    found: &'a mut Matches,
    filtered: Option<&'a [u8]>,
}

impl Visitor<Subscription> for Local<'_> {
    fn plain(&mut self, members: &[Arc<Subscription>]) {
        match self.filtered {
            None => self.found.plain.extend_from_slice(members),
            Some(subject) => self.found.plain.extend(permitted(members, subject)),
        }
    }

    fn group(&mut self, queue: &[u8], members: &[Arc<Subscription>]) {
        match self.filtered {
            None => self.found.group(queue).local.extend_from_slice(members),
            Some(subject) => {
                let mut members = permitted(members, subject).peekable();
                if members.peek().is_some() {
                    self.found.group(queue).local.extend(members);
                }
            }
        }
    }
}

fn permitted(members: &[Arc<Subscription>], subject: &[u8]) -> impl Iterator<Item = Arc<Subscription>> {
    members.iter().filter(|member| member.may_get(subject)).cloned()
}

struct Remote<'a> {
    found: &'a mut Matches,
    subject: &'a [u8],
    exported: bool,
}

impl Remote<'_> {
    /// Where in [`Matches::routes`] the server of this member is. `None` if it may not get the message.
    fn route(&mut self, member: &RemoteInterest) -> Option<usize> {
        if !self.exported && member.link.kind == Kind::Route {
            return None;
        }
        let renamed = match member.name_there(self.subject)? {
            Cow::Borrowed(_) => None,
            Cow::Owned(name) => Some(name),
        };
        let carrier = member.link.carrier(renamed.as_deref().unwrap_or(self.subject))?;
        Some(self.found.route(carrier, renamed))
    }
}

impl Visitor<RemoteInterest> for Remote<'_> {
    fn plain(&mut self, members: &[Arc<RemoteInterest>]) {
        for member in members {
            let Some(route) = self.route(member) else { continue };
            let route = &mut self.found.routes[route];
            if member.origin().is_some() {
                route.leafs.push(member.clone());
            } else {
                route.plain = true;
            }
        }
    }

    fn group(&mut self, queue: &[u8], members: &[Arc<RemoteInterest>]) {
        // What a server wanted that is gone is forgotten one by one; meanwhile nobody would get what it is drawn for.
        for member in members.iter().filter(|member| !member.link.is_closing()) {
            let Some(route) = self.route(member) else { continue };
            let group = self.found.group(queue);
            let members = if member.origin().is_some() { &mut group.leafs } else { &mut group.remote };
            members.push((route, member.clone()));
        }
    }
}

struct Clusters<'a> {
    found: &'a mut Matches,
}

impl Visitor<RemoteInterest> for Clusters<'_> {
    fn plain(&mut self, members: &[Arc<RemoteInterest>]) {
        for member in members {
            self.found.cluster(&member.link).plain = true;
        }
    }

    fn group(&mut self, queue: &[u8], members: &[Arc<RemoteInterest>]) {
        for member in members {
            let queues = &mut self.found.cluster(&member.link).queues;
            if !queues.iter().any(|known| **known == *queue) {
                queues.push(queue.into());
            }
        }
    }
}

/// Who of a queue group is to get a message.
pub(crate) enum Choice {
    /// A member here; if it cannot, the ones after it, around the circle.
    Local(usize),
    /// One at the server at this index of [`Matches::routes`].
    Remote(usize),
}

impl QueueGroup {
    /// Each member in the cluster, or only here unless `everywhere`, is as likely as any other. `None` if there is none.
    pub(crate) fn choose(&self, everywhere: bool, rng: &mut fastrand::Rng) -> Option<Choice> {
        let local = self.local.len() as u64;
        let members = local + if everywhere { members(self.remote.iter()) } else { 0 };
        let at = (members > 0).then(|| rng.u64(..members))?;
        match at.checked_sub(local) {
            None => Some(Choice::Local(at as usize)),
            Some(at) => route_of(at, self.remote.iter()).map(Choice::Remote),
        }
    }

    /// As [`choose`](Self::choose), among the servers behind those routes that are `wanted`.
    pub(crate) fn choose_elsewhere(&self, wanted: impl Fn(usize) -> bool, rng: &mut fastrand::Rng) -> Option<usize> {
        let candidates = || self.remote.iter().filter(|(route, _)| wanted(*route));
        let members = members(candidates());
        let at = (members > 0).then(|| rng.u64(..members))?;
        route_of(at, candidates())
    }
}

impl QueueGroup {
    /// Where one of the leaf nodes, or hubs, is that are `wanted` and have members.
    pub(crate) fn choose_leaf(
        &self,
        wanted: impl Fn(&RemoteInterest) -> bool,
        rng: &mut fastrand::Rng,
    ) -> Option<usize> {
        let candidates = || self.leafs.iter().filter(|(_, interest)| wanted(interest));
        let members = members(candidates());
        let at = (members > 0).then(|| rng.u64(..members))?;
        route_of(at, candidates())
    }
}

/// How many members there are at these servers.
fn members<'a>(remote: impl Iterator<Item = &'a (usize, Arc<RemoteInterest>)>) -> u64 {
    remote.map(|(_, remote)| u64::from(remote.weight())).sum()
}

/// Where the member is that comes after `at` others.
fn route_of<'a>(mut at: u64, remote: impl Iterator<Item = &'a (usize, Arc<RemoteInterest>)>) -> Option<usize> {
    let mut last = None;
    for (route, remote) in remote {
        let weight = u64::from(remote.weight());
        if at < weight {
            return Some(*route);
        }
        at -= weight;
        last = Some(*route);
    }
    // Weights shrank meanwhile.
    last
}
