//! Flags that only the Ruby server had. They are taken so that scripts which start it go on working, and not shown.

use crate::config::options::{Listen, Options};

/// See the [module](self).
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct RubyFlags {
    /// Go to the background
    #[arg(short = 'd', long, hide = true)]
    daemonize: bool,

    /// Log to syslog; the name given is not used
    #[arg(short = 'S', value_name = "IDENT", hide = true)]
    syslog_name: Option<String>,

    /// Listen for routes on this port
    #[arg(long = "cluster_port", value_name = "PORT", hide = true)]
    cluster_port: Option<u16>,

    /// The same as --tls
    #[arg(long, hide = true)]
    ssl: bool,

    /// How its event loop waited; nothing
    #[arg(long = "no_epoll", hide = true)]
    no_epoll: bool,

    /// How its event loop waited; nothing
    #[arg(long = "no_kqueue", hide = true)]
    no_kqueue: bool,
}

/// `-d`.
#[derive(Debug, thiserror::Error)]
#[error("-d: natsd does not go to the background; let the system's service manager start it, or the shell with '&'")]
pub struct Daemonize;

impl RubyFlags {
    /// Puts what the flags say into `options`.
    ///
    /// # Errors
    ///
    /// When the server is to go to the background.
    pub(super) fn apply(&self, options: &mut Options) -> Result<(), Daemonize> {
        if self.daemonize {
            return Err(Daemonize);
        }
        if self.ssl {
            options.tls.get_or_insert_default();
        }
        options.syslog |= self.syslog_name.is_some();
        if let Some(port) = self.cluster_port {
            let host = options.client_host().to_owned();
            options.cluster.get_or_insert_default().listen = vec![Listen::Tcp { host, port }];
        }
        Ok(())
    }
}
