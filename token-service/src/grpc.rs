//! The authority's gRPC services: the only module that speaks the wire's types. One file in `rpc` for each method.

mod answer;
mod authority;
mod guess;
mod introspected;
mod second_factor;
mod rpc {
    //! One file for each method.
    automod::dir!("src/grpc/rpc");
}

pub(crate) use authority::{Authority, Policy, Shared, storage_failure};
pub(crate) use introspected::{BOUNDS, Introspections};

use access::{AccessLayer, Guarded};
use proto::token::v1::account_administration_server::AccountAdministrationServer;
use proto::token::v1::account_server::AccountServer;
use proto::token::v1::departures_server::DeparturesServer;
use proto::token::v1::introspection_server::IntrospectionServer;
use proto::token::v1::lease_administration_server::LeaseAdministrationServer;
use proto::token::v1::leases_server::LeasesServer;
use proto::token::v1::second_factor_server::SecondFactorServer;
use proto::token::v1::token_authority_server::TokenAuthorityServer;
use proto::token::v1::use_reports_server::UseReportsServer;
use tonic::service::{LayerExt, Routes};
use tower::ServiceBuilder;

/// The name by which grants mean this service.
pub(crate) const AUDIENCE: &str = "token-service";

/// The largest request that is read: no method takes more than a list of method names.
const MAX_REQUEST: usize = 256 * 1024;

/// The services behind the access layer.
pub(crate) fn routes(authority: &Authority, layer: AccessLayer) -> Routes {
    let guard = || Guarded::new(authority.clone());
    let layer = ServiceBuilder::new().layer(layer);
    Routes::new(layer.named_layer(TokenAuthorityServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(
            layer.named_layer(AccountAdministrationServer::new(guard()).max_decoding_message_size(MAX_REQUEST)),
        )
        .add_service(layer.named_layer(AccountServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(SecondFactorServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(DeparturesServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(UseReportsServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(LeaseAdministrationServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(LeasesServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
        .add_service(layer.named_layer(IntrospectionServer::new(guard()).max_decoding_message_size(MAX_REQUEST)))
}
