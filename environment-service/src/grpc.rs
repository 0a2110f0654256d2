//! The environments' gRPC service: the only module that speaks the wire's types. One file in `rpc` for each method.

mod access;
mod answer;
mod control;
mod departures;
mod parameter;
mod rpc {
    //! One file for each method.
    automod::dir!("src/grpc/rpc");
}

pub(crate) use access::AuthorityKeys;
pub(crate) use control::Control;
pub(crate) use departures::{Departures, DeparturesError};

use ::access::{AccessLayer, Guarded};
use proto::environment::v1::control_server::ControlServer;
use proto::environment::v1::file_server::FileServer;
use proto::environment::v1::group_server::GroupServer;
use tonic::service::{LayerExt, Routes};
use tower::ServiceBuilder;

/// The name by which grants mean this service.
pub(crate) const AUDIENCE: &str = "environment-service";

/// The largest request that is read. It is more than the gateway takes, so that what is too large in it is named.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// The service behind the access layer.
pub(crate) fn routes(control: Control, keys: AuthorityKeys, layer: AccessLayer) -> Routes {
    let layers = ServiceBuilder::new().layer(keys).layer(layer);
    let environments = ControlServer::new(Guarded::new(control.clone())).max_decoding_message_size(MAX_REQUEST);
    let groups = GroupServer::new(Guarded::new(control.clone())).max_decoding_message_size(MAX_REQUEST);
    let files = FileServer::new(Guarded::new(control)).max_decoding_message_size(MAX_REQUEST);
    Routes::new(layers.clone().named_layer(environments))
        .add_service(layers.clone().named_layer(groups))
        .add_service(layers.named_layer(files))
}
