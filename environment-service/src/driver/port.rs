//! Ports of this machine's loopback address.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::LaunchError;
use crate::domain::Workload;

/// Finds a port for each node that needs one: the former one if nobody has taken it, otherwise any that is free. An error says
/// the index of the node that there is none for.
pub(super) fn find_ports(
    nodes: &[(&Workload, Option<u16>)],
    listens: impl Fn(&Workload) -> Result<bool, LaunchError>,
) -> Result<Vec<Option<u16>>, (usize, LaunchError)> {
    // All are held until all are found, so that they differ.
    let mut held = Vec::new();
    for (index, (workload, former)) in nodes.iter().enumerate() {
        let listens = listens(workload).map_err(|error| (index, error))?;
        let port = listens.then(|| hold(*former)).transpose();
        held.push(port.map_err(|error| (index, LaunchError::Port(error)))?);
    }
    Ok(held.iter().map(|held| held.as_ref().map(|(_, port)| *port)).collect())
}

/// Holds a port: the former one if nobody has taken it, otherwise any that is free.
fn hold(former: Option<u16>) -> io::Result<(TcpListener, u16)> {
    let former = former.and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let held = former.map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)?;
    let port = held.local_addr()?.port();
    Ok((held, port))
}
