//! What the server shows over SCION, and whom it believes there.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use natsd_scion::Identity;
use thiserror::Error;

use crate::authority::{self, AuthorityError, Found};
use crate::config::options::{Listen, Options, TlsOptions};
use crate::tls::{TlsError, quic};

/// There is nothing to show.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A certificate is not what it should be.
    #[error("{block}: {source}")]
    Tls {
        /// Where it is named.
        block: &'static str,
        /// What is wrong with it.
        source: TlsError,
    },
    /// There is no authority, and none can be made.
    #[error("cluster.authority: {0}")]
    Authority(#[from] AuthorityError),
}

/// The identities of a server; clones are one and the same.
#[derive(Clone, Default)]
pub(super) struct Identities {
    /// Towards peers; `None` while there can be none over SCION.
    pub(super) routes: Arc<ArcSwapOption<Identity>>,
    /// Towards clients; `None` if there is no listener for them.
    pub(super) clients: Arc<ArcSwapOption<Identity>>,
    /// The authority that made them, if that is one of the cluster.
    pub(super) authority: Option<PathBuf>,
}

impl Identities {
    /// Reads the files that `options` name, and makes an authority if there has to be one.
    ///
    /// # Errors
    ///
    /// When a file is not what it should be, or the authority is neither there nor can be made.
    pub(super) fn read(options: &Options) -> Result<Self, IdentityError> {
        let mut authority = Authority { options, opened: None };
        let routes = match &options.cluster {
            Some(cluster) if cluster.tls.is_some() => {
                let tls = cluster.tls.as_ref().filter(|tls| tls.ca_file.is_some() && !tls.insecure);
                tls.map(|tls| (tls.clone(), "cluster.tls"))
            }
            Some(cluster)
                if cluster.authority.is_some()
                    || options.goes_over_udp()
                    || cluster.scion_addresses().next().is_some() =>
            {
                Some((authority.member()?, "cluster.authority"))
            }
            // Clusters show each other what servers of one show each other.
            _ if options.gateway.as_ref().is_some_and(|gateway| gateway.scion_addresses().next().is_some()) => {
                Some((authority.member()?, "cluster.authority"))
            }
            _ => None,
        };
        let takes_clients = options.listen.iter().any(|listen| matches!(listen, Listen::Scion(_)));
        let clients = match (&options.tls, &routes) {
            _ if !takes_clients => None,
            (Some(tls), _) => Some((tls.clone(), "tls")),
            // That of the server alone: clients are known by what they say.
            (None, Some((tls, block))) => {
                Some((TlsOptions { verify: false, pinned_certs: Vec::new(), ..tls.clone() }, *block))
            }
            (None, None) => Some((authority.member()?, "cluster.authority")),
        };
        let slot = |identity: Option<Identity>| Arc::new(ArcSwapOption::from_pointee(identity));
        let routes =
            routes.map(|(tls, block)| quic::routes(&tls).map_err(|source| IdentityError::Tls { block, source }));
        let clients =
            clients.map(|(tls, block)| quic::clients(&tls).map_err(|source| IdentityError::Tls { block, source }));
        let authority = authority.opened.map(|(dir, _)| dir);
        Ok(Self { routes: slot(routes.transpose()?), clients: slot(clients.transpose()?), authority })
    }

    /// Is as `other` from the next handshake on.
    pub(super) fn become_like(&self, other: &Self) {
        for (now, new) in [(&self.routes, &other.routes), (&self.clients, &other.clients)] {
            match (now.load().as_deref(), new.load_full()) {
                (Some(now), Some(new)) => now.become_like(&new),
                (None, Some(new)) => now.store(Some(new)),
                (_, None) => {}
            }
        }
    }
}

/// The authority of the cluster, opened when it is needed.
struct Authority<'a> {
    options: &'a Options,
    opened: Option<(PathBuf, TlsOptions)>,
}

impl Authority<'_> {
    /// What a member shows and believes.
    fn member(&mut self) -> Result<TlsOptions, AuthorityError> {
        if let Some((_, opened)) = &self.opened {
            return Ok(opened.clone());
        }
        let dir: PathBuf = match self.options.cluster.as_ref().and_then(|cluster| cluster.authority.clone()) {
            Some(dir) => dir,
            None => authority::default_dir()?,
        };
        let (tls, found) = authority::open(&dir)?;
        self.opened = Some((dir.clone(), tls.clone()));
        let dir = dir.display();
        match found {
            Found::Complete => log::info!("Peers over SCION are those whom the authority in {dir} vouches for"),
            Found::Issued => log::info!("The authority in {dir} has made a certificate for this server"),
            Found::Made => log::warn!(
                "Made an authority for the cluster in {dir}: no other server is a member yet. Make a certificate for each \
                 with natsd certs --dir {dir} --node NAME and give it to that server as its cluster.authority"
            ),
        }
        Ok(tls)
    }
}
