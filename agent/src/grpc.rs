//! An HTTP/2 connection of hyper's, as the generated gRPC clients want it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use tonic::codegen::Service;

/// Puts hyper's connection behind the trait that generated clients call.
#[derive(Debug)]
pub(crate) struct Sender(pub(crate) http2::SendRequest<tonic::body::Body>);

impl Service<hyper::Request<tonic::body::Body>> for Sender {
    type Response = hyper::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: hyper::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
