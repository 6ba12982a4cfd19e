//! The host side of SCMP: something that answers echo requests at port 30041, as the reference dispatcher does.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, task::JoinHandle};

use crate::{mover::MAX_PACKET, scmp};

/// Answers the echo requests that reach `socket`, each to where it came from, until the task is aborted.
pub fn spawn(socket: Arc<UdpSocket>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            // Errors here are those of earlier answers (ICMP), not of the socket.
            if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                answer(&socket, &buffer[..length], from).await;
            }
        }
    })
}

async fn answer(socket: &UdpSocket, request: &[u8], from: SocketAddr) {
    if let Some(reply) = scmp::echo_reply(request)
        && let Err(e) = socket.send_to(&reply, from).await
    {
        log::debug!("echo reply to {from}: {e}");
    }
}
