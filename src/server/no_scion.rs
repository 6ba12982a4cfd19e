//! The SCION side of a server that was built without SCION: there is none.

use std::sync::Arc;

use natsd_path::ScionAddr;

use super::StartError;
use crate::config::options::{ClusterOptions, Listen, Options};
use crate::gateway::SuperCluster;
use crate::hub::Hub;
use crate::leaf::Leafs;
use crate::monitor::PathSource;
use crate::route::{Routes, ScionDial, Surroundings};
use crate::tls::ClientTls;

/// Nobody has one.
pub(super) enum NewIdentities {}

/// Nothing is read.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {}

impl NewIdentities {
    pub(super) fn read(_: &Options) -> Result<Option<Self>, IdentityError> {
        Ok(None)
    }
}

/// Nobody has one.
pub(super) enum ScionSide {}

impl ScionSide {
    pub(super) fn start(_: &Arc<Hub>, _: &Options) -> Result<Self, StartError> {
        Err(StartError::WithoutScion)
    }

    pub(super) async fn listen_for_clients(
        &mut self,
        _: &Arc<Hub>,
        _: ScionAddr,
        _: Option<Arc<ClientTls>>,
    ) -> Result<(), StartError> {
        match *self {}
    }

    pub(super) async fn listen_for_routes(&mut self, _: &[Listen], _: &Arc<Routes>) -> Result<(), StartError> {
        match *self {}
    }

    pub(super) async fn listen_for_leafs(&mut self, _: &[Listen], _: &Arc<Leafs>) -> Result<(), StartError> {
        match *self {}
    }

    pub(super) async fn listen_for_gateways(&mut self, _: &[Listen], _: &Arc<SuperCluster>) -> Result<(), StartError> {
        match *self {}
    }

    pub(super) fn reread(&self) -> Result<(), StartError> {
        match *self {}
    }

    pub(super) fn dial(&self, _: bool) -> ScionDial {
        match *self {}
    }

    pub(super) fn surround(&self, _: &ClusterOptions, _: &mut Surroundings) {
        match *self {}
    }

    pub(super) fn path_source(&self) -> Arc<dyn PathSource> {
        match *self {}
    }

    pub(super) fn adopt(&self, _: &NewIdentities, _: &Options) {
        match *self {}
    }

    pub(super) fn stop_accepting(&mut self) {
        match *self {}
    }

    pub(super) fn close(&self) {
        match *self {}
    }
}
