//! REST in, gRPC out.
