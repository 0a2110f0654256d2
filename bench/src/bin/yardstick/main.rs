//! The servers that the benchmarks measure against: each does the least that its work can be done with.

mod echo;
mod ext_authz;
mod handwritten;
mod no_op;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A server for the benchmarks to measure against.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    #[command(subcommand)]
    server: Server,
}

#[derive(Subcommand)]
enum Server {
    /// The environment-service's RPCs over gRPC, without doing anything and without asking who calls.
    NoOp,
    /// One method of the REST API, written by hand: it asks nobody and knows its one RPC.
    Handwritten {
        /// Where the RPC is served.
        #[arg(long)]
        upstream: String,
    },
    /// Introspect over gRPC, with the same answer to everyone.
    Echo {
        /// The file that holds the answer, encoded.
        #[arg(long)]
        answer: PathBuf,
    },
    /// Envoy's external authorization over gRPC: everyone may do everything.
    ExtAuthz,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, server } = Arguments::parse();
    match server {
        Server::NoOp => no_op::serve(listen).await,
        Server::Handwritten { upstream } => handwritten::serve(listen, upstream).await,
        Server::Echo { answer } => echo::serve(listen, &answer).await,
        Server::ExtAuthz => ext_authz::serve(listen).await,
    }
}
